package control

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"
)

// errTooFast refuses a token that sends more requests than Config allows.
var errTooFast = errors.New("too many requests with this token: wait as long as Retry-After says")

// A rateLimit counts the requests of each token. It grows with the valid tokens only.
type rateLimit struct {
	rate  rate.Limit
	burst int
	now   func() time.Time

	mu      sync.Mutex
	byToken map[string]*rate.Limiter // by token id
}

func newRateLimit(perSecond float64, burst int, now func() time.Time) *rateLimit {
	return &rateLimit{rate: rate.Limit(perSecond), burst: burst, now: now, byToken: map[string]*rate.Limiter{}}
}

// wait counts a request, or says how long its token has to wait before the next.
func (l *rateLimit) wait(token string) time.Duration {
	l.mu.Lock()
	limiter := l.byToken[token]
	if limiter == nil {
		limiter = rate.NewLimiter(l.rate, l.burst)
		l.byToken[token] = limiter
	}
	l.mu.Unlock()
	now := l.now()
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// limitRate answers 429 to a token that sends too many requests.
func (c *Control) limitRate(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		wait := c.rates.wait(ScopeOf(ctx.Context()).Token)
		if wait == 0 {
			next(ctx)
			return
		}
		ctx.SetHeader("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		c.refuse(api, ctx, http.StatusTooManyRequests, errTooFast)
	}
}
