package ingest

import (
	"encoding/binary"
	"hash/maphash"
	"strings"
	"unsafe"

	"github.com/ClickHouse/ch-go/proto"
)

// text is a String column in the form in which it is sent: each value behind its length as a varint.
type text struct {
	wire []byte
	rows int
}

// Append adds a value.
func (t *text) Append(value string) {
	if len(value) < 1<<7 {
		t.wire = append(t.wire, byte(len(value)))
	} else {
		t.wire = binary.AppendUvarint(t.wire, uint64(len(value)))
	}
	t.wire = append(t.wire, value...)
	t.rows++
}

// AppendBytes adds a value whose bytes the caller will use again.
func (t *text) AppendBytes(value []byte) { t.Append(view(value)) }

// Reset empties the column.
func (t *text) Reset() { t.wire, t.rows = t.wire[:0], 0 }

// Type is the column's ClickHouse type.
func (t *text) Type() proto.ColumnType { return proto.ColumnTypeString }

// Rows is the number of values.
func (t *text) Rows() int { return t.rows }

// EncodeColumn adds the bytes to the buffer.
func (t *text) EncodeColumn(b *proto.Buffer) { b.PutRaw(t.wire) }

// WriteColumn adds the bytes to the writer without copying them.
func (t *text) WriteColumn(w *proto.Writer) { w.ChainWrite(t.wire) }

// lowCard is a LowCardinality(String) column that numbers values as they come: nearly every row has one that is in the
// dictionary already, which ch-go's own column would hash twice and a Go map take three times as long to find. It lives for
// one block.
type lowCard struct {
	proto.ColLowCardinalityRaw                        // its keys have as many bits as number all values
	index                      proto.ColStr           // the dictionary as it is sent
	values                     []string               // the dictionary
	slots                      []uint32               // where to find a value in it: open addressing, a power of two, at most half in use
	seed                       maphash.Seed           // of their hash. Clients choose values: nobody can make many that meet in one slot
	recent                     [recentValues]numbered // strings that were appended, by their address: closed lists give the same ones again
	last                       int                    // number of the newest bytes
}

// numbered is a value and its place in the dictionary, from 1; 0 = none.
type numbered struct {
	value  string
	number int
}

const (
	lowCardSlots = 64 // that a dictionary begins with
	recentBits   = 7
	recentValues = 1 << recentBits
)

func newLowCard() *lowCard {
	c := &lowCard{slots: make([]uint32, lowCardSlots), seed: maphash.MakeSeed()}
	c.Index = &c.index
	c.Key = proto.KeyUInt8
	return c
}

// Append adds a value.
func (c *lowCard) Append(value string) {
	address := uint64(uintptr(unsafe.Pointer(unsafe.StringData(value))))
	r := &c.recent[address*0x9e3779b97f4a7c15>>(64-recentBits)]
	if r.number == 0 || r.value != value {
		*r = numbered{value, c.number(value)}
	}
	c.AppendKey(r.number - 1)
}

// AppendBytes adds a value whose bytes the caller will use again.
func (c *lowCard) AppendBytes(value []byte) {
	if c.last == 0 || c.values[c.last-1] != string(value) {
		c.last = c.number(view(value))
	}
	c.AppendKey(c.last - 1)
}

// number is that of a value, which is put into the dictionary if it is new.
func (c *lowCard) number(value string) int {
	slot := c.slot(value)
	if *slot == 0 {
		slot = c.add(slot, strings.Clone(value))
	}
	return int(*slot)
}

// slot is where the number of a value is or belongs.
func (c *lowCard) slot(value string) *uint32 {
	mask := uint64(len(c.slots) - 1)
	for i := maphash.String(c.seed, value); ; i++ {
		slot := &c.slots[i&mask]
		if *slot == 0 || c.values[*slot-1] == value {
			return slot
		}
	}
}

// add puts a value into the dictionary and returns where its number is then.
func (c *lowCard) add(slot *uint32, value string) *uint32 {
	c.widen()
	c.values = append(c.values, value)
	c.index.Append(value)
	*slot = uint32(len(c.values))
	if 2*len(c.values) <= len(c.slots) {
		return slot
	}
	c.slots = make([]uint32, 2*len(c.slots))
	for i, v := range c.values {
		slot = c.slot(v)
		*slot = uint32(i + 1)
	}
	return slot // of the newest, which was put last
}

// widen makes the keys long enough for one more value.
func (c *lowCard) widen() {
	switch len(c.values) {
	case 1 << 8:
		for _, k := range c.Keys8 {
			c.Keys16 = append(c.Keys16, uint16(k))
		}
		c.Keys8, c.Key = c.Keys8[:0], proto.KeyUInt16
	case 1 << 16:
		for _, k := range c.Keys16 {
			c.Keys32 = append(c.Keys32, uint32(k))
		}
		c.Keys16, c.Key = c.Keys16[:0], proto.KeyUInt32
	}
}

// Reset empties the column and its dictionary.
func (c *lowCard) Reset() {
	c.ColLowCardinalityRaw.Reset()
	clear(c.slots)
	clear(c.values)
	clear(c.recent[:])
	c.values = c.values[:0]
	c.Key, c.last = proto.KeyUInt8, 0
}

// view is bytes as a string for one call, which must not keep it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
