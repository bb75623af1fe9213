package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// files is the store of a ring that outlives its process. A goroutine of its own, the keeper, makes each lane's next file
// before it is asked for; another syncs.
type files struct {
	config   Config
	lock     *os.File
	counters []byte // mapped; a cache line for each lane, its first word counts refusals

	mu      sync.Mutex        // none of the fields below is held over a system call
	wanted  map[int]uint32    // number of the file to make, by lane
	ready   map[int]*prepared // by lane
	freed   []*file           // to be recycled or removed
	inUse   map[*file]bool    // what the syncer looks at
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

// LockFile is the file of a directory that Lock locks.
const LockFile = "lock"

// refusedFile holds the counters of refusals.
const refusedFile = "refused"

// lockPatience is the longest pause between two attempts to take a lock.
const lockPatience = 64 * time.Millisecond

// soundCount tells a count of refusals from damage: no lane refuses more in a lifetime.
func soundCount(refusals uint64) bool { return refusals <= 1<<50 }

// counterLine is what one lane takes of the counter file.
const counterLine = 64

// ErrInUse is a directory that another process works in.
var ErrInUse = errors.New("directory is in use by another process")

// Lock takes a directory for this process, making it when missing, until the returned file is closed or the
// process ends. It fails with ErrInUse.
func Lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for wait := time.Millisecond; errors.Is(err, unix.EWOULDBLOCK) && wait < lockPatience; wait *= 2 {
		time.Sleep(wait) // perhaps somebody only looks, see InUse
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s; end that process or choose another directory", ErrInUse, dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

func newFiles(c Config) (*files, error) {
	lock, err := Lock(c.Dir)
	if err != nil {
		return nil, err
	}
	fs := &files{
		config: c, lock: lock, wanted: map[int]uint32{}, ready: map[int]*prepared{}, inUse: map[*file]bool{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	if fs.counters, err = mapCounters(filepath.Join(c.Dir, refusedFile)); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return fs, nil
}

// mapCounters maps the file of refusal counters: one word for each possible lane, so that what a full spool refused is
// known after a kill.
func mapCounters(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("refusal counters: %w", err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, maxLanes*counterLine); err != nil {
		return nil, fmt.Errorf("preallocate %s: %w", path, err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, maxLanes*counterLine, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return b, nil
}

// resetCounters begins counters again that are damaged and returns how many were: counting on from such a number would make
// every sum with it nonsense for good.
func (fs *files) resetCounters() (damaged int) {
	for lane := range maxLanes {
		if n := fs.refusals(lane); !soundCount(n.Load()) {
			n.Store(0)
			damaged++
		}
	}
	return damaged
}

func (fs *files) refusals(lane int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&fs.counters[lane*counterLine]))
}

// start begins to prepare and to sync. Each lane's first file is made before it returns, so that a directory that cannot
// be written is known now.
func (fs *files) start(next []uint32) error {
	for lane, number := range next {
		if fs.count >= fs.limit() {
			break
		}
		f, err := createFile(fs.config.Dir, fs.header(lane, number))
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
	fs.inUse[p.file] = true
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
	delete(fs.inUse, x.file)
	fs.freed = append(fs.freed, x.file)
	select {
	case fs.wake <- struct{}{}:
	default:
	}
}

// shrink has nothing to do: the keeper removes files that are not needed.
func (fs *files) shrink(time.Time) {}

func (fs *files) err() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.failure
}

// keep is the keeper.
func (fs *files) keep() {
	for {
		select {
		case <-fs.stop:
			return
		case <-fs.wake:
		}
		err := fs.work()
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
func (fs *files) work() error {
	var err error
	for lane := range fs.config.Lanes {
		if err = fs.prepare(lane); err != nil {
			break
		}
	}
	return errors.Join(err, fs.discard())
}

// discard removes what is not needed again of the released files.
func (fs *files) discard() error {
	for {
		fs.mu.Lock()
		var f *file
		i := slices.IndexFunc(fs.freed, func(f *file) bool { return !f.reusable(fs.config) })
		if i < 0 && len(fs.freed) > fs.config.Lanes {
			i = 0
		}
		if i >= 0 {
			f = fs.freed[i]
			fs.freed = slices.Delete(fs.freed, i, i+1)
			fs.count--
		}
		fs.mu.Unlock()
		if f == nil {
			return nil
		}
		if err := f.remove(); err != nil {
			return fmt.Errorf("give a segment back: %w", err)
		}
	}
}

// reusable reports whether the file of a released segment can hold another.
func (f *file) reusable(c Config) bool { return !f.recovered && len(f.mapped) == c.SegmentBytes }

// prepare makes the lane's next file where one is wanted and the budget allows.
func (fs *files) prepare(lane int) error {
	fs.mu.Lock()
	number, wanted := fs.wanted[lane]
	var f *file
	if n := len(fs.freed); wanted && n > 0 && fs.freed[n-1].reusable(fs.config) {
		f, fs.freed = fs.freed[n-1], fs.freed[:n-1]
	}
	allowed := f != nil || fs.count < fs.limit()
	fs.mu.Unlock()
	if !wanted || !allowed {
		return nil
	}
	var err error
	made := 0
	if f != nil {
		err = f.recycle(fs.config.Dir, fs.header(lane, number))
	} else if err = fs.leavesRoom(); err == nil {
		if f, err = createFile(fs.config.Dir, fs.header(lane, number)); err == nil {
			made = 1
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.count += made
	if err != nil {
		if f != nil {
			fs.freed = append(fs.freed, f)
		}
		return err
	}
	if fs.wanted[lane] == number {
		delete(fs.wanted, lane)
	}
	fs.ready[lane] = &prepared{number, f}
	return nil
}

// leavesRoom fails with ENOSPC where another segment would take of the disk what is to be kept free.
func (fs *files) leavesRoom() error {
	var st unix.Statfs_t
	if err := unix.Statfs(fs.config.Dir, &st); err != nil {
		return fmt.Errorf("room on the disk of %s: %w", fs.config.Dir, err)
	}
	if free, need := st.Bavail*uint64(st.Bsize), uint64(fs.config.SegmentBytes+fs.config.KeepFree); free < need {
		return fmt.Errorf("make a segment in %s: %w: %d bytes are free and %d are needed, %d of them for what is being sent",
			fs.config.Dir, unix.ENOSPC, free, need, fs.config.KeepFree)
	}
	return nil
}

// syncAll is the syncer. Twice in an interval, so that a sync that begins late and takes its time ends within it.
func (fs *files) syncAll() {
	tick := time.NewTicker(max(fs.config.SyncEvery/2, 1))
	defer tick.Stop()
	for {
		select {
		case <-fs.stop:
			return
		case <-tick.C:
			fs.syncDirty()
		}
	}
}

// span is bytes of a file.
type span struct {
	file     *file
	from, to uint64
}

// syncDirty writes what moved lately to the disk. A page that the disk refuses stays dirty and is tried again.
func (fs *files) syncDirty() {
	fs.mu.Lock()
	var dirty []span
	for f := range fs.inUse {
		if from, to, ok := f.dirty(); ok {
			dirty = append(dirty, span{f, from, to})
		}
	}
	fs.mu.Unlock()
	for _, d := range dirty {
		if err := d.file.flush(d.from, d.to); err != nil {
			fs.mu.Lock()
			fs.failure = fmt.Errorf("sync a segment: %w", err)
			fs.mu.Unlock()
		}
	}
	_ = unix.Msync(fs.counters, unix.MS_SYNC) // counts alone; the next interval tries again
}

func (fs *files) close() error {
	close(fs.stop)
	fs.done.Wait()
	fs.syncDirty()
	var err error
	for _, f := range fs.freed {
		if f.damaged { // the next Open would not know
			err = errors.Join(err, f.remove())
		}
	}
	return errors.Join(err, fs.lock.Close())
}
