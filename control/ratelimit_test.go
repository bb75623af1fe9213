package control

import (
	"testing"
	"time"
)

func TestRequestsUnderWayAreLimitedPerToken(t *testing.T) {
	limit := newRateLimit(100, 1000, time.Now)
	for n := range mostAtOnce {
		if wait := limit.begin("a"); wait != 0 {
			t.Fatalf("told to wait %v with %d requests under way", wait, n)
		}
	}
	if wait := limit.begin("a"); wait != retryBusy {
		t.Errorf("told to wait %v with %d requests under way", wait, mostAtOnce)
	}
	if wait := limit.begin("b"); wait != 0 {
		t.Errorf("another token is told to wait %v", wait)
	}
	limit.end("a")
	if wait := limit.begin("a"); wait != 0 {
		t.Errorf("told to wait %v after one has ended", wait)
	}
}
