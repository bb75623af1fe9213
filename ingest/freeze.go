package ingest

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/cespare/xxhash/v2"

	"carom/ingest/pace"
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

// batchColumn is the column of a table that names the batch of a row.
const batchColumn = "batch_id"

// freeze encodes the block's columns behind what buf holds, with the name of the batch in each row. The columns of the block that it
// returns share buf's memory: buf is not reset before they have been sent.
func (b *block) freeze(buf *proto.Buffer, batch string, p *pace.Pace) (*block, error) {
	ends := make([]int, len(b.columns))
	start := len(buf.Buf)
	for i, c := range b.columns {
		if c.Name == batchColumn {
			c.Data = sameInEachRow(batch, b.rows)
		}
		if err := encode(c.Data, buf); err != nil {
			return nil, fmt.Errorf("encode column %s of %s: %w", c.Name, b.table, err)
		}
		ends[i] = len(buf.Buf)
		p.Step()
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

// digest is a hash of the frozen columns.
func (b *block) digest(p *pace.Pace) uint64 {
	sum := xxhash.New()
	for _, c := range b.columns {
		_, _ = sum.Write(c.Data.(frozenColumn).bytes) // never fails
		p.Step()
	}
	return sum.Sum64()
}

// encode adds a column to buf as it goes over the wire.
func encode(c proto.ColInput, buf *proto.Buffer) error {
	if p, ok := c.(proto.Preparable); ok {
		if err := p.Prepare(); err != nil {
			return err
		}
	}
	if s, ok := c.(proto.StateEncoder); ok {
		s.EncodeState(buf)
	}
	c.EncodeColumn(buf)
	return nil
}

// sameInEachRow is a LowCardinality(String) column of one value.
func sameInEachRow(value string, rows int) *proto.ColLowCardinalityRaw {
	index := new(proto.ColStr)
	index.Append(value)
	return &proto.ColLowCardinalityRaw{Index: index, Key: proto.KeyUInt8, Keys8: make(proto.ColUInt8, rows)}
}
