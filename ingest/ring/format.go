package ring

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// The bytes of a segment; FORMAT.md draws them.
const (
	recordAlign  = 64 // records start on a cache line: two producers never share one, recovery knows where to look
	recordHeader = 16 // commit word (8) and checksum (8)

	// MaxRecord is the longest payload in bytes.
	MaxRecord = 16 << 10

	// endOfSegment is the commit word behind the last record: no record has this length.
	endOfSegment = ^uint64(0)
)

// recordSize is what a payload of n bytes takes in a segment.
func recordSize(n int) uint64 {
	return (recordHeader + uint64(n) + recordAlign - 1) &^ (recordAlign - 1)
}

// commitWord is payload length << 32 | index in segment; never zero, as no payload is empty.
func commitWord(n int, index uint32) uint64 { return uint64(n)<<32 | uint64(index) }

// checksum covers the payload and the record's sequence number in its lane, so that a record of an older life of the
// same bytes, or of another place, does not pass.
func checksum(payload []byte, sequence uint64) uint64 {
	return xxhash.Sum64(payload) ^ bits.RotateLeft64(sequence*0x9e3779b97f4a7c15, 31)
}

// word is the commit word at off, to be loaded and stored atomically: it is what a producer hands a record over with.
func word(buf []byte, off uint64) *uint64 {
	return (*uint64)(unsafe.Pointer(&buf[off]))
}

// recordAt returns the payload of the committed record at off and whether its checksum holds.
func recordAt(buf []byte, off, commit, sequence uint64) (payload []byte, ok bool) {
	n := commit >> 32
	if n == 0 || n > MaxRecord || off+recordSize(int(n)) > uint64(len(buf)) {
		return nil, false
	}
	payload = buf[off+recordHeader : off+recordHeader+n]
	return payload, binary.LittleEndian.Uint64(buf[off+8:]) == checksum(payload, sequence)
}

// A Slot is a reserved place for one record. Fill Data, then Commit; a slot that is never committed holds up its
// lane for good, so nothing between the two may panic or return.
type Slot struct {
	Data []byte // the payload, exactly as long as reserved

	buf      []byte
	off      uint64
	index    uint32
	sequence uint64
}

// Commit hands the record to the reader. Data must not be touched afterwards.
func (s *Slot) Commit() {
	binary.LittleEndian.PutUint64(s.buf[s.off+8:], checksum(s.Data, s.sequence))
	atomic.StoreUint64(word(s.buf, s.off), commitWord(len(s.Data), s.index))
}
