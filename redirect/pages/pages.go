// Package pages keeps short byte strings by number, and finds numbers by hash, in memory that the garbage collector neither
// scans nor counts. It is what a table of ten million links is made of.
//
// A Writer changes what it holds and freezes it into a View. A View never changes; it shares with the next one every page
// in which nothing did. Any number of readers use it without a lock.
//
// The bytes lie outside the Go heap and are given back once no View refers to them. Whoever reads bytes of a View must
// keep the View itself alive until it is done with them (runtime.KeepAlive): the bytes alone keep nothing.
package pages

import (
	"encoding/binary"
	"math/bits"
)

// A page holds the items of perPage consecutive numbers: what a change of one item copies. It lies in one piece, in one of two
// forms; layout chooses. Integers are little endian. Most pages have slots:
//
//	 0        4      8        12                                          size
//	+--------+------+--------+--------+--------+- - - -+--------+- - - - -+
//	| number | size | stride | slot 0 | slot 1 |       | slot   | spilled |
//	|        |      |        |        |        |       | 255    | items   |
//	+--------+------+--------+--------+--------+- - - -+--------+- - - - -+
//
// Every slot has stride bytes. Its first one says what it holds:
//
//	0       nothing
//	1..254  that many bytes, which follow
//	255     3 bytes follow: where behind the beginning of slot 0 the item lies, as its length (a uvarint) and its bytes
//
// Items that fit cost one miss of the cache, spilled ones two. Where so many lengths meet that few would fit, a page has offsets:
//
//	 0        4      8    12         14                 524          526        size
//	+--------+------+----+----------+----------+- - - -+------------+- - - - -+
//	| number | size | 0  | offset 0 | offset 1 |       | offset 256 | items   |
//	+--------+------+----+----------+----------+- - - -+------------+- - - - -+
//
// Offset n is where behind the beginning of offset 0 item n begins and the one before it ends. Each costs two misses and no byte
// of length.
const (
	perPage    = 256
	pageHeader = 12
	spilled    = 255

	minSpillStride = 4 // the mark and where the item lies
	maxLength      = 3 // bytes of the length of a spilled item

	offsetBytes = 2
	offsetsEnd  = (perPage + 1) * offsetBytes
	maxOffset   = 1<<(8*offsetBytes) - 1
)

// lengthBytes is how many bytes say that a spilled item has n.
func lengthBytes(n int) int { return 1 + (bits.Len(uint(n))-1)/7 }

// MaxItem is the length in bytes of the longest item. A page full of them is below 1<<24 bytes.
const MaxItem = 64_000

// A ref says where a page is: chunk<<44 | stride<<36 | offset of slot 0 in the chunk. 0 is no page, for slot 0 never lies at
// the beginning of a chunk.
type ref uint64

func newRef(chunk, stride, offset int) ref {
	return ref(chunk)<<44 | ref(stride)<<36 | ref(offset)
}

func (r ref) chunk() int  { return int(r >> 44) }
func (r ref) stride() int { return int(r >> 36 & 0xff) }
func (r ref) offset() int { return int(r & (1<<36 - 1)) }

// A View is what a Writer held at one moment. The zero View holds nothing.
type View struct {
	refs   []ref    // by number / perPage
	memory [][]byte // by chunk number; bytes outside the heap
	chunks []*chunk // owners of memory: as long as one is reachable its bytes are there
}

// At returns the item of a number, empty where there is none. It must not be written to.
func (v *View) At(number uint32) []byte {
	p := number / perPage
	if uint64(p) >= uint64(len(v.refs)) || v.refs[p] == 0 {
		return nil
	}
	r := v.refs[p]
	slots := v.memory[r.chunk()][r.offset():]
	if r.stride() == 0 {
		return itemAt(slots, int(number%perPage))
	}
	slot := slots[int(number%perPage)*r.stride():]
	n := int(slot[0])
	if n != spilled {
		return slot[1 : 1+n : 1+n]
	}
	item := slots[spilledAt(slot):]
	length, at := binary.Uvarint(item)
	n = at + int(length)
	return item[at:n:n]
}

// spilledAt is where the item of a slot lies behind the beginning of slot 0.
func spilledAt(slot []byte) int {
	_ = slot[3]
	return int(slot[1]) | int(slot[2])<<8 | int(slot[3])<<16
}

// itemAt is item i of a page with these offsets.
func itemAt(offsets []byte, i int) []byte {
	both := binary.LittleEndian.Uint32(offsets[i*offsetBytes:])
	from, to := both&maxOffset, both>>(8*offsetBytes)
	return offsets[from:to:to]
}

// items are those of one page.
type items [perPage][]byte

// missPenalty is what an item is counted to cost beyond its bytes where it takes two misses: with half a cache line most pages would
// be larger than what they save, with nothing at all items would be spilled to save a byte.
const missPenalty = 16

// layout chooses the stride of a page, 0 = offsets, and returns its size, 0 for an empty one.
func (it *items) layout() (stride, size int) {
	var count [spilled + 1]int // of items by the length of the slot that they need; those without one at spilled
	filled, bytes, spill, penalty := 0, 0, 0, 0
	for _, item := range it {
		if len(item) == 0 {
			continue
		}
		count[min(1+len(item), spilled)]++
		filled++
		bytes += len(item)
		spill += len(item) + lengthBytes(len(item))
		penalty += missPenalty
	}
	if filled == 0 {
		return 0, 0
	}
	stride, size = minSpillStride, perPage*minSpillStride+spill
	if packed := offsetsEnd + bytes; packed < size && packed <= maxOffset {
		stride, size = 0, packed
	}
	least := size + penalty
	for s := 2; s < spilled; s++ {
		if count[s] == 0 {
			continue
		}
		filled -= count[s]
		spill -= count[s] * (s - 1 + lengthBytes(s-1))
		penalty -= count[s] * missPenalty
		if s < minSpillStride && filled > 0 {
			continue
		}
		if cost := perPage*s + spill + penalty; cost <= least {
			stride, size, least = s, perPage*s+spill, cost
		}
	}
	return stride, pageHeader + size
}

// write fills b, which is zeroed and as long as layout says.
func (it *items) write(b []byte, number uint32, stride int) {
	le := binary.LittleEndian
	le.PutUint32(b, number)
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint32(b[8:], uint32(stride))
	slots := b[pageHeader:]
	if stride == 0 {
		it.writeOffsets(slots)
		return
	}
	spill := perPage * stride
	for i, item := range it {
		slot := slots[i*stride:]
		switch {
		case len(item) < stride:
			slot[0] = byte(len(item))
			copy(slot[1:], item)
		default:
			slot[0] = spilled
			slot[1], slot[2], slot[3] = byte(spill), byte(spill>>8), byte(spill>>16)
			spill += binary.PutUvarint(slots[spill:], uint64(len(item)))
			spill += copy(slots[spill:], item)
		}
	}
}

// writeOffsets fills in what follows the header of a page with offsets.
func (it *items) writeOffsets(b []byte) {
	end := offsetsEnd
	for i, item := range it {
		binary.LittleEndian.PutUint16(b[i*offsetBytes:], uint16(end))
		end += copy(b[end:], item)
	}
	binary.LittleEndian.PutUint16(b[perPage*offsetBytes:], uint16(end))
}
