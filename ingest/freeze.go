package ingest

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// A frozenColumn is a column as it goes over the wire: sent again, also by another process, it is the same bytes.
type frozenColumn struct {
	kind  proto.ColumnType
	rows  int
	bytes []byte
}

// Type is the column's ClickHouse type.
func (c frozenColumn) Type() proto.ColumnType { return c.kind }

// Rows is the number of values.
func (c frozenColumn) Rows() int { return c.rows }

// EncodeColumn adds the bytes to the buffer.
func (c frozenColumn) EncodeColumn(b *proto.Buffer) { b.PutRaw(c.bytes) }

// WriteColumn adds the bytes to the writer without copying them.
func (c frozenColumn) WriteColumn(w *proto.Writer) { w.ChainWrite(c.bytes) }

// freeze encodes the block's columns behind what buf holds and returns a block of the encoded ones, which alias buf's
// bytes: nothing may be put into buf before they are.
func (b *block) freeze(buf *proto.Buffer) (*block, error) {
	ends := make([]int, len(b.columns))
	start := len(buf.Buf)
	for i, c := range b.columns {
		if p, ok := c.Data.(proto.Preparable); ok {
			if err := p.Prepare(); err != nil {
				return nil, fmt.Errorf("encode column %s of %s: %w", c.Name, b.table, err)
			}
		}
		if s, ok := c.Data.(proto.StateEncoder); ok {
			s.EncodeState(buf)
		}
		c.Data.EncodeColumn(buf)
		ends[i] = len(buf.Buf)
	}
	frozen := &block{table: b.table, moment: b.moment, rows: b.rows}
	for i, c := range b.columns {
		frozen.columns = append(frozen.columns, proto.InputColumn{
			Name: c.Name, Data: frozenColumn{c.Data.Type(), b.rows, buf.Buf[start:ends[i]:ends[i]]},
		})
		start = ends[i]
	}
	return frozen, nil
}

// frozenRows are rows that are complete.
type frozenRows struct{ *block }

func (frozenRows) append([]byte, string) error { return errRecord }
