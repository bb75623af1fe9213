package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
	spoiled   bool // keeper only: it failed to be used again, and may have another's number by now
	damaged   bool // reader only: to be kept aside instead of removed

	disk      syncFunc
	salt      uint64 // of the segment's checksums, and of its watermark
	watermark uint64 // what the header says; the syncer raises it, the keeper sets it while no segment uses the file

	// Syncer only while a segment uses the file.
	seen  uint64 // bytes reserved at the last sync
	grace int    // syncs to come even if nothing moves
}

// A syncFunc returns once bytes from, to of the mapped file are on the disk.
type syncFunc func(f *file, from, to uint64) error

// msync is the syncFunc of a real disk.
func (f *file) msync(from, to uint64) error {
	from -= from % uint64(os.Getpagesize())
	return unix.Msync(f.mapped[from:min(to, uint64(len(f.mapped)))], unix.MS_SYNC)
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
func createFile(dir string, h header, disk syncFunc) (_ *file, err error) {
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
	x := &file{path: path, mapped: mapped, disk: disk}
	x.begin(h, h.length-headerBytes) // new blocks read as zeros
	if err := disk(x, 0, headerBytes); err != nil {
		return nil, errors.Join(fmt.Errorf("sync %s: %w", path, err), unix.Munmap(mapped))
	}
	if err := os.Rename(unfinished, path); err != nil {
		return nil, errors.Join(fmt.Errorf("name a segment: %w", err), unix.Munmap(mapped))
	}
	if err := errors.Join(SyncDir(dir), populate(mapped)); err != nil { // the file stays and is recovered as empty
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), unix.Munmap(mapped))
	}
	return x, nil
}

// begin makes the file the segment that h describes. The disk has no earlier segment's bytes among the first so many.
func (f *file) begin(h header, watermark uint64) {
	f.salt = saltOf(h.identity, h.lane, h.number)
	f.mark(watermark) // first: the kernel may write a header of which only the number is there
	h.put(f.mapped)
}

// mark puts the watermark into the header.
func (f *file) mark(watermark uint64) {
	f.watermark = watermark
	atomic.StoreUint64(word(f.mapped, watermarkAt), watermarkWord(watermark, f.salt))
}

// populate makes pages ready to be written now rather than under a producer's hand. Syncing a page undoes that for
// it, at the price of a fault of some microseconds for the next producer there.
func populate(pages []byte) error {
	err := unix.Madvise(pages, unix.MADV_POPULATE_WRITE)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	for i := 0; i < len(pages); i += os.Getpagesize() { // Linux before 5.14
		first := word(pages, uint64(i))
		atomic.StoreUint64(first, atomic.LoadUint64(first))
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

// recycleStep is how many bytes are made ready at a time: short enough that on a node of one core nobody waits for it, and that
// they are still in the processor's cache when they are cleared.
const recycleStep = 256 << 10

// recycle makes the file of a released segment the lane's next one. It is cleared in memory alone, and nothing is synced: after a
// power loss bytes of the earlier segment may stand behind the watermark, and where the header is the earlier segment's, that is
// stored elsewhere. eager is for files that no syncer marks: they are zero on the disk before the header says what they are now.
func (f *file) recycle(dir string, h header, eager bool) error {
	for from := 0; from < len(f.mapped); from += recycleStep {
		step := f.mapped[from:min(from+recycleStep, len(f.mapped))]
		if err := populate(step); err != nil { // told here, it would be a signal below
			return fmt.Errorf("prepare %s: %w", f.path, err)
		}
		if from == 0 {
			step = step[headerBytes:]
		}
		clear(step)
		runtime.Gosched()
	}
	watermark := uint64(0)
	if eager {
		if err := f.disk(f, 0, h.length); err != nil {
			return fmt.Errorf("sync %s: %w", f.path, err)
		}
		watermark = h.length - headerBytes
	}
	f.mu.Lock() // a sync of the earlier segment that is late must not mark this one
	defer f.mu.Unlock()
	path := segmentPath(dir, h.lane, h.number)
	if err := os.Rename(f.path, path); err != nil { // before the header: no two files may have one number
		return fmt.Errorf("use a segment again: %w", err)
	}
	f.path = path
	f.tail.Store(nil)
	f.seen, f.grace = 0, 0
	f.begin(h, watermark)
	if eager {
		return f.disk(f, 0, headerBytes)
	}
	return nil
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
		err = errors.Join(err, os.Rename(f.path, f.path+damagedSuffix))
	} else {
		err = errors.Join(err, os.Remove(f.path))
	}
	if err != nil {
		return fmt.Errorf("give a segment back: %w", err)
	}
	return nil
}

// syncRange writes size bytes of the record at off to the disk. A disk that refuses cannot be told to the producer:
// the page stays dirty and the syncer of the next record tries it again.
func (f *file) syncRange(off, size uint64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.mapped != nil {
		_ = f.disk(f, off+headerBytes, off+headerBytes+size)
	}
}

// startWriting has the system begin to write the header and so many bytes of records to the disk.
func (f *file) startWriting(reserved uint64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.mapped == nil {
		return
	}
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // the sync that follows does not need it
	}
	_ = unix.SyncFileRange(fd, 0, int64(headerBytes+reserved), unix.SYNC_FILE_RANGE_WRITE)
	_ = unix.Close(fd)
}

// sync writes the header and what a segment, known by its tail, has reserved to the disk, and then raises the watermark, which the
// next sync takes there. A file that was given back has nothing to lose.
func (f *file) sync(tail *atomic.Uint64, reserved uint64) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.mapped == nil || f.tail.Load() != tail {
		return nil
	}
	if err := f.disk(f, 0, headerBytes+reserved); err != nil {
		return err
	}
	if reserved > f.watermark {
		f.mark(reserved)
	}
	return nil
}

// syncGrace is how many more syncs, two in an interval, follow after the last record was reserved, for the producer that was stopped
// between reserving and committing. Each has the disk empty its cache.
const syncGrace = 4

// reserved returns how many bytes of records the segment that uses the file has given room, and its tail; nil where none does.
func (f *file) reserved() (tail *atomic.Uint64, bytes uint64) {
	if tail = f.tail.Load(); tail != nil {
		bytes = min(tail.Load()&(tailOne-1), uint64(len(f.mapped))-headerBytes)
	}
	return tail, bytes
}

// dirty returns how many bytes of which segment may not be on the disk, for sync; ok is false where none move any more. The syncer calls
// it each time. The system skips pages among them that did not change; those behind the tail are left alone, as they would have to be
// populated again.
func (f *file) dirty() (tail *atomic.Uint64, reserved uint64, ok bool) {
	tail, reserved = f.reserved()
	if tail == nil {
		return nil, 0, false
	}
	if reserved != f.seen {
		f.seen, f.grace = reserved, syncGrace
	}
	if f.grace == 0 {
		return tail, reserved, false
	}
	f.grace--
	return tail, reserved, true
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
