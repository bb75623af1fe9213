package redirect

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"carom/ingest"
)

// carom.js keeps the click id of a visit and reports conversions through the pixel. It is a function of the brand's
// attribution window in days, which the served script calls.
//
//go:embed carom.js
var caromScript string

// transparentPixel is a GIF of one transparent pixel.
const transparentPixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" +
	"!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel takes a conversion from a browser: the fields of a postback in the query. It always answers with the image,
// for a pixel must not break the page it is on; what became of the conversion is in carom_conversions_total.
//
// A signature is checked like a postback's, and one that is wrong is refused. Without any, the pixel counts only where
// the brand takes unsigned ones, which reports keep apart.
func (s *Server) pixel(ctx *fasthttp.RequestCtx, t *Table, d *Domain, query []byte) {
	if ctx.IsGet() {
		m := message{source: ingest.FromPixel, received: s.moment(ctx)}
		var why *refusal
		if m.fields, why = parseForm(string(query)); why == nil {
			_, m.signed = m.fields["sig"]
			if m.signed || !d.Brand.UnsignedPixel {
				why = d.verifyParameters(m.fields, m.received)
			}
		}
		s.accept(t, d, m, why)
	} else {
		s.metrics.count(outcomePage)
	}
	s.plain(ctx, fasthttp.StatusOK, transparentPixel)
	ctx.Response.Header.SetContentType("image/gif")
	s.embeddable(ctx)
}

// script answers with carom.js.
func (s *Server) script(ctx *fasthttp.RequestCtx, d *Domain) {
	s.metrics.count(outcomePage)
	s.plain(ctx, fasthttp.StatusOK, strings.TrimRight(caromScript, "\n")+"("+strconv.Itoa(int(d.Brand.AttributionDays))+");\n")
	ctx.Response.Header.SetContentType("text/javascript; charset=utf-8")
	ctx.Response.Header.SetCanonical(s.headers.cacheControl, []byte("public, max-age=3600"))
	s.embeddable(ctx)
}

// embeddable lets pages of other sites load the answer, also those that isolate themselves, as what it says it is.
func (s *Server) embeddable(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
}
