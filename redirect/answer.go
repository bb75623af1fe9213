package redirect

import (
	"github.com/valyala/fasthttp"

	"carom/ingest"
)

// Header names in canonical form and values, as bytes so that setting them neither converts nor normalises.
type headers struct {
	location, cacheControl, noStore, referrerPolicy, origin, robots, noIndex, allow []byte
}

func newHeaders() headers {
	return headers{
		location:     []byte("Location"),
		cacheControl: []byte("Cache-Control"), noStore: []byte("no-store"),
		referrerPolicy: []byte("Referrer-Policy"), origin: []byte("strict-origin-when-cross-origin"),
		robots: []byte("X-Robots-Tag"), noIndex: []byte("noindex"),
		allow: []byte("Allow"),
	}
}

// redirect answers 302 to a location that was checked when it was stored.
func (s *Server) redirect(ctx *fasthttp.RequestCtx, location []byte) {
	h := &ctx.Response.Header
	ctx.Response.SetStatusCode(fasthttp.StatusFound)
	if ctx.IsHead() {
		h.SetContentLength(0) // of an empty body fasthttp names no length to HEAD
	}
	h.SetCanonical(s.headers.location, location)
	h.SetCanonical(s.headers.cacheControl, s.headers.noStore)
	h.SetCanonical(s.headers.referrerPolicy, s.headers.origin)
	h.SetCanonical(s.headers.robots, s.headers.noIndex)
}

// plain answers with a status and a line of text.
func (s *Server) plain(ctx *fasthttp.RequestCtx, status int, text string) {
	h := &ctx.Response.Header
	ctx.Response.SetStatusCode(status)
	h.SetCanonical(s.headers.cacheControl, s.headers.noStore)
	h.SetCanonical(s.headers.robots, s.headers.noIndex)
	h.SetContentType("text/plain; charset=utf-8")
	ctx.Response.SetBodyString(text)
}

// unknown is the one answer to every path that names no link here: unknown, forged, retired key, foreign brand.
func (s *Server) unknown(ctx *fasthttp.RequestCtx, d *Domain) {
	s.metrics.count(outcomeUnknown)
	if d != nil && d.NotFound != nil {
		s.redirect(ctx, d.NotFound)
		return
	}
	s.plain(ctx, fasthttp.StatusNotFound, "There is no such link.\n")
}

// ended answers on a link that is expired or disabled.
func (s *Server) ended(ctx *fasthttp.RequestCtx, l *resolved, why ingest.Reasons) {
	outcome := outcomeDisabled
	if why&ingest.Expired != 0 {
		outcome = outcomeExpired
	}
	s.metrics.count(outcome)
	fallback := l.link.texts().fallback
	if len(fallback) == 0 {
		fallback = l.domain.Fallback
	}
	if len(fallback) > 0 {
		s.redirect(ctx, fallback)
		return
	}
	s.plain(ctx, fasthttp.StatusGone, "This link has ended.\n")
}

// home answers "/".
func (s *Server) home(ctx *fasthttp.RequestCtx, d *Domain) {
	s.metrics.count(outcomePage)
	if d.Home != nil {
		s.redirect(ctx, d.Home)
		return
	}
	s.plain(ctx, fasthttp.StatusOK, "Short links of "+d.Brand.Name+".\n")
}

// page answers the paths that are neither links nor conversions, on d or where that is nil on no domain of ours; false when
// path is none of them.
func (s *Server) page(ctx *fasthttp.RequestCtx, d *Domain, path []byte) bool {
	switch {
	case string(path) == "/robots.txt":
		// Crawlers may fetch links: chat and social previews need it, and X-Robots-Tag keeps links out of indexes.
		s.plain(ctx, fasthttp.StatusOK, "User-agent: *\nAllow: /\n")
	case string(path) == "/favicon.ico":
		ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
		ctx.Response.Header.SetCanonical(s.headers.cacheControl, []byte("public, max-age=86400"))
	case hasPrefix(path, "/.well-known/"):
		s.wellKnown(ctx, d, path)
	default:
		return false
	}
	s.metrics.count(outcomePage)
	return true
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}
