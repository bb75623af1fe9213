package redirect

import "github.com/valyala/fasthttp"

// wellKnown answers below "/.well-known/" with the files by which phones learn that an app opens a domain's links. Phones and
// the caches of their makers fetch them without following redirects; nothing else is published.
func (s *Server) wellKnown(ctx *fasthttp.RequestCtx, d *Domain, path []byte) {
	var file []byte
	if d != nil {
		switch string(path) {
		case "/.well-known/apple-app-site-association":
			file = d.AppleApps
		case "/.well-known/assetlinks.json":
			file = d.AssetLinks
		}
	}
	if file == nil {
		s.plain(ctx, fasthttp.StatusNotFound, "Nothing is published here.\n")
		return
	}
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.SetCanonical(s.headers.cacheControl, []byte("public, max-age=3600"))
	h.Set("X-Content-Type-Options", "nosniff")
	ctx.Response.SetBodyRaw(file)
}
