package limit

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestLoginLimit(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	logins := NewLogins(func() time.Time { return now })
	guesser, neighbour, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff"), netip.MustParseAddr("2001:db8:0:1::1")
	for range maxFailures {
		if wait := logins.Wait(guesser); wait != 0 {
			t.Fatalf("told to wait %v before %d failures", wait, maxFailures)
		}
		logins.Fail(guesser)
	}
	for _, c := range []struct {
		why   string
		addr  netip.Addr
		after time.Duration
		wait  time.Duration
	}{
		{"at once", guesser, 0, failureWindow},
		{"another address of its network", neighbour, 0, failureWindow},
		{"another network", other, 0, 0},
		{"a bit later", guesser, 20 * time.Second, failureWindow - 20*time.Second},
		{"after the window", guesser, failureWindow, 0},
	} {
		at := now
		now = now.Add(c.after)
		if wait := logins.Wait(c.addr); wait != c.wait {
			t.Errorf("%s: wait %v, want %v", c.why, wait, c.wait)
		}
		now = at
	}
}

func TestLoginLimitIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	logins := NewLogins(func() time.Time { return now })
	var addr [4]byte
	for i := range uint32(maxAddresses + 100) {
		binary.BigEndian.PutUint32(addr[:], i)
		now = now.Add(time.Millisecond)
		logins.Fail(netip.AddrFrom4(addr))
	}
	if n := len(logins.failures); n != maxAddresses {
		t.Errorf("%d addresses kept, want %d", n, maxAddresses)
	}
	if _, kept := logins.failures[who(netip.AddrFrom4(addr))]; !kept {
		t.Error("the newest address made room for older ones")
	}
}
