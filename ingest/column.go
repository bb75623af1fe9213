package ingest

import (
	"github.com/ClickHouse/ch-go/proto"
)

// lowCard is a LowCardinality(String) column that numbers values as they come: most rows repeat the value before
// them or one already in the dictionary, which ch-go's own column would hash twice a row. It lives for one block.
type lowCard struct {
	proto.ColLowCardinalityRaw
	index proto.ColStr
	ids   map[string]int
	last  string // value of the newest row
	key   int    // its number
}

func newLowCard() *lowCard {
	c := &lowCard{ids: map[string]int{}}
	c.Index = &c.index
	c.Key = proto.KeyUInt16
	return c
}

// Append adds a value whose bytes stay as they are until Reset.
func (c *lowCard) Append(value string) {
	if value != c.last || len(c.ids) == 0 {
		id, known := c.ids[value]
		if !known {
			id = c.add(value)
		}
		c.key, c.last = id, value
	}
	c.AppendKey(c.key)
}

// AppendBytes adds a value whose bytes the caller will use again.
func (c *lowCard) AppendBytes(value []byte) {
	if string(value) != c.last || len(c.ids) == 0 {
		id, known := c.ids[string(value)]
		if !known {
			id = c.add(string(value))
		}
		c.key, c.last = id, c.index.Row(id)
	}
	c.AppendKey(c.key)
}

// add puts a value into the dictionary and widens the keys when 16 bits no longer number it.
func (c *lowCard) add(value string) int {
	id := len(c.ids)
	c.ids[value] = id
	c.index.Append(value)
	if id == 1<<16 {
		for _, k := range c.Keys16 {
			c.Keys32 = append(c.Keys32, uint32(k))
		}
		c.Keys16, c.Key = c.Keys16[:0], proto.KeyUInt32
	}
	return id
}

// Reset empties the column and its dictionary.
func (c *lowCard) Reset() {
	c.index.Reset()
	clear(c.ids)
	c.Keys16, c.Keys32 = c.Keys16[:0], c.Keys32[:0]
	c.Key, c.last = proto.KeyUInt16, ""
}
