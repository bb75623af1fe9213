package redirect

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"carom/ingest/ring"
)

// previousSnapshot is what follows the name of the snapshot that the newest one has replaced. It is read where the newest is
// damaged.
const previousSnapshot = ".previous"

// errShrunken is a snapshot that knows fewer links than the one it should replace. Links are never removed from the reference
// data, not even deleted ones, so something else is wrong.
var errShrunken = errors.New("it knows fewer links than the snapshot on disk")

// save replaces the snapshot at path. After any interruption the old or the new one is there, whole. It returns the size.
func (s *snapshot) save(path string, sealer *Sealer, now time.Time) (size int64, err error) {
	if err := s.mayReplace(path); err != nil {
		return 0, fmt.Errorf("write snapshot %s: %w", path, err)
	}
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write snapshot: %w", err)
	}
	w := bufio.NewWriter(f)
	err = s.write(w, sealer, now)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		size, err = f.Seek(0, io.SeekCurrent)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = putInPlace(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary) // what fills a disk does not stay
		return 0, fmt.Errorf("write snapshot %s: %w", path, err)
	}
	return size, nil
}

// mayReplace refuses a snapshot without keys, and one that knows fewer links than a good one at path.
func (s *snapshot) mayReplace(path string) error {
	if !s.table.Ready() {
		return errors.New("the table has no keys")
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head, err := readSnapshotHead(f)
	if err == nil && head.known > uint64(s.table.known) {
		return fmt.Errorf("%w: %d, there %d; remove the file if that is meant", errShrunken, s.table.known, head.known)
	}
	return nil // a damaged one may be replaced
}

// putInPlace makes the temporary file the snapshot at path, and that the previous one.
func putInPlace(temporary, path string) error {
	err := os.Rename(path, path+previousSnapshot)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return ring.SyncDir(filepath.Dir(path))
}

// A loaded snapshot is what a start goes on from.
type loadedSnapshot struct {
	builder *Builder
	seen    map[string]uint64
	taken   time.Time
	size    int64
}

// loadSnapshot reads the snapshot at path, or the previous one where that is damaged. The error wraps fs.ErrNotExist where
// there is neither.
func loadSnapshot(path string, keys keyOpener) (loadedSnapshot, error) {
	newest, err := loadSnapshotFile(path, keys)
	if err == nil {
		return newest, nil
	}
	previous, err2 := loadSnapshotFile(path+previousSnapshot, keys)
	if err2 == nil {
		return previous, nil
	}
	return loadedSnapshot{}, errors.Join(err, err2)
}

func loadSnapshotFile(path string, keys keyOpener) (s loadedSnapshot, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, fmt.Errorf("read snapshot: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return s, fmt.Errorf("read snapshot: %w", err)
	}
	builder, head, seen, err := readSnapshot(f, keys)
	if err != nil {
		return s, fmt.Errorf("read snapshot %s: %w", path, err)
	}
	return loadedSnapshot{builder, seen, head.taken, info.Size()}, nil
}
