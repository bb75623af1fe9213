package limit

import (
	"testing"
	"time"
)

func TestRequestsUnderWayAreLimitedPerToken(t *testing.T) {
	requests := NewRequests(100, 1000, time.Now)
	for n := range mostAtOnce {
		if wait := requests.Begin("a"); wait != 0 {
			t.Fatalf("told to wait %v with %d requests under way", wait, n)
		}
	}
	if wait := requests.Begin("a"); wait != retryBusy {
		t.Errorf("told to wait %v with %d requests under way", wait, mostAtOnce)
	}
	if wait := requests.Begin("b"); wait != 0 {
		t.Errorf("another token is told to wait %v", wait)
	}
	requests.End("a")
	if wait := requests.Begin("a"); wait != 0 {
		t.Errorf("told to wait %v after one has ended", wait)
	}
}
