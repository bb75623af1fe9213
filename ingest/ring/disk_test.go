package ring

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"carom/ingest/faults"
)

// ballast is a file that takes room on a small disk until it is removed.
func ballast(t *testing.T, disk string, bytes int) (remove func()) {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	if err := os.WriteFile(path, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// fill pushes until the ring says that no segment can be made, and returns how many records it took and refused.
func fill(t *testing.T, r *Ring) (took, refused int) {
	t.Helper()
	waitFor(t, "the disk to be full", func() bool {
		for range 100 {
			if push(r, 0, make([]byte, 4000)) {
				took++
			} else {
				refused++
			}
			r.Refill()
		}
		return refused > 0 && r.Stats().Err != nil
	})
	return took, refused
}

// A full disk is an error, not a signal; the ring lives on what it has and heals when there is room.
func TestDiskFull(t *testing.T) {
	dir := faults.Tmpfs(t, 4<<20, faults.AnyFiles)
	makeRoom := ballast(t, dir, 3<<20)
	c := spooled(filepath.Join(dir, "ring"), 1)
	c.BudgetBytes = 64 << 20
	r, _ := open(t, c, nil)
	defer closed(t, r)
	took, refused := fill(t, r)
	if st := r.Stats(); !errors.Is(st.Err, unix.ENOSPC) || st.Waiting != uint64(took) || st.Full != uint64(refused) || took == 0 {
		t.Errorf("%d pushed, %d refused: %+v", took, refused, st)
	}
	if all, lost := readAll(r); len(all) != took || lost != 0 {
		t.Errorf("read %d, lost %d of %d", len(all), lost, took)
	}
	makeRoom()
	waitFor(t, "the ring to heal", func() bool {
		r.Refill()
		return r.Stats().Err == nil && push(r, 0, []byte("again"))
	})

	ballast(t, dir, 1<<20)
	c.Dir = filepath.Join(dir, "other")
	c.SegmentBytes, c.BudgetBytes = 8<<20, 64<<20
	if _, _, err := Open(c, nil, nil, nil); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Open on a disk that is too small: %v, want ENOSPC", err)
	}
}

// Segments leave others the room that they are to have.
func TestKeepFree(t *testing.T) {
	dir := faults.Tmpfs(t, 4<<20, faults.AnyFiles)
	c := spooled(filepath.Join(dir, "ring"), 1)
	c.BudgetBytes, c.KeepFree = 64<<20, 1<<20
	r, _ := open(t, c, nil)
	defer closed(t, r)
	if took, _ := fill(t, r); took < 500 {
		t.Errorf("only %d records were taken: most of the disk is the ring's", took)
	}
	ballast(t, dir, c.KeepFree)
}

// However often a process is killed on a full disk, the next one leaves the room that sending needs, goes on from what is there, and
// takes records again once some of it is released.
func TestRestartsKeepFree(t *testing.T) {
	dir := faults.Tmpfs(t, 4<<20, faults.AnyFiles)
	c := spooled(filepath.Join(dir, "ring"), 2)
	c.BudgetBytes, c.KeepFree = 64<<20, 1<<20
	r, _ := open(t, c, nil)
	took, _ := fill(t, r)
	for range 20 {
		closed(t, r)
		vanish(t, r)
		var found Recovered
		if r, found = open(t, c, nil); found.Records != uint64(took) {
			t.Fatalf("%d records of %d are found", found.Records, took)
		}
		for hint := range uint64(c.Lanes) { // what a lane has taken keeps its file
			if push(r, hint, []byte("one")) {
				took++
			}
		}
	}
	ballast(t, dir, c.KeepFree)()
	readAll(r)
	r.Release(r.Mark(nil))
	for hint := range uint64(c.Lanes) {
		waitFor(t, "released segments to make room", func() bool {
			r.Refill()
			return push(r, hint, []byte("again"))
		})
	}
	closed(t, r)
}

// On a full disk, what was read of an earlier process's segments makes room for new ones.
func TestDiskFullOfOldSegments(t *testing.T) {
	dir := faults.Tmpfs(t, 4<<20, faults.AnyFiles)
	c := spooled(filepath.Join(dir, "ring"), 1)
	c.BudgetBytes = 64 << 20
	r, _ := open(t, c, nil)
	took, _ := fill(t, r)
	closed(t, r)
	last := r.lanes[0].active.Load()
	took -= int(last.reserved())
	if err := last.file.remove(); err != nil { // room for the first segment of the next process
		t.Fatal(err)
	}
	vanish(t, r)
	r, found := open(t, c, nil)
	defer closed(t, r)
	if found.Records != uint64(took) {
		t.Errorf("%d records of %d are found", found.Records, took)
	}
	fill(t, r)
	readAll(r)
	r.Release(r.Mark(nil))
	waitFor(t, "old segments to make room", func() bool {
		r.Refill()
		return push(r, 0, make([]byte, 4000))
	})
}

// vanish takes the mappings of a closed ring away, as the end of its process would.
func vanish(t *testing.T, r *Ring) {
	t.Helper()
	for i := range r.lanes {
		for s := r.lanes[i].oldest; s != nil; s = s.next.Load() {
			if s.file == nil || s.file.mapped == nil {
				continue
			}
			if err := unix.Munmap(s.file.mapped); err != nil {
				t.Fatal(err)
			}
			s.file.mapped = nil
		}
	}
}
