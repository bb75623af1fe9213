package redirect

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
)

// A keeper writes snapshots of what a Source has read, in the background, and reads the one that a start goes on from. Its
// methods belong to the source's goroutine unless they say otherwise. Without a file it does nothing.
type keeper struct {
	config SourceConfig
	sealer *Sealer
	log    *slog.Logger

	last    *snapshot   // the newest that could be written; its parts are never changed
	dirty   atomic.Bool // last is not what the file holds; a write that fails sets it again
	began   time.Time   // when the last write began
	writing sync.WaitGroup
	busy    atomic.Bool // a write is under way; only its goroutine ends it

	taken  atomic.Int64  // of the file: Unix milliseconds when its content was known to be complete, 0 = no file
	size   atomic.Int64  // of the file in bytes
	errors atomic.Uint64 // snapshots that were not written, or read and refused
}

func newKeeper(c SourceConfig, sealer *Sealer, reg prometheus.Registerer, log *slog.Logger) *keeper {
	k := &keeper{config: c, sealer: sealer, log: log}
	metric.Gauge(reg, "carom_snapshot_age_seconds", "Time since the snapshot on disk was known to be what ClickHouse holds; NaN without one.",
		nil, func() float64 {
			if age, kept := k.age(time.Now()); kept {
				return age.Seconds()
			}
			return math.NaN()
		})
	metric.Gauge(reg, "carom_snapshot_bytes", "Size of the snapshot on disk.", nil, func() float64 { return float64(k.size.Load()) })
	metric.Counter(reg, "carom_snapshot_errors_total", "Snapshots that could not be written, or were refused when read.", nil, &k.errors)
	return k
}

// age is the time since the content of the file was known to be complete; false where there is no file. Anybody may call it.
func (k *keeper) age(now time.Time) (age time.Duration, kept bool) {
	taken := k.taken.Load()
	return now.Sub(time.UnixMilli(taken)), taken != 0
}

// load reads the snapshot that a start goes on from; false where there is none that can be used.
func (k *keeper) load() (s loadedSnapshot, ok bool) {
	if k.config.Snapshot == "" {
		return s, false
	}
	s, err := loadSnapshot(k.config.Snapshot, k.sealer)
	switch {
	case err == nil:
		k.last, k.began = s.builder.snapshot(s.taken, s.seen), s.taken
		k.taken.Store(s.taken.UnixMilli())
		k.size.Store(s.size)
		return s, true
	case !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errSnapshot) || errors.Is(err, ErrSealed):
		k.errors.Add(1)
		k.log.Error("the snapshot is refused; the table comes from ClickHouse alone", "error", err)
	}
	return s, false
}

// changed notes what the table in use was made of, complete as of now.
func (k *keeper) changed(b *Builder, seen map[string]uint64, now time.Time) {
	if k.config.Snapshot != "" {
		k.last = b.snapshot(now, seen)
		k.dirty.Store(true)
	}
}

// confirmed notes that the table in use is complete as of now.
func (k *keeper) confirmed(now time.Time) {
	if k.last != nil {
		next := *k.last
		next.taken = now
		k.last = &next
	}
}

// write begins to write a snapshot if one is due and none is being written.
func (k *keeper) write(now time.Time) {
	wait := k.config.SnapshotAge
	if k.dirty.Load() {
		wait = k.config.SnapshotEvery
	}
	if k.last == nil || now.Sub(k.began) < wait || !k.busy.CompareAndSwap(false, true) {
		return
	}
	k.began = now
	k.dirty.Store(false)
	s := k.last
	k.writing.Go(func() {
		defer k.busy.Store(false)
		size, err := s.save(k.config.Snapshot, k.sealer, now)
		if err != nil {
			k.errors.Add(1)
			k.dirty.Store(true)
			k.log.Error("snapshot not written; the one before stays", "error", err)
			return
		}
		k.taken.Store(s.taken.UnixMilli())
		k.size.Store(size)
	})
}

// wait returns when no snapshot is being written.
func (k *keeper) wait() { k.writing.Wait() }
