package once

import (
	"testing"
	"time"
)

// TestBudgetOfAToken: what is used comes back within the hour, and is each token's own.
func TestBudgetOfAToken(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	b := newBudgets(4, maxBody+maxBody/2, func() time.Time { return now })
	for n := range 4 {
		if wait := b.key("a"); wait != 0 {
			t.Fatalf("told to wait %v for key %d", wait, n+1)
		}
	}
	if wait := b.key("a"); wait != 15*time.Minute {
		t.Errorf("told to wait %v for a fifth key, want a quarter of an hour", wait)
	}
	if wait := b.key("b"); wait != 0 {
		t.Errorf("another token is told to wait %v", wait)
	}
	for _, c := range []struct {
		why   string
		bytes int
		fits  bool
	}{
		{"longer than any", maxBody + 1, false},
		{"the longest", maxBody, true},
		{"one more of them", maxBody, false},
		{"half of it", maxBody / 2, true},
		{"one byte more", 1, false},
		{"nothing", 0, true},
	} {
		if got := b.fits("a", c.bytes); got != c.fits {
			t.Errorf("%s: fits is %v", c.why, got)
		}
	}
	now = now.Add(15 * time.Minute)
	if wait := b.key("a"); wait != 0 || !b.fits("a", maxBody/4) {
		t.Errorf("a quarter of an hour later: told to wait %v", wait)
	}
}
