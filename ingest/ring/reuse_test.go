package ring

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"carom/ingest/faults"
)

// pileUp fills so many segments of the only lane, and has all of it read and released.
func pileUp(t *testing.T, r *Ring, segments uint32) {
	t.Helper()
	for last := r.lanes[0].active.Load().number + segments; r.lanes[0].active.Load().number < last; {
		pushed(r, 0, make([]byte, 4000))
	}
	readAll(r)
	r.Release(r.Mark(nil))
}

// inodes are the segment files of a directory, whatever their names.
func inodes(t *testing.T, dir string) (all []uint64) {
	t.Helper()
	paths, err := filesEnding(dir, segmentSuffix)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		all = append(all, st.Ino)
	}
	slices.Sort(all)
	return all
}

// settled waits until the keeper has nothing to make.
func settled(t *testing.T, r *Ring) {
	t.Helper()
	fs := r.store.(*files)
	waitFor(t, "the keeper", func() bool {
		r.Refill()
		fs.mu.Lock()
		defer fs.mu.Unlock()
		return len(fs.wanted) == 0 && len(fs.ready) == 1
	})
}

// A second pile-up makes no new file; what a pile-up needed is kept for a while and then goes back.
func TestFilesAreUsedAgain(t *testing.T) {
	c := spooled(t.TempDir(), 1)
	c.BudgetBytes = 32 * c.SegmentBytes
	r, _ := open(t, c, nil)
	defer closed(t, r)
	pileUp(t, r, 12)
	settled(t, r)
	first := inodes(t, c.Dir)
	for range 3 {
		pileUp(t, r, 6)
	}
	settled(t, r)
	if second := inodes(t, c.Dir); len(first) < 12 || !slices.Equal(first, second) {
		t.Errorf("files %v, and %v after further pile-ups", first, second)
	}
	fs := r.store.(*files)
	later := time.Now()
	for range 2 {
		later = later.Add(keepUnused + time.Second)
		if err := fs.discard(later); err != nil {
			t.Fatal(err)
		}
	}
	if left := len(inodes(t, c.Dir)); left != 1+c.spares()+1 { // the active one, spares, and one that is ready
		t.Errorf("%d files are left after a quiet time", left)
	}
}

// Files that wait to be used again make room when the disk is full: for what is being sent, and for others.
func TestFullDiskTakesFilesBack(t *testing.T) {
	dir := faults.Tmpfs(t, 4<<20, faults.AnyFiles)
	c := spooled(filepath.Join(dir, "ring"), 1)
	c.BudgetBytes, c.KeepFree = 32*c.SegmentBytes, 1<<20
	r, _ := open(t, c, nil)
	defer closed(t, r)
	pileUp(t, r, 24)
	settled(t, r)
	before := len(inodes(t, c.Dir))
	ballast(t, dir, 2<<20)
	waitFor(t, "files to be given back", func() bool {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		return st.Bavail*uint64(st.Bsize) >= uint64(c.SegmentBytes+c.KeepFree)
	})
	if after := len(inodes(t, c.Dir)); after >= before {
		t.Errorf("%d files, %d before the disk was full", after, before)
	}
	if err := os.WriteFile(filepath.Join(dir, "state"), make([]byte, c.KeepFree), 0o600); err != nil {
		t.Error(err)
	}
	for range 10 {
		pushed(r, 0, make([]byte, 4000))
	}
}
