//go:build !race

package ring

import "testing"

func TestPushDoesNotAllocate(t *testing.T) {
	r := small(t, 1, 3)
	payload := make([]byte, 256)
	if n := testing.AllocsPerRun(500, func() { push(r, 0, payload) }); n != 0 {
		t.Errorf("%v allocations a push", n)
	}
}
