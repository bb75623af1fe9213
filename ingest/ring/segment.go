package ring

import (
	"encoding/binary"
	"sync/atomic"
)

// lane is one chain of segments.
type lane struct {
	active atomic.Pointer[segment] // producers append here; swapped by the producer that finds it full
	full   *atomic.Uint64          // records refused for want of a spare; producers add; in the spool where there is one
	_      [112]byte               // lanes are two cache lines apart: neighbours' counters never bounce

	index int // of the lane in its ring

	// Reader only.
	reading   *segment // holds the next record
	oldest    *segment // first segment not released
	newest    *segment // the last spare, or the active segment where there is none
	made      uint32   // the number of the next segment
	uncounted *segment // first segment that is not in counted
	counted   tally
}

// segment is a run of bytes that producers fill once. It is never reused: only its bytes are.
type segment struct {
	// tail is records reserved << 40 | bytes reserved. Producers add to it, also past the end; the first reservation
	// that does not fit knows, from the count it saw, how many records the segment holds.
	tail    atomic.Uint64
	records atomic.Uint32           // how many the segment holds, set by the producer that closed it
	next    atomic.Pointer[segment] // set once, by the reader, as a spare for when this one is full
	_       [40]byte

	buf    []byte // never changes, so that a late producer may ask its length
	salt   uint64 // of its checksums
	number uint32 // of the segment in its lane
	eager  bool   // each record is synced before Commit returns
	file   *file  // nil in memory

	// Reader only.
	readOff   uint64
	readIndex uint32
	reached   bool   // it is being read, or was
	counted   bool   // in the tally of its lane
	recovered bool   // left by an earlier process: no producer writes, so a gap will never be filled
	remaining uint32 // recovered only: records, readable or lost, that have not been read
	watermark uint64 // recovered only: bytes from here on may be an earlier segment's
	version   uint32 // recovered only: of the format; 0 where the header does not say
}

const (
	tailBytes = 40 // low bits of tail that count bytes
	tailOne   = uint64(1) << tailBytes
	// tailClosed is the tail of a segment that takes no record.
	tailClosed = tailOne - 1
)

// segment makes the lane's next segment out of zeroed bytes.
func (r *Ring) segment(l *lane, x extent) *segment {
	s := &segment{
		buf: x.buf, file: x.file, number: l.made, salt: saltOf(r.config.Identity, l.index, l.made),
		eager: x.file != nil && r.config.SyncEvery == 0,
	}
	l.made++
	if x.file != nil {
		x.file.tail.Store(&s.tail)
	}
	return s
}

// close ends the segment at off, where the first record that did not fit would have begun.
func (s *segment) close(off uint64, records uint32) {
	s.records.Store(records)
	if off < uint64(len(s.buf)) {
		binary.LittleEndian.PutUint64(s.buf[off+8:], endSum(records, s.salt))
		atomic.StoreUint64(word(s.buf, off), endWord(records))
	}
}

// reserved is how many records have been given room in the segment.
func (s *segment) reserved() uint32 {
	if s.recovered {
		return s.readIndex + s.remaining
	}
	tail := s.tail.Load()
	if tail&(tailOne-1) > uint64(len(s.buf)) {
		return max(s.records.Load(), s.readIndex)
	}
	return uint32(tail >> tailBytes)
}

// advance replaces the full segment s by the spare behind it, unless another producer has. It reports false without a spare.
func (l *lane) advance(s *segment) bool {
	next := s.next.Load()
	if next == nil {
		return false
	}
	l.active.CompareAndSwap(s, next)
	return true
}

// chain puts a segment behind the newest.
func (l *lane) chain(s *segment) {
	if l.newest == nil {
		l.oldest, l.uncounted = s, s
	} else {
		l.newest.next.Store(s)
	}
	l.newest = s
}

// spares counts the segments behind the active one.
func (l *lane) spares() (n int) {
	for s := l.active.Load().next.Load(); s != nil; s = s.next.Load() {
		n++
	}
	return n
}
