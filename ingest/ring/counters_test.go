package ring

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestDamagedCountersBeginAgain(t *testing.T) {
	c := Config{Lanes: 2, SegmentBytes: 64 << 10, BudgetBytes: 6 * 64 << 10, Dir: t.TempDir()}
	open := func() (*Ring, Recovered) {
		t.Helper()
		r, found, err := Open(c, nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r, found
	}
	r, _ := open()
	r.lanes[0].full.Add(7)
	r.lanes[1].full.Add(5)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Dir, refusedFile)
	counters, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(counters[counterLine:], bytes.Repeat([]byte{0xa5}, 8))
	if err := os.WriteFile(path, counters, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := Refused(c.Dir); n != 7 || err != nil {
		t.Errorf("an onlooker counts %d refusals, %v; want 7", n, err)
	}
	r, found := open()
	if full := r.Stats().Full; full != 7 || found.Counters != 1 {
		t.Errorf("%d refusals and %d damaged counters, want those of the sound lane, 7, and 1", full, found.Counters)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
