package linkcheck

import (
	"net/http"
	"sync"
	"time"
)

// A pace spaces requests to one host, those that follow redirects included.
type pace struct {
	delay time.Duration
	next  *http.Transport

	mu   sync.Mutex
	free map[string]time.Time // when the next request to a host may begin; one entry a host that was asked
}

func newPace(delay time.Duration, next *http.Transport) *pace {
	return &pace{delay: delay, next: next, free: map[string]time.Time{}}
}

// RoundTrip waits for its turn. The answer has no body: nothing in it tells more, and a client reads some of a redirect's before it goes
// on, however slowly it comes.
func (p *pace) RoundTrip(r *http.Request) (*http.Response, error) {
	turn := time.NewTimer(p.wait(r.URL.Hostname()))
	defer turn.Stop()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-turn.C:
		response, err := p.next.RoundTrip(r)
		if err == nil {
			response.Body.Close()
			response.Body = http.NoBody
		}
		return response, err
	}
}

func (p *pace) wait(host string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	at := p.free[host]
	if at.Before(now) {
		at = now
	}
	p.free[host] = at.Add(p.delay)
	return at.Sub(now)
}
