package ring

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// What was read and is not stored stays through a restart, is not read again, and goes with the first mark; a damaged file of it is
// kept aside then, as if there had been no restart.
func TestReadAndNotStored(t *testing.T) {
	c := spooled(t.TempDir(), 1)
	r, _ := open(t, c, nil)
	for i := range 600 {
		pushed(r, 0, fmt.Appendf(nil, "%0200d", i))
	}
	r.lanes[0].oldest.next.Load().buf[recordHeader] ^= 1
	closed(t, r)

	r, found := open(t, c, nil)
	if all, lost := readAll(r); found.Lost != 1 || lost != 1 || len(all) != 599 {
		t.Fatalf("found %+v, read %d, lost %d", found, len(all), lost)
	}
	read := r.Mark(nil).Positions()
	closed(t, r)

	r, found, err := Open(c, nil, read, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	mark := r.Mark(nil)
	pushed(r, 0, []byte("new"))
	if all, lost := readAll(r); found != (Recovered{}) || lost != 0 || len(all) != 1 || all[0] != "new" {
		t.Errorf("found %+v, read %q, lost %d; want what is new", found, all, lost)
	}
	of := func(number uint32) int {
		names, _ := filepath.Glob(segmentPath(c.Dir, 0, number) + "*")
		return len(names)
	}
	if of(0) != 1 || of(1) != 1 {
		t.Error("segments are gone before they are released")
	}
	r.Release(mark)
	waitFor(t, "the segments to go", func() bool { return of(0) == 0 })
	waitFor(t, "the damaged one to be kept aside", func() bool {
		_, err := os.Stat(segmentPath(c.Dir, 0, 1) + damagedSuffix)
		return err == nil
	})
}
