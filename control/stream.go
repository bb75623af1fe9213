package control

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// stream is an answer that write makes piece by piece, however long that takes. Where write fails the connection is cut: the
// client must not take a part for the whole. what names it in the log.
func (c *Control) stream(what string, write func(huma.Context) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humago.Unwrap(ctx)
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			c.cfg.Log.Debug(what+" keeps the server's write deadline", "err", err)
		}
		if err := write(ctx); err != nil {
			c.cfg.Log.Error(what, "err", err)
			panic(http.ErrAbortHandler)
		}
	}}
}
