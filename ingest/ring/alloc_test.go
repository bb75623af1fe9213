//go:build !race

package ring

import "testing"

func TestPushDoesNotAllocate(t *testing.T) {
	inFiles, _ := open(t, spooled(t.TempDir(), 1), nil)
	defer closed(t, inFiles)
	for name, r := range map[string]*Ring{"memory": small(t, 1, 3), "files": inFiles} {
		payload := make([]byte, 256)
		if n := testing.AllocsPerRun(200, func() { push(r, 0, payload) }); n != 0 {
			t.Errorf("%s: %v allocations a push", name, n)
		}
	}
}
