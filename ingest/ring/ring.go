// Package ring is the bounded, lock-free buffer between redirects and the flusher: many producers, one reader,
// records of any length up to MaxRecord.
//
// A ring has lanes, so that producers on different cores seldom meet; a lane is a chain of segments. A
// producer reserves room with one atomic add on the active segment and commits the record with one atomic store; when
// a segment is full it swaps in the spare that the reader's side keeps ready. Nobody waits: without a spare the
// record is refused and counted.
//
// Positions live in Go memory, records in plain bytes, so the bytes can be a mapped file. A producer that slept while
// its segment was read and freed still holds the old *segment, whose tail stays full for ever: it cannot
// reserve there, and a reservation that succeeded keeps the bytes alive until it is committed. The garbage
// collector is the reclamation scheme.
package ring

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"sync/atomic"
)

// Config sizes a ring.
type Config struct {
	Lanes        int // producers are spread over so many; default one per core
	SegmentBytes int // bytes of one segment; at least 64 KiB, default 4 MiB
	BudgetBytes  int // bytes of all segments together; at least three segments a lane, default 256 MiB
}

// Default is for a node with a core or more and a ClickHouse that may be away for a minute.
func Default() Config {
	return Config{Lanes: runtime.GOMAXPROCS(0), SegmentBytes: 4 << 20, BudgetBytes: 256 << 20}
}

// ErrConfig is wrapped by New's refusals.
var ErrConfig = errors.New("ring configuration")

// A Ring is the buffer. Reserve may be called by any goroutine; everything else by one, the reader.
type Ring struct {
	config Config
	lanes  []lane
	free   [][]byte // reader only: buffers of released segments, zeroed
	made   int      // reader only: buffers made so far
	next   int      // reader only: lane to read next
}

// lane is one chain of segments.
type lane struct {
	active atomic.Pointer[segment] // producers append here; swapped by the producer that finds it full
	spare  atomic.Pointer[segment] // set by the reader when nil; cleared by the producer that made it active
	full   atomic.Uint64           // records refused for want of a spare; producers add
	_      [104]byte               // lanes are two cache lines apart: neighbours' counters never bounce

	reading *segment // reader only: holds the next record
	oldest  *segment // reader only: first segment not released
	made    uint32   // reader only: segments made for this lane, the number of the next
}

// segment is a run of bytes that producers fill once. It is never reused: only its bytes are.
type segment struct {
	// tail is records reserved << 40 | bytes reserved. Producers add to it, also past the end; the first reservation
	// that does not fit knows, from the count it saw, how many records the segment holds.
	tail    atomic.Uint64
	records atomic.Uint32           // how many the segment holds, set by the producer that closed it
	next    atomic.Pointer[segment] // set by the producer that replaced this segment
	_       [40]byte

	buf    []byte // never changes, so that a late producer may ask its length
	number uint32 // of the segment in its lane

	readOff   uint64 // reader only
	readIndex uint32 // reader only
}

const (
	tailBytes = 40 // low bits of tail that count bytes
	tailOne   = uint64(1) << tailBytes
)

// segment makes the lane's next segment out of zeroed bytes.
func (l *lane) segment(buf []byte) *segment {
	s := &segment{buf: buf, number: l.made}
	l.made++
	return s
}

// New makes a ring. It allocates two segments a lane; more come as they are needed, up to the budget.
func New(c Config) (*Ring, error) {
	if c.Lanes < 1 || c.Lanes > 1024 {
		return nil, fmt.Errorf("%w: %d lanes, 1 to 1024 are possible", ErrConfig, c.Lanes)
	}
	if c.SegmentBytes < 64<<10 || c.SegmentBytes > 512<<20 || bits.OnesCount(uint(c.SegmentBytes)) != 1 {
		return nil, fmt.Errorf("%w: segments of %d bytes, a power of two from 64 KiB to 512 MiB is possible", ErrConfig, c.SegmentBytes)
	}
	if least := 3 * c.Lanes * c.SegmentBytes; c.BudgetBytes < least {
		return nil, fmt.Errorf("%w: budget of %d bytes, three segments a lane need %d", ErrConfig, c.BudgetBytes, least)
	}
	r := &Ring{config: c, lanes: make([]lane, c.Lanes)}
	for i := range r.lanes {
		l := &r.lanes[i]
		s := l.segment(r.buffer())
		l.active.Store(s)
		l.reading, l.oldest = s, s
	}
	r.Refill()
	return r, nil
}

// Reserve takes room for a payload of n bytes (1 to MaxRecord) in the lane that hint selects. It reports false, and
// the record is counted in Stats.Full, when the budget is used up. It never waits and never allocates.
func (r *Ring) Reserve(hint uint64, n int) (Slot, bool) {
	if n < 1 || n > MaxRecord {
		return Slot{}, false
	}
	l := &r.lanes[hint%uint64(len(r.lanes))]
	size := recordSize(n)
	for {
		s := l.active.Load()
		length := uint64(len(s.buf))
		if s.tail.Load()&(tailOne-1) <= length { // else it is closed, and adding for ever would overflow tail
			tail := s.tail.Add(tailOne|size) - (tailOne | size)
			off, index := tail&(tailOne-1), uint32(tail>>tailBytes)
			if off+size <= length {
				return Slot{
					Data: s.buf[off+recordHeader : off+recordHeader+uint64(n) : off+size],
					buf:  s.buf, off: off, index: index, sequence: s.sequence(index),
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

// close ends the segment at off, where the first record that did not fit would have begun.
func (s *segment) close(off uint64, records uint32) {
	s.records.Store(records)
	if off < uint64(len(s.buf)) {
		atomic.StoreUint64(word(s.buf, off), endOfSegment)
	}
}

// sequence numbers the records of a lane: segment number << 32 | index in the segment.
func (s *segment) sequence(index uint32) uint64 { return uint64(s.number)<<32 | uint64(index) }

// advance replaces the full segment s by the spare, unless another producer has. It reports false without a spare.
func (l *lane) advance(s *segment) bool {
	if l.active.Load() != s {
		return true
	}
	next := l.spare.Load()
	if next == nil || next == s {
		return l.active.Load() != s
	}
	if l.active.CompareAndSwap(s, next) {
		s.next.Store(next)
		l.spare.CompareAndSwap(next, nil)
	}
	return true
}
