package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

const (
	// idempotencyKey is the header by which a client says that a request is one it has sent before.
	idempotencyKey = "Idempotency-Key"
	// replayed is the header of an answer that is given again.
	replayed = "Idempotency-Replayed"
	// maxIdempotencyKey bounds it, in bytes.
	maxIdempotencyKey = 255
)

// Refusals of requests with an Idempotency-Key.
var (
	errKeyShape    = fmt.Errorf("%s must have 1 to %d characters of printable ASCII", idempotencyKey, maxIdempotencyKey)
	errKeyBusy     = errors.New("a request with this Idempotency-Key is being answered: wait for it")
	errKeyReused   = errors.New("this Idempotency-Key came with another request before: use a new key for each request")
	errNotRepeated = errors.New("this request was carried out before; its answer is not kept, since it held a secret or was too long: look at what is there")
)

// secretKey is the key of an operation's Metadata by which it says that its answer holds a secret.
const secretKey = "secret"

// withSecret marks an operation whose answer is never kept.
func withSecret(op huma.Operation) huma.Operation {
	op.Metadata[secretKey] = true
	return op
}

// An answerPlace is where an answer is kept: each token has its own keys.
type answerPlace struct{ token, key string }

// A keptAnswer is the answer to a request with an Idempotency-Key. It outlives the process, and is kept for a day.
type keptAnswer struct {
	TokenID string            `ch:"token_id"`
	Key     string            `ch:"key"`
	Request string            `ch:"request"`
	Status  uint16            `ch:"status"`
	Headers map[string]string `ch:"headers"`
	Body    string            `ch:"body"`
	Whole   bool              `ch:"whole"`
}

// pending are the places of the requests that are being answered.
type pending struct {
	mu     sync.Mutex
	places map[answerPlace]bool
}

func newPending() *pending { return &pending{places: map[answerPlace]bool{}} }

// begin reports whether no other request holds the place, and takes it then.
func (p *pending) begin(at answerPlace) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places[at] {
		return false
	}
	p.places[at] = true
	return true
}

func (p *pending) end(at answerPlace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.places, at)
}

// answerOnce carries out a request with an Idempotency-Key once, and gives the same answer to the same request again. An answer of
// 500 and above is not kept: the request was not carried out, or that is not known, and the next one is carried out as if new.
func (c *Control) answerOnce(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		at := answerPlace{ScopeOf(ctx.Context()).Token, ctx.Header(idempotencyKey)}
		switch {
		case at.key == "" || ctx.Operation().Method == http.MethodGet: // also asked with HEAD
			next(ctx)
			return
		case !printable(at.key) || len(at.key) > maxIdempotencyKey:
			c.refuse(api, ctx, http.StatusBadRequest, errKeyShape)
			return
		case !c.once.begin(at):
			c.refuse(api, ctx, http.StatusConflict, errKeyBusy)
			return
		}
		defer c.once.end(at)
		kept, err := c.store.keptAnswer(ctx.Context(), at)
		if err != nil {
			c.cfg.Log.Error("API", "err", err)
			c.unavailable(api, ctx, errors.New("ClickHouse was asked whether this request was carried out before and did not answer"))
			return
		}
		request := hashRequest(ctx)
		if kept != nil {
			c.repeat(api, ctx, kept, request)
			return
		}
		answer := &recorder{wrapped: ctx}
		next(answer)
		sum := request.sum()
		if answer.status < http.StatusInternalServerError {
			if err := c.store.keepAnswer(ctx.Context(), answer.row(at, sum)); err != nil {
				c.cfg.Log.Warn("answer to a request with an Idempotency-Key not kept", "err", err)
			}
		}
		if err := answer.send(); err != nil {
			c.cfg.Log.Debug("answer not written", "err", err)
		}
	}
}

func printable(text string) bool {
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

// repeat gives a kept answer again, if the request is the one that it answers.
func (c *Control) repeat(api huma.API, ctx huma.Context, kept *keptAnswer, request *requestHash) {
	if request.sum() != kept.Request {
		c.refuse(api, ctx, http.StatusUnprocessableEntity, errKeyReused)
		return
	}
	ctx.SetHeader(replayed, "true")
	if !kept.Whole {
		c.refuse(api, ctx, http.StatusConflict, errNotRepeated)
		return
	}
	again := &recorder{wrapped: ctx, status: int(kept.Status), headers: kept.Headers}
	again.body.WriteString(kept.Body)
	if err := again.send(); err != nil {
		c.cfg.Log.Debug("answer not written", "err", err)
	}
}

// keptAnswer is the answer at a place, nil where none is.
func (s store) keptAnswer(ctx context.Context, at answerPlace) (*keptAnswer, error) {
	rows, err := selectRows[keptAnswer](ctx, s, "kept_answers", "token_id = ? AND key = ? AND at > now() - INTERVAL 1 DAY", at.token, at.key)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

func (s store) keepAnswer(ctx context.Context, row keptAnswer) error {
	return insertRows("kept_answers", "", []keptAnswer{row}).persist(ctx, s)
}
