package limit

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxFailures is how many wrong tokens an address may send within failureWindow before it has to wait.
	maxFailures   = 10
	failureWindow = time.Minute
	// maxAddresses bounds the memory that strangers can take; beyond it the oldest entry makes room.
	maxAddresses = 4096
)

// Logins slow down whoever guesses tokens.
type Logins struct {
	now func() time.Time

	mu       sync.Mutex
	failures map[netip.Prefix]failures
}

type failures struct {
	count int
	since time.Time
}

// NewLogins returns the limit of strangers; now is the clock.
func NewLogins(now func() time.Time) *Logins {
	return &Logins{now: now, failures: map[netip.Prefix]failures{}}
}

// who is the unit that is limited: an IPv4 address, or the /64 that one IPv6 host can move in.
func who(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.WithZone("").Prefix(bits)
	return prefix
}

// Wait says how long addr has to wait before its next try, 0 for not at all.
func (l *Logins) Wait(addr netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.failures[who(addr)]
	if f.count < maxFailures {
		return 0
	}
	return max(0, f.since.Add(failureWindow).Sub(l.now()))
}

// Fail counts a wrong token from addr.
func (l *Logins) Fail(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	f := l.failures[who(addr)]
	if f.count == 0 || now.Sub(f.since) >= failureWindow {
		l.makeRoom()
		f = failures{since: now}
	}
	f.count++
	l.failures[who(addr)] = f
}

// makeRoom drops the oldest entry of a full table. The caller holds mu.
func (l *Logins) makeRoom() {
	if len(l.failures) < maxAddresses {
		return
	}
	var oldest netip.Prefix
	for prefix, f := range l.failures {
		if !oldest.IsValid() || f.since.Before(l.failures[oldest].since) {
			oldest = prefix
		}
	}
	delete(l.failures, oldest)
}
