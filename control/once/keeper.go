package once

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/refusal"
)

const (
	// Header is the header by which a client says that a request is one it has sent before.
	Header = "Idempotency-Key"
	// MaxKey bounds it, in bytes.
	MaxKey = 255
	// replayed is the header of an answer that is given again.
	replayed = "Idempotency-Replayed"
)

// Refusals of requests with an Idempotency-Key.
var (
	errShape       = fmt.Errorf("%s must have 1 to %d characters of printable ASCII", Header, MaxKey)
	errBusy        = errors.New("a request with this Idempotency-Key is being answered: wait for it")
	errReused      = errors.New("this Idempotency-Key came with another request before: use a new key for each request")
	errNotRepeated = errors.New("this request was carried out before; its answer is not kept, since it held a secret, was too long, or this token had many: look at what is there")
	errUnknown     = errors.New("this request was begun before, and an accident kept its end from being known: " +
		"look at what is there, and use a new key for what is to be done again")
	errTooMany  = errors.New("too many different Idempotency-Keys of this token: wait as long as Retry-After says, or send the request without one")
	errNotAsked = errors.New("ClickHouse was asked whether this request was carried out before and did not answer")
)

// secretKey is the key of an operation's Metadata by which it says that its answer holds a secret.
const secretKey = "secret"

// WithSecret marks an operation whose answer is never kept.
func WithSecret(op huma.Operation) huma.Operation {
	op.Metadata[secretKey] = true
	return op
}

// Config is what a Keeper needs to know.
type Config struct {
	Store Store
	Token func(context.Context) string // id of the token that a request came with
	Retry time.Duration                // when a client may try again that ClickHouse kept from an answer
	Keys  int                          // new keys that a token may use in an hour, at first as many at once
	Bytes int                          // of a token's answers that are kept in an hour, likewise; beyond that only the fact is kept that one was given
	Log   *slog.Logger
	Now   func() time.Time
}

// A Keeper carries out each request with an Idempotency-Key once. Its methods may be called at the same time.
type Keeper struct {
	cfg     Config
	budgets *budgets

	mu       sync.Mutex
	underWay map[Place]bool
}

// New returns a Keeper of requests.
func New(cfg Config) *Keeper {
	return &Keeper{cfg: cfg, budgets: newBudgets(cfg.Keys, cfg.Bytes, cfg.Now), underWay: map[Place]bool{}}
}

// begin reports whether no other request holds the place, and takes it then.
func (k *Keeper) begin(at Place) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.underWay[at] {
		return false
	}
	k.underWay[at] = true
	return true
}

func (k *Keeper) end(at Place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.underWay, at)
}

// Middleware carries out a request with an Idempotency-Key once, and gives the same answer to the same request again. An answer of
// 500 and above is not kept: the next request is carried out as if new where this one has begun no change, and refused otherwise.
func (k *Keeper) Middleware(refuser refusal.Writer) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		at := Place{k.cfg.Token(ctx.Context()), ctx.Header(Header)}
		switch {
		case at.Key == "" || ctx.Operation().Method == http.MethodGet: // also asked with HEAD
			next(ctx)
			return
		case !printable(at.Key) || len(at.Key) > MaxKey:
			refuser.Refuse(ctx, http.StatusBadRequest, errShape)
			return
		case !k.begin(at):
			refuser.Refuse(ctx, http.StatusConflict, errBusy)
			return
		}
		defer k.end(at)
		kept, err := k.cfg.Store.FindAnswer(ctx.Context(), at)
		if err != nil {
			if ctx.Context().Err() == nil { // otherwise the client has hung up
				k.cfg.Log.Error("look for a kept answer", "err", err)
			}
			refuser.RefuseFor(ctx, http.StatusServiceUnavailable, k.cfg.Retry, errNotAsked)
			return
		}
		r := &request{at: at, hash: hashRequest(ctx)}
		if kept != nil {
			k.repeat(refuser, ctx, kept, r.hash)
			return
		}
		if wait := k.budgets.key(at.Token); wait > 0 {
			refuser.RefuseFor(ctx, http.StatusTooManyRequests, wait, errTooMany)
			return
		}
		k.carryOut(ctx, r, next)
	}
}

// carryOut runs the operation and keeps its answer.
func (k *Keeper) carryOut(ctx huma.Context, r *request, next func(huma.Context)) {
	answer := &recorder{wrapped: huma.WithValue(ctx, requestKey{}, r)}
	next(answer)
	if answer.status < http.StatusInternalServerError {
		kept := r.answer()
		kept.Status = uint16(answer.status)
		if !answer.secret() && k.budgets.fits(r.at.Token, answer.body.Len()) {
			answer.fill(&kept)
		}
		if err := k.cfg.Store.KeepAnswer(ctx.Context(), kept); err != nil {
			k.cfg.Log.Warn("answer to a request with an Idempotency-Key not kept", "err", err)
		}
	}
	k.send(answer)
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
func (k *Keeper) repeat(refuser refusal.Writer, ctx huma.Context, kept *Answer, hash *requestHash) {
	switch {
	case hash.sum() != kept.Request:
		refuser.Refuse(ctx, http.StatusUnprocessableEntity, errReused)
		return
	case kept.Status == 0:
		refuser.Refuse(ctx, http.StatusConflict, errUnknown)
		return
	}
	ctx.SetHeader(replayed, "true")
	if !kept.Whole {
		refuser.Refuse(ctx, http.StatusConflict, errNotRepeated)
		return
	}
	again := &recorder{wrapped: ctx, status: int(kept.Status), headers: kept.Headers}
	again.body.WriteString(kept.Body)
	k.send(again)
}

func (k *Keeper) send(answer *recorder) {
	if err := answer.send(); err != nil {
		k.cfg.Log.Debug("answer not written", "err", err)
	}
}
