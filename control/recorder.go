package control

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	// maxKeptAnswer bounds a body that is kept: enough for the results of a full bulk request, of some 900 bytes a link.
	maxKeptAnswer = 16 << 20
	// defaultBody and defaultBodyTime bound the body of a request whose operation says nothing else, as huma does.
	defaultBody     = 1 << 20
	defaultBodyTime = 5 * time.Second
)

// A requestHash tells requests apart. It sees the body as the operation reads it, so that no body is held for it.
type requestHash struct {
	hash hash.Hash
	body io.Reader // feeds hash; ends where no operation would read on
}

func hashRequest(ctx huma.Context) *requestHash {
	r, _ := humago.Unwrap(ctx)
	h := sha256.New()
	fmt.Fprintf(h, "%s %q %q %q\n", r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("If-Match"))
	op := ctx.Operation()
	// An operation sets its own deadline when it reads; this one is for a body that none reads.
	_ = ctx.SetReadDeadline(time.Now().Add(cmp.Or(op.BodyReadTimeout, defaultBodyTime)))
	tee := io.TeeReader(r.Body, h)
	r.Body = struct {
		io.Reader
		io.Closer
	}{tee, r.Body}
	return &requestHash{h, io.LimitReader(tee, cmp.Or(op.MaxBodyBytes, defaultBody)+1)}
}

// sum reads what is left of the body.
func (h *requestHash) sum() string {
	_, _ = io.Copy(io.Discard, h.body) // of a body that breaks off, the sum is another one
	return hex.EncodeToString(h.hash.Sum(nil))
}

// A wrapped context can be embedded beside its method Context.
type wrapped = huma.Context

// A recorder holds an answer back until it is kept.
type recorder struct {
	wrapped
	status  int
	headers map[string]string
	body    bytes.Buffer
}

// Unwrap lets humago find the request.
func (r *recorder) Unwrap() huma.Context { return r.wrapped }

// SetStatus and the rest collect what the operation answers.
func (r *recorder) SetStatus(code int)    { r.status = code }
func (r *recorder) Status() int           { return r.status }
func (r *recorder) BodyWriter() io.Writer { return &r.body }
func (r *recorder) SetHeader(name, value string) {
	if r.headers == nil {
		r.headers = map[string]string{}
	}
	r.headers[name] = value
}
func (r *recorder) AppendHeader(name, value string) { r.SetHeader(name, value) }

// row is the answer as it is kept.
func (r *recorder) row(at answerPlace, request string) keptAnswer {
	kept := keptAnswer{TokenID: at.token, Key: at.key, Request: request, Status: uint16(r.status), Headers: map[string]string{}}
	if secret, _ := r.Operation().Metadata[secretKey].(bool); secret && r.status < http.StatusMultipleChoices || r.body.Len() > maxKeptAnswer {
		return kept
	}
	kept.Whole, kept.Body = true, r.body.String()
	if r.headers != nil {
		kept.Headers = r.headers
	}
	return kept
}

// send gives the answer to the client.
func (r *recorder) send() error {
	for name, value := range r.headers {
		r.wrapped.SetHeader(name, value)
	}
	r.wrapped.SetStatus(r.status)
	_, err := r.body.WriteTo(r.wrapped.BodyWriter())
	return err
}
