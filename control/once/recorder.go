package once

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

// wrapped is huma.Context under a name by which a struct can embed it: a field called Context would hide the method Context.
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
	r.headers[http.CanonicalHeaderKey(name)] = value
}

// AppendHeader joins the values of a header, which means the same as a line for each (RFC 9110, 5.3); no operation sets a cookie,
// which would be the exception.
func (r *recorder) AppendHeader(name, value string) {
	if before, ok := r.headers[http.CanonicalHeaderKey(name)]; ok {
		value = before + ", " + value
	}
	r.SetHeader(name, value)
}

// secret reports whether the answer holds a secret.
func (r *recorder) secret() bool {
	secret, _ := r.Operation().Metadata[secretKey].(bool)
	return secret && r.status < http.StatusMultipleChoices
}

// fill puts the answer into the one that is kept.
func (r *recorder) fill(kept *Answer) {
	kept.Whole, kept.Body = true, r.body.String()
	if r.headers != nil {
		kept.Headers = r.headers
	}
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
