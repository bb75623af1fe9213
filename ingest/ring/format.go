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

// endWord closes a segment of so many records. In a file endSum stands behind it: the end of an earlier life of the same bytes does
// not pass.
func endWord(records uint32) uint64 { return endOfSegment<<32 | uint64(records) }

// endSum is the checksum of the end of a segment: that of the empty record no producer can push.
func endSum(records uint32, salt uint64) uint64 { return checksum(nil, salt+uint64(records)) }

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
	formatVersion = 2
	headerSum     = 40 // where the checksum of what is before it stands
	watermarkAt   = 56

	// Version 1 had its checksum in the last word, no watermark, and no checksum on the end of a segment. Its files were
	// zero on the disk before they were used.
	firstVersion   = 1
	firstHeaderSum = 56
)

// headerMagic is how a segment file begins.
var headerMagic = [8]byte{'c', 'a', 'r', 'o', 'm', 's', 'e', 'g'}

// header says what a segment file is.
type header struct {
	lane     int
	number   uint32
	length   uint64 // of the file, header included
	identity uint64 // of the spool
	version  uint32 // of the format it was read from; put writes formatVersion
}

// put writes the header into the first bytes of a segment file, but for the watermark.
func (h header) put(b []byte) {
	le := binary.LittleEndian
	clear(b[:watermarkAt])
	copy(b, headerMagic[:])
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], uint32(h.lane))
	le.PutUint32(b[16:], h.number)
	le.PutUint64(b[24:], h.length)
	le.PutUint64(b[32:], h.identity)
	le.PutUint64(b[headerSum:], xxhash.Sum64(b[:headerSum]))
}

// parseHeader reads a header and reports whether it is one of a version known here with a checksum that holds.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerBytes || [8]byte(b) != headerMagic {
		return h, false
	}
	le := binary.LittleEndian
	sum := headerSum
	switch h.version = le.Uint32(b[8:]); h.version {
	case formatVersion:
	case firstVersion:
		sum = firstHeaderSum
	default:
		return h, false
	}
	if le.Uint64(b[sum:]) != xxhash.Sum64(b[:sum]) {
		return h, false
	}
	h.lane, h.number = int(le.Uint32(b[12:])), le.Uint32(b[16:])
	h.length, h.identity = le.Uint64(b[24:]), le.Uint64(b[32:])
	return h, true
}

// watermarkWord says that the disk has no bytes of an earlier segment among the first so many, a multiple of recordAlign, behind the
// header. It is one word, so that it is never half there, with a check of its own, salted like the records': the upper 24 bits
// count record lines, the others are the check.
func watermarkWord(bytes, salt uint64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], salt)
	binary.LittleEndian.PutUint64(b[8:], bytes)
	return bytes/recordAlign<<40 | xxhash.Sum64(b[:])>>24
}

// parseWatermark reads the watermark of a file whose records begin behind its header. Without one that holds, everything counts as
// below it: rather damage too much told than too little.
func parseWatermark(file []byte, salt uint64) uint64 {
	if len(file) >= headerBytes {
		w := binary.LittleEndian.Uint64(file[watermarkAt:])
		if bytes := w >> 40 * recordAlign; w == watermarkWord(bytes, salt) {
			return bytes
		}
	}
	return uint64(len(file))
}
