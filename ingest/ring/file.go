package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A file is one mapped segment file. It holds no descriptor: the mapping keeps the bytes.
type file struct {
	path string
	tail atomic.Pointer[atomic.Uint64] // of the segment that uses the file, nil before; tells the syncer what moved

	// mu lets the mapping go only while nobody syncs it.
	mu     sync.RWMutex
	mapped []byte // whole file, header included; nil once unmapped

	recovered bool // an earlier process wrote it
	damaged   bool // reader only: to be kept aside instead of removed

	synced [syncGrace]uint64 // syncer only: bytes reserved at the last syncs, the oldest first
}

// What file names end in.
const (
	segmentSuffix    = ".seg"
	unfinishedSuffix = ".tmp"     // not yet a segment
	damagedSuffix    = ".damaged" // kept aside
)

// filesEnding lists the files of a directory whose names end so, by name.
func filesEnding(dir, suffix string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

func segmentPath(dir string, lane int, number uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%d-%08d"+segmentSuffix, lane, number))
}

// createFile makes a segment file whose every block exists, so that a full disk is an error here and never a SIGBUS in
// a producer, and whose pages are in memory.
func createFile(dir string, h header) (_ *file, err error) {
	path := segmentPath(dir, h.lane, h.number)
	unfinished := path + unfinishedSuffix
	f, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a segment: %w", err)
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(unfinished) // or the next Open does
		}
	}()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(h.length)); err != nil {
		return nil, fmt.Errorf("preallocate %d bytes for %s: %w", h.length, path, err)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(h.length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	h.put(mapped)
	if err := f.Sync(); err != nil {
		return nil, errors.Join(fmt.Errorf("sync %s: %w", path, err), unix.Munmap(mapped))
	}
	if err := os.Rename(unfinished, path); err != nil {
		return nil, errors.Join(fmt.Errorf("name a segment: %w", err), unix.Munmap(mapped))
	}
	if err := errors.Join(SyncDir(dir), populate(mapped)); err != nil { // the file stays and is recovered as empty
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), unix.Munmap(mapped))
	}
	return &file{path: path, mapped: mapped}, nil
}

// populate makes every page ready to be written now rather than under a producer's hand. Syncing a page undoes that for
// it, at the price of a fault of some microseconds for the next producer there.
func populate(mapped []byte) error {
	err := unix.Madvise(mapped, unix.MADV_POPULATE_WRITE)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	for i := headerBytes; i < len(mapped); i += os.Getpagesize() { // Linux before 5.14
		mapped[i] = 0
	}
	return nil
}

// openFile maps a segment file that an earlier process left, as long as it is.
func openFile(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	x := &file{path: path, recovered: true}
	if info.Size() == 0 {
		return x, nil
	}
	x.mapped, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return x, nil
}

// extent is what records go into.
func (f *file) extent() extent {
	return extent{buf: f.mapped[min(headerBytes, len(f.mapped)):], file: f}
}

// recycle makes the file of a released segment the lane's next one: zeroed, and zero on the disk before its header
// says what it is now.
func (f *file) recycle(dir string, h header) error {
	clear(f.mapped[headerBytes:])
	if err := unix.Msync(f.mapped, unix.MS_SYNC); err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	h.put(f.mapped)
	path := segmentPath(dir, h.lane, h.number)
	if err := os.Rename(f.path, path); err != nil {
		return fmt.Errorf("use a segment again: %w", err)
	}
	f.path = path
	f.tail.Store(nil)
	f.synced = [syncGrace]uint64{}
	return errors.Join(unix.Msync(f.mapped[:headerBytes], unix.MS_SYNC), SyncDir(dir), populate(f.mapped))
}

// remove ends the file; a damaged one is kept aside under another name.
func (f *file) remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if f.mapped != nil {
		err = unix.Munmap(f.mapped)
		f.mapped = nil
	}
	if f.damaged {
		return errors.Join(err, os.Rename(f.path, f.path+damagedSuffix))
	}
	return errors.Join(err, os.Remove(f.path))
}

// syncRange writes size bytes of the record at off to the disk. A disk that refuses cannot be told to the producer:
// the page stays dirty and the syncer of the next record tries it again.
func (f *file) syncRange(off, size uint64) { _ = f.flush(off+headerBytes, off+headerBytes+size) }

// flush writes the pages that hold bytes from, to to the disk. A file that was given back has nothing to lose.
func (f *file) flush(from, to uint64) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.mapped == nil {
		return nil
	}
	from -= from % uint64(os.Getpagesize())
	return unix.Msync(f.mapped[from:min(to, uint64(len(f.mapped)))], unix.MS_SYNC)
}

// syncGrace is for how many syncs, two in an interval, what was reserved is synced again, for the producer that was stopped
// between reserving and committing.
const syncGrace = 10

// dirty returns the bytes of the file that may not be on the disk. The syncer calls it each time. Pages behind the
// tail are left alone: they would have to be populated again.
func (f *file) dirty() (from, to uint64, ok bool) {
	tail := f.tail.Load()
	if tail == nil {
		return 0, 0, false
	}
	from, to = f.synced[0], tail.Load()&(tailOne-1)
	copy(f.synced[:], f.synced[1:])
	f.synced[syncGrace-1] = to
	if from > 0 {
		from += headerBytes // else the header too
	}
	return from, to + headerBytes, from < to
}

// SyncDir makes names in a directory outlive a power loss.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
