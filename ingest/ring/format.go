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

	// endOfSegment is the upper half of the commit word behind the last record: no record has this length. The lower
	// half is the number of records before it.
	endOfSegment = uint64(1<<32 - 1)
)

// recordSize is what a payload of n bytes takes in a segment.
func recordSize(n int) uint64 {
	return (recordHeader + uint64(n) + recordAlign - 1) &^ (recordAlign - 1)
}

// commitWord is payload length << 32 | index in segment; never zero, as no payload is empty.
func commitWord(n int, index uint32) uint64 { return uint64(n)<<32 | uint64(index) }

// endWord closes a segment of so many records.
func endWord(records uint32) uint64 { return endOfSegment<<32 | uint64(records) }

// saltOf seeds the checksums of one segment: with the spool it belongs to, its lane and its number, so that a record
// of another spool, of another place or of an older life of the same bytes does not pass.
func saltOf(identity uint64, lane int, number uint32) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], identity)
	binary.LittleEndian.PutUint32(b[8:], uint32(lane))
	binary.LittleEndian.PutUint32(b[12:], number)
	return xxhash.Sum64(b[:])
}

// checksum covers the payload and its sequence, the salt of the segment plus the index of the record.
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
	if n == 0 || n > MaxRecord || off+recordHeader+n > uint64(len(buf)) {
		return nil, false
	}
	payload = buf[off+recordHeader : off+recordHeader+n]
	return payload, binary.LittleEndian.Uint64(buf[off+8:]) == checksum(payload, sequence)
}

// A Slot is a reserved place for one record. Fill Data, then Commit; a slot that is never committed holds up its
// lane for good, so nothing between the two may panic or return.
type Slot struct {
	Data []byte // the payload, exactly as long as reserved

	segment *segment
	off     uint64
	index   uint32
}

// Commit hands the record to the reader. Data must not be touched afterwards.
func (s *Slot) Commit() {
	buf := s.segment.buf
	binary.LittleEndian.PutUint64(buf[s.off+8:], checksum(s.Data, s.segment.salt+uint64(s.index)))
	atomic.StoreUint64(word(buf, s.off), commitWord(len(s.Data), s.index))
	if s.segment.eager {
		s.segment.file.syncRange(s.off, recordSize(len(s.Data)))
	}
}

// A segment file begins with a header of the size of one record line.
const (
	headerBytes   = 64
	formatVersion = 1
)

// headerMagic is how a segment file begins.
var headerMagic = [8]byte{'c', 'a', 'r', 'o', 'm', 's', 'e', 'g'}

// header says what a segment file is.
type header struct {
	lane     int
	number   uint32
	length   uint64 // of the file, header included
	identity uint64 // of the spool
}

// put writes the header into the first bytes of a segment file.
func (h header) put(b []byte) {
	le := binary.LittleEndian
	clear(b[:headerBytes])
	copy(b, headerMagic[:])
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], uint32(h.lane))
	le.PutUint32(b[16:], h.number)
	le.PutUint64(b[24:], h.length)
	le.PutUint64(b[32:], h.identity)
	le.PutUint64(b[56:], xxhash.Sum64(b[:56]))
}

// parseHeader reads a header and reports whether it is one of this version with a checksum that holds.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerBytes || [8]byte(b) != headerMagic {
		return h, false
	}
	le := binary.LittleEndian
	if le.Uint32(b[8:]) != formatVersion || le.Uint64(b[56:]) != xxhash.Sum64(b[:56]) {
		return h, false
	}
	return header{int(le.Uint32(b[12:])), le.Uint32(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:])}, true
}
