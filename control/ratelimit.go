package control

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"
)

// errTooFast refuses a token that sends more requests than Config allows.
var errTooFast = errors.New("too many requests with this token: wait as long as Retry-After says")

const (
	// mostAtOnce is how many requests of one token are under way: each may hold a body of maxImportBody and a connection to
	// ClickHouse, of which there are few.
	mostAtOnce = 8
	// retryBusy is when a token with so many may try again.
	retryBusy = time.Second
)

// A rateLimit counts the requests of each token. It grows with the valid tokens only.
type rateLimit struct {
	rate  rate.Limit
	burst int
	now   func() time.Time

	mu      sync.Mutex
	byToken map[string]*tokenRate // by token id
}

// A tokenRate is what one token has sent.
type tokenRate struct {
	limiter  *rate.Limiter
	underWay int
}

func newRateLimit(perSecond float64, burst int, now func() time.Time) *rateLimit {
	return &rateLimit{rate: rate.Limit(perSecond), burst: burst, now: now, byToken: map[string]*tokenRate{}}
}

// begin counts a request, which end must follow, or says how long its token has to wait before the next.
func (l *rateLimit) begin(token string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.byToken[token]
	if t == nil {
		t = &tokenRate{limiter: rate.NewLimiter(l.rate, l.burst)}
		l.byToken[token] = t
	}
	if t.underWay >= mostAtOnce {
		return retryBusy
	}
	now := l.now()
	reservation := t.limiter.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return wait
	}
	t.underWay++
	return 0
}

// end counts the end of a request that has begun.
func (l *rateLimit) end(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byToken[token].underWay--
}

// limitRate answers 429 to a token that sends too many requests, in a time or at once.
func (c *Control) limitRate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		token := ScopeOf(ctx.Context()).Token
		wait := c.rates.begin(token)
		if wait == 0 {
			defer c.rates.end(token)
			next(ctx)
			return
		}
		ctx.SetHeader("Retry-After", strconv.Itoa(wholeSeconds(wait)))
		c.refuse(api, ctx, http.StatusTooManyRequests, errTooFast)
	}
}
