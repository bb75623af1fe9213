// Package ring is the bounded, lock-free buffer between redirects and the flusher: many producers, one reader,
// records of any length up to MaxRecord, in memory or in mapped files that outlive the process.
//
// A ring has lanes, so that producers on different cores seldom meet; a lane is a chain of segments. A
// producer reserves room with one atomic add on the active segment and commits the record with one atomic store; when
// a segment is full it goes on to the spare behind it, one of several that the reader's side keeps ready. Nobody
// waits: without a spare the record is refused and counted.
//
// Positions live in Go memory, records in plain bytes, so the bytes can be a mapped file. A producer that slept while
// its segment was read and freed still holds the old *segment, whose tail stays full for ever: it cannot
// reserve there, so it never touches bytes that were given back, and a reservation that succeeded keeps the segment
// from being read past until it is committed.
package ring

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"time"
)

// Config sizes a ring and says where it lives.
type Config struct {
	Lanes        int // producers are spread over so many; default one per core
	SegmentBytes int // bytes of one segment; at least 64 KiB, default 4 MiB
	BudgetBytes  int // bytes of all segments together; at least three segments a lane, default 256 MiB

	Dir       string        // of the segment files, made when missing; "" = in memory
	Identity  uint64        // of the spool: seeds the checksums, so that another spool's records are not taken for ours
	KeepFree  int           // bytes of the disk that segments leave to others, such as what is being sent
	SyncEvery time.Duration // a power loss loses at most so much; 0 = Commit waits for the disk. Killing the process loses nothing
}

// Default is for a node with a core or more and a ClickHouse that may be away for a minute.
func Default() Config {
	const segment = 4 << 20
	lanes := runtime.GOMAXPROCS(0)
	return Config{
		Lanes: lanes, SegmentBytes: segment, BudgetBytes: max(256<<20, 4*lanes*segment), // on many cores more, or a lane had no spare
		SyncEvery: 200 * time.Millisecond,
	}
}

const maxLanes = 1024

// ErrConfig is wrapped by Open's refusals of a configuration.
var ErrConfig = errors.New("ring configuration")

// A Ring is the buffer. Reserve may be called by any goroutine; everything else by one, the reader.
type Ring struct {
	config Config
	store  store
	lanes  []lane // those that producers use, then those that only hold what an earlier configuration left
	next   int    // reader only: lane to read next
}

func (c Config) validate() error {
	if c.Lanes < 1 || c.Lanes > maxLanes {
		return fmt.Errorf("%w: %d lanes, 1 to %d are possible", ErrConfig, c.Lanes, maxLanes)
	}
	if c.SegmentBytes < 64<<10 || c.SegmentBytes > 512<<20 || bits.OnesCount(uint(c.SegmentBytes)) != 1 {
		return fmt.Errorf("%w: segments of %d bytes, a power of two from 64 KiB to 512 MiB is possible", ErrConfig, c.SegmentBytes)
	}
	if least := 3 * c.Lanes * c.SegmentBytes; c.BudgetBytes < least {
		return fmt.Errorf("%w: budget of %d bytes, three segments a lane need %d", ErrConfig, c.BudgetBytes, least)
	}
	if c.KeepFree < 0 {
		return fmt.Errorf("%w: keep %d bytes free, zero or more is possible", ErrConfig, c.KeepFree)
	}
	if c.SyncEvery < 0 {
		return fmt.Errorf("%w: sync every %v, zero or more is possible", ErrConfig, c.SyncEvery)
	}
	return nil
}

// New makes a ring in memory. It allocates a lane's first segment and its spares; more come as they are needed, up to the
// budget.
func New(c Config) (*Ring, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	r := &Ring{config: c, store: &memory{config: c}, lanes: make([]lane, c.Lanes)}
	r.begin()
	return r, nil
}

// begin gives each lane its first segment and its spares. A lane for which the budget leaves none, because of what was
// recovered, refuses until something is released.
func (r *Ring) begin() {
	for i := range r.lanes {
		l := &r.lanes[i]
		l.index, l.full = i, r.store.refusals(i)
		var s *segment
		if x, ok := r.take(l); ok {
			s = r.segment(l, x)
		} else {
			s = &segment{recovered: true, number: l.made}
			s.tail.Store(tailClosed)
		}
		l.active.Store(s)
		l.chain(s)
		if l.reading == nil {
			l.reach(s)
		}
	}
	r.Refill()
}

// take asks the store for bytes of the lane's next segment; only lanes that producers use get any.
func (r *Ring) take(l *lane) (extent, bool) {
	if l.index >= r.config.Lanes {
		return extent{}, false
	}
	return r.store.take(l.index, l.made)
}

// Close ends what a ring in files does in the background, after syncing. Late producers may still push.
func (r *Ring) Close() error { return r.store.close() }

// Held fails with ErrMoved where the directory of a ring in files is not where it was opened any more. Any goroutine may ask.
func (r *Ring) Held() error { return r.store.held() }

// Reserve takes room for a payload of n bytes (1 to MaxRecord) in the lane that hint selects. It reports false, and
// the record is counted in Stats.Full, when the budget is used up. It never waits and never allocates.
func (r *Ring) Reserve(hint uint64, n int) (Slot, bool) {
	if n < 1 || n > MaxRecord {
		return Slot{}, false
	}
	l := &r.lanes[hint%uint64(r.config.Lanes)]
	size := recordSize(n)
	for {
		s := l.active.Load()
		length := uint64(len(s.buf))
		if s.tail.Load()&(tailOne-1) <= length { // else it is closed, and adding for ever would overflow tail
			tail := s.tail.Add(tailOne|size) - (tailOne | size)
			off, index := tail&(tailOne-1), uint32(tail>>tailBytes)
			if off+size <= length {
				return Slot{
					Data:    s.buf[off+recordHeader : off+recordHeader+uint64(n) : off+size],
					segment: s, off: off, index: index,
				}, true
			}
			if off <= length {
				s.close(off, index)
			}
		}
		if !l.advance(s) {
			l.full.Add(1)
			return Slot{}, false
		}
	}
}
