package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// streamPause is how long a client may leave a stream untouched before it is cut off: what is held for it is not held for ever.
const streamPause = time.Minute

// stream is an answer that write makes piece by piece, however long that takes. Where write fails the connection is cut: the
// client must not take a part for the whole. what names it in the log.
func (c *Control) stream(what string, write func(huma.Context) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humago.Unwrap(ctx)
		body := &streamWriter{Writer: ctx.BodyWriter(), control: http.NewResponseController(w)}
		if err := write(streamed{ctx, body}); err != nil {
			c.logFailure(slog.LevelError, what, errors.Join(err, ctx.Context().Err()))
			panic(http.ErrAbortHandler)
		}
	}}
}

// streamLinks is a stream about the links that filter chooses. What the caller may not see is refused before it begins.
func (c *Control) streamLinks(
	ctx context.Context, what string, filter LinkFilter, write func(huma.Context, Scope) error,
) (*huma.StreamResponse, error) {
	scope := ScopeOf(ctx)
	if _, _, err := c.catalog.Load().linksWhere(scope, filter); err != nil {
		return nil, c.problem(err)
	}
	return c.stream(what, func(ctx huma.Context) error { return write(ctx, scope) }), nil
}

// wrapped is huma.Context under a name by which a struct can embed it: a field called Context would hide the method Context.
type wrapped = huma.Context

// streamed is the context of an answer whose body is written to w.
type streamed struct {
	wrapped
	w *streamWriter
}

func (s streamed) BodyWriter() io.Writer { return s.w }

// A streamWriter moves the server's write deadline on as the client takes what is written.
type streamWriter struct {
	io.Writer
	control *http.ResponseController
	moved   time.Time
}

func (s *streamWriter) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(s.moved) > streamPause/2 {
		s.moved = now
		if err := s.control.SetWriteDeadline(now.Add(streamPause)); err != nil {
			return 0, err
		}
	}
	return s.Writer.Write(b)
}
