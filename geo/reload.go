package geo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// file is one database file and the table that was last made of it.
type file struct {
	kind Kind
	path string

	// table is replaced whole by refresh; any goroutine reads it. nil until a file was good.
	table atomic.Pointer[table]
	// seen is the version last tried, good or bad: a refused one is not tried again before it changes.
	// Only refresh touches it, and only one refresh runs at a time.
	seen version

	// Written by refresh, read by Stats.
	loaded  atomic.Pointer[time.Time] // when table was replaced
	refusal atomic.Pointer[error]     // why the file that lies there now is not in use; nil when it is
	loads   atomic.Uint64
	refused atomic.Uint64
}

func newFile(kind Kind, path string) *file { return &file{kind: kind, path: path} }

// version is what tells an edition of a file from the one before it without reading it. A file that cannot be looked
// at is a version too, so that it is reported once.
type version struct {
	modified int64 // Unix nanoseconds
	size     int64 // bytes
	missing  bool
}

func look(path string) (version, error) {
	info, err := os.Stat(path)
	if err != nil {
		return version{missing: true}, err
	}
	return version{modified: info.ModTime().UnixNano(), size: info.Size()}, nil
}

// maxFile is the largest file that is read, in bytes; the largest published city databases have 150 MB.
const maxFile = 1 << 30

var errChanging = errors.New("file is being written")

// watch looks at the files until ctx ends.
func (db *DB) watch(ctx context.Context) {
	defer close(db.done)
	tick := time.NewTicker(db.config.ReloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, f := range db.files {
				_ = db.refresh(f) // counted and logged there
			}
		}
	}
}

// refresh reads f if it has changed since it was last tried. A file that is refused leaves the table in use as it is.
func (db *DB) refresh(f *file) error {
	now, err := look(f.path)
	if err == nil && now == f.seen || now.missing && f.seen.missing {
		return nil
	}
	var next *table
	if err == nil {
		next, err = f.read(now, db.config.MaxShrink)
	}
	if errors.Is(err, errChanging) && f.table.Load() != nil {
		return nil // not tried: the next look sees a version that may be whole
	}
	f.seen = now
	if err != nil {
		err = fmt.Errorf("%s database %s: %w (put a whole file there by renaming; the last good one stays in use)",
			f.kind, f.path, err)
		f.refusal.Store(&err)
		f.refused.Add(1)
		db.config.Logger.Error("geo database refused", "kind", f.kind, "path", f.path, "error", err)
		return err
	}
	loaded := time.Now()
	f.table.Store(next)
	f.loaded.Store(&loaded)
	f.refusal.Store(nil)
	f.loads.Add(1)
	db.config.Logger.Info("geo database loaded", "kind", f.kind, "path", f.path,
		"networks", next.networks, "built", next.built.UTC().Format(time.DateOnly))
	return nil
}

// read makes a table of the version of the file that look has just seen.
func (f *file) read(seen version, maxShrink float64) (*table, error) {
	if seen.size > maxFile {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrCorrupt, seen.size, maxFile)
	}
	// Read, not mapped: a file that is truncated in place would turn a mapping into SIGBUS.
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	if now, err := look(f.path); err != nil || now != seen || int64(len(raw)) != seen.size {
		return nil, errChanging
	}
	next, err := read(raw, f.kind)
	if err != nil {
		return nil, err
	}
	if last := f.table.Load(); last != nil {
		if least := float64(last.networks) * (1 - maxShrink); float64(next.networks) < least {
			return nil, fmt.Errorf("%w from %d networks to %d", ErrShrunk, last.networks, next.networks)
		}
	}
	return next, nil
}

// FileStats is the state of one database file.
type FileStats struct {
	Kind     Kind
	Path     string
	Built    time.Time // when the publisher made the table in use; zero when none is in use
	Loaded   time.Time // when this process took it into use
	Networks int       // networks it has data for
	Loads    uint64    // files taken into use since the start
	Refused  uint64    // files refused since the start
	Err      error     // why the file that lies there now is not in use; nil when it is
}

// Stats tells the state of every configured file.
func (db *DB) Stats() []FileStats {
	all := make([]FileStats, 0, len(db.files))
	for _, f := range db.files {
		s := FileStats{Kind: f.kind, Path: f.path, Loads: f.loads.Load(), Refused: f.refused.Load()}
		if t := f.table.Load(); t != nil {
			s.Built, s.Networks = t.built, t.networks
		}
		if loaded := f.loaded.Load(); loaded != nil {
			s.Loaded = *loaded
		}
		if err := f.refusal.Load(); err != nil {
			s.Err = *err
		}
		all = append(all, s)
	}
	return all
}

// Age is how long ago the publisher made the oldest table in use; 0 where no file is configured. A configured file of
// which no edition was ever good counts from the Unix epoch, which no alert overlooks.
func (db *DB) Age(now time.Time) time.Duration {
	var oldest time.Duration
	for _, s := range db.Stats() {
		if s.Built.IsZero() {
			s.Built = time.Unix(0, 0)
		}
		oldest = max(oldest, now.Sub(s.Built))
	}
	return oldest
}
