package once

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBody bounds one body that is kept: enough for the results of a full bulk request, of some 900 bytes a link.
const maxBody = 16 << 20

// budgets bound what is kept for each token. They grow with the valid tokens only.
type budgets struct {
	keys, bytes int // an hour
	now         func() time.Time

	mu      sync.Mutex
	byToken map[string]budget
}

// A budget is what may still be kept for one token.
type budget struct{ keys, bytes *rate.Limiter }

func newBudgets(keys, bytes int, now func() time.Time) *budgets {
	return &budgets{keys: keys, bytes: bytes, now: now, byToken: map[string]budget{}}
}

func (b *budgets) of(token string) budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	own, ok := b.byToken[token]
	if !ok {
		hourly := func(n int) *rate.Limiter { return rate.NewLimiter(rate.Limit(float64(n)/time.Hour.Seconds()), n) }
		own = budget{hourly(b.keys), hourly(b.bytes)}
		b.byToken[token] = own
	}
	return own
}

// key counts a new key of a token, or says how long the token has to wait for it.
func (b *budgets) key(token string) (wait time.Duration) {
	now := b.now()
	reservation := b.of(token).keys.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// fits counts a body of so many bytes, and reports whether it may be kept.
func (b *budgets) fits(token string, bytes int) bool {
	return bytes <= maxBody && b.of(token).bytes.AllowN(b.now(), bytes)
}
