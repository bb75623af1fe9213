package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// mostAtOnce is how many requests of one token are under way: each may hold the body of an import and a connection to
	// ClickHouse, of which there are few.
	mostAtOnce = 8
	// retryBusy is when a token with so many may try again.
	retryBusy = time.Second
)

// Requests count the requests of each token. They grow with the valid tokens only.
type Requests struct {
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

// NewRequests allows each token perSecond requests a second for long and burst at once; now is the clock.
func NewRequests(perSecond float64, burst int, now func() time.Time) *Requests {
	return &Requests{rate: rate.Limit(perSecond), burst: burst, now: now, byToken: map[string]*tokenRate{}}
}

// Begin counts a request, which End must follow, or says how long its token has to wait before the next.
func (l *Requests) Begin(token string) (wait time.Duration) {
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

// End counts the end of a request that has begun.
func (l *Requests) End(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byToken[token].underWay--
}
