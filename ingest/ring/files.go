package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// files is the store of a ring that outlives its process. A goroutine of its own, the keeper, makes each lane's next file
// before it is asked for; another syncs.
type files struct {
	config   Config
	lock     *os.File
	disk     syncFunc
	counters []byte   // mapped; a cache line for each lane, its first word counts refusals
	counted  uint64   // syncer only: the sum of them that is on the disk
	first    []uint32 // number of each lane's first file; never changes after start

	mu      sync.Mutex        // not held over a system call; guards the fields below
	wanted  map[int]uint32    // number of the file to make, by lane
	ready   map[int]*prepared // by lane
	freed   []*file           // to be recycled or removed, the one released last at the end
	surplus surplus           // of freed
	moving  map[*file]bool    // those in which something may not be on the disk yet
	count   int               // files that exist, the recovered and the prepared ones included
	failure error             // of the last attempt to make a file

	wake chan struct{}
	stop chan struct{}
	done sync.WaitGroup
}

// prepared is a file that waits to be taken.
type prepared struct {
	number uint32
	file   *file
}

// retryMake is how long the keeper waits after a failure, for a disk that is full or gone.
const retryMake = 100 * time.Millisecond

func newFiles(c Config, disk syncFunc) (*files, error) {
	lock, err := Lock(c.Dir)
	if err != nil {
		return nil, err
	}
	fs := &files{
		config: c, lock: lock, disk: disk, wanted: map[int]uint32{}, ready: map[int]*prepared{}, moving: map[*file]bool{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	if fs.counters, err = mapCounters(filepath.Join(c.Dir, refusedFile)); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return fs, nil
}

// start begins to prepare and to sync. Each lane's first file is made before it returns, so that a directory that cannot
// be written is known now; but none that would take from what was recovered the room that sending it needs, however often a
// process starts: then the keeper makes it, once what was sent has left.
func (fs *files) start(next []uint32) error {
	fs.first = next
	for lane, number := range next {
		if fs.count >= fs.limit() || fs.fits() && errors.Is(fs.roomFor(lane, number), unix.ENOSPC) {
			break
		}
		f, err := createFile(fs.config.Dir, fs.header(lane, number), fs.disk)
		if err != nil {
			return err
		}
		fs.count++
		fs.ready[lane] = &prepared{number, f}
	}
	fs.done.Go(fs.keep)
	if fs.config.SyncEvery > 0 {
		fs.done.Go(fs.syncAll)
	}
	return nil
}

func (fs *files) limit() int { return fs.config.BudgetBytes / fs.config.SegmentBytes }

func (fs *files) header(lane int, number uint32) header {
	return header{lane: lane, number: number, length: uint64(fs.config.SegmentBytes), identity: fs.config.Identity}
}

func (fs *files) take(lane int, number uint32) (extent, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	p := fs.ready[lane]
	if p == nil || p.number != number {
		fs.want(lane, number)
		return extent{}, false
	}
	delete(fs.ready, lane)
	fs.moving[p.file] = true
	fs.want(lane, number+1)
	return p.file.extent(), true
}

// want asks the keeper for a file. The caller holds mu.
func (fs *files) want(lane int, number uint32) {
	fs.wanted[lane] = number
	select {
	case fs.wake <- struct{}{}:
	default:
	}
}

func (fs *files) give(x extent) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.moving, x.file)
	fs.freed = append(fs.freed, x.file)
	select {
	case fs.wake <- struct{}{}:
	default:
	}
}

// shrink has nothing to do: the keeper removes what nobody needs, as that waits for the disk.
func (fs *files) shrink(time.Time) {}

func (fs *files) err() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.failure
}

// lookEvery is how often the keeper looks for files that nobody needs, and whether the disk needs their room.
const lookEvery = time.Second

// keep is the keeper.
func (fs *files) keep() {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-fs.stop:
			return
		case <-fs.wake:
		case <-look.C:
		}
		err := fs.work(time.Now())
		fs.mu.Lock()
		fs.failure = err
		fs.mu.Unlock()
		if err != nil {
			select {
			case <-fs.stop:
				return
			case <-time.After(retryMake):
			}
		}
	}
}

// work makes the files that are wanted, of released ones where there are any, and removes the released ones that are
// not needed again: also where none could be made, as the disk may be full of them.
func (fs *files) work(now time.Time) error {
	err := fs.held()
	if err != nil {
		return err
	}
	for lane := range fs.config.Lanes {
		if err = fs.prepare(lane); err != nil {
			break
		}
	}
	return errors.Join(err, fs.discard(now), fs.makeRoom())
}

// discard removes the released files that cannot be used again, and those that nobody needed for keepUnused.
func (fs *files) discard(now time.Time) error {
	fs.mu.Lock()
	var useless []*file
	fs.freed = slices.DeleteFunc(fs.freed, func(f *file) bool {
		if f.reusable(fs.config) {
			return false
		}
		useless = append(useless, f)
		return true
	})
	n := fs.surplus.due(now, len(fs.freed))
	useless = append(useless, fs.freed[:n]...)
	fs.freed = slices.Delete(fs.freed, 0, n)
	fs.count -= len(useless)
	fs.mu.Unlock()
	var err error
	for _, f := range useless {
		err = errors.Join(err, f.remove())
	}
	return err
}

// makeRoom removes released files while the disk is so full that no new one could be made: what is being sent, and others, need
// the room more.
func (fs *files) makeRoom() error {
	for {
		fs.mu.Lock()
		left := len(fs.freed)
		fs.mu.Unlock()
		if left == 0 || !errors.Is(fs.leavesRoom(), unix.ENOSPC) {
			return nil
		}
		fs.mu.Lock()
		f := fs.freed[0]
		fs.freed = fs.freed[1:]
		fs.surplus.left(left - 1)
		fs.count--
		fs.mu.Unlock()
		if err := f.remove(); err != nil {
			return err
		}
	}
}

// reusable reports whether the file of a released segment can hold another.
func (f *file) reusable(c Config) bool {
	return !f.recovered && !f.spoiled && len(f.mapped) == c.SegmentBytes
}

// prepare makes the lane's next file where one is wanted and the budget allows.
func (fs *files) prepare(lane int) error {
	fs.mu.Lock()
	number, wanted := fs.wanted[lane]
	var f *file
	if n := len(fs.freed); wanted && n > 0 && fs.freed[n-1].reusable(fs.config) {
		f, fs.freed = fs.freed[n-1], fs.freed[:n-1]
		fs.surplus.left(n - 1)
	}
	allowed := f != nil || fs.count < fs.limit()
	fs.mu.Unlock()
	if !wanted || !allowed {
		return nil
	}
	var err error
	made := 0
	if f != nil {
		err = f.recycle(fs.config.Dir, fs.header(lane, number), fs.config.SyncEvery == 0)
	} else if err = fs.roomFor(lane, number); err == nil {
		if f, err = createFile(fs.config.Dir, fs.header(lane, number), fs.disk); err == nil {
			made = 1
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.count += made
	if err != nil {
		if f != nil {
			f.spoiled = true
			fs.freed = append(fs.freed, f) // to be removed
		}
		return err
	}
	if fs.wanted[lane] == number {
		delete(fs.wanted, lane)
	}
	fs.ready[lane] = &prepared{number, f}
	return nil
}

// roomFor fails as leavesRoom does, but not where each lane is to have its first file: a ring has as many files as lanes on any disk that
// they fit.
func (fs *files) roomFor(lane int, number uint32) error {
	fs.mu.Lock()
	few := fs.count < fs.config.Lanes
	fs.mu.Unlock()
	if few && number == fs.first[lane] {
		return nil
	}
	return fs.leavesRoom()
}

// fits reports whether a segment could be made at all.
func (fs *files) fits() bool {
	st, err := fs.room()
	return err == nil && st.Bavail*uint64(st.Bsize) >= uint64(fs.config.SegmentBytes)
}

// room is what the disk has.
func (fs *files) room() (st unix.Statfs_t, err error) {
	if err := unix.Statfs(fs.config.Dir, &st); err != nil {
		return st, fmt.Errorf("room on the disk of %s: %w", fs.config.Dir, err)
	}
	return st, nil
}

// keepFiles is how many files can be made on the disk besides segments: what is being sent, what it is cut into, rows set aside, and all
// of it for clicks and for conversions.
const keepFiles = 8

// leavesRoom fails with ENOSPC where another segment would take of the disk what is to be kept free, a file for each lane of the next
// start included.
func (fs *files) leavesRoom() error {
	st, err := fs.room()
	if err != nil {
		return err
	}
	if free, need := st.Bavail*uint64(st.Bsize), uint64(fs.config.SegmentBytes+fs.config.KeepFree); free < need {
		return fmt.Errorf("make a segment in %s: %w: %d bytes are free and %d are needed, %d of them for what is being sent",
			fs.config.Dir, unix.ENOSPC, free, need, fs.config.KeepFree)
	}
	if need := uint64(keepFiles + fs.config.Lanes); st.Files > 0 && st.Ffree <= need { // 0: as many as there is room for
		return fmt.Errorf("make a segment in %s: %w: %d more files can be made there and %d are kept for what is being sent",
			fs.config.Dir, unix.ENOSPC, st.Ffree, need)
	}
	return nil
}

// held fails where files would be made, named and removed in another's directory.
func (fs *files) held() error { return Held(fs.lock, fs.config.Dir) }

func (fs *files) close() error {
	close(fs.stop)
	fs.done.Wait()
	fs.syncDirty()
	err := fs.held()
	for _, f := range fs.freed {
		if f.damaged && err == nil { // the next Open would not know
			err = errors.Join(err, f.remove())
		}
	}
	return errors.Join(err, fs.lock.Close())
}
