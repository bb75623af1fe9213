package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/ClickHouse/ch-go/proto"
)

// slice is the rows from … to-1 of a frozen block as another batch. The same rows give the same bytes, whether they are cut
// from the block at once or from a slice of it.
func (b *block) slice(from, to int, batch string) (*block, error) {
	s := &block{table: b.table, moment: b.moment, rows: to - from}
	for _, c := range b.columns {
		var data frozenColumn
		var err error
		if c.Name == batchColumn {
			data, err = frozen(sameInEachRow(batch, s.rows))
		} else {
			data, err = c.Data.(frozenColumn).slice(from, to)
		}
		if err != nil {
			return nil, fmt.Errorf("rows %d to %d of column %s of %s: %w", from, to, c.Name, b.table, err)
		}
		s.columns = append(s.columns, proto.InputColumn{Name: c.Name, Data: data})
	}
	return s, nil
}

// frozen encodes a column.
func frozen(c proto.ColInput) (frozenColumn, error) {
	var buf proto.Buffer
	err := encode(c, &buf)
	return frozenColumn{c.Type(), c.Rows(), buf.Buf}, err
}

// slice is the values from … to-1.
func (c frozenColumn) slice(from, to int) (frozenColumn, error) {
	if width, ok := width(c.kind); ok {
		return frozenColumn{c.kind, to - from, c.bytes[from*width : to*width : to*width]}, nil
	}
	if c.kind == proto.ColumnTypeString {
		begin := skipTexts(c.bytes, from)
		end := begin + skipTexts(c.bytes[begin:], to-from)
		return frozenColumn{c.kind, to - from, c.bytes[begin:end:end]}, nil
	}
	values, err := c.lowCardinality()
	if err != nil {
		return frozenColumn{}, err
	}
	some := new(proto.ColStr).LowCardinality() // with a dictionary of what the slice holds
	for _, v := range values[from:to] {
		some.Append(v)
	}
	return frozen(some)
}

// check fails unless the bytes are as many values as the column has rows: what slices and prints them relies on it.
func (c frozenColumn) check() error {
	if c.rows < 0 || c.rows > len(c.bytes) { // no type here has values without a byte
		return fmt.Errorf("%d bytes for %d values of %s", len(c.bytes), c.rows, c.kind)
	}
	if width, ok := width(c.kind); ok {
		if width < 1 || len(c.bytes) != c.rows*width {
			return fmt.Errorf("%d bytes for %d values of %s", len(c.bytes), c.rows, c.kind)
		}
		return nil
	}
	if c.kind != proto.ColumnTypeString {
		values, err := c.lowCardinality()
		if err == nil && len(values) != c.rows {
			err = fmt.Errorf("%d values, %d expected", len(values), c.rows)
		}
		return err
	}
	rest := c.bytes
	for range c.rows {
		length, size := binary.Uvarint(rest)
		if size <= 0 || length > uint64(len(rest)-size) {
			return fmt.Errorf("texts end after %d bytes", len(c.bytes)-len(rest))
		}
		rest = rest[size+int(length):]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes behind the last text", len(rest))
	}
	return nil
}

// skipTexts is the length of the first n values of a String column.
func skipTexts(b []byte, n int) (at int) {
	for range n {
		length, size := binary.Uvarint(b[at:])
		at += size + int(length)
	}
	return at
}

// lowCardinality decodes a column of LowCardinality(String).
func (c frozenColumn) lowCardinality() ([]string, error) {
	column := new(proto.ColStr).LowCardinality()
	if c.kind != column.Type() {
		return nil, fmt.Errorf("%s cannot be cut into pieces", c.kind)
	}
	r := proto.NewReader(bytes.NewReader(c.bytes))
	if err := column.DecodeState(r); err != nil {
		return nil, err
	}
	if err := column.DecodeColumn(r, c.rows); err != nil {
		return nil, err
	}
	return column.Values, nil
}

// width is the length in bytes of each value of a type, where all have the same.
func width(kind proto.ColumnType) (int, bool) {
	switch kind.Base() {
	case proto.ColumnTypeUInt8, proto.ColumnTypeBool, proto.ColumnTypeEnum8:
		return 1, true
	case proto.ColumnTypeUInt16:
		return 2, true
	case proto.ColumnTypeUInt32, proto.ColumnTypeDateTime:
		return 4, true
	case proto.ColumnTypeUInt64, proto.ColumnTypeDateTime64:
		return 8, true
	case proto.ColumnTypeIPv6:
		return 16, true
	case proto.ColumnTypeFixedString:
		n, err := strconv.Atoi(string(kind.Elem()))
		return n, err == nil
	case proto.ColumnTypeDecimal: // as conversions.amount: up to 18 digits
		return 8, true
	}
	return 0, false
}

// hours counts the rows of a frozen block by the start of their hour, Unix seconds.
func (b *block) hours() map[int64]uint64 {
	hours := map[int64]uint64{}
	b.eachMoment(func(millis int64) { hours[hourOf(millis)]++ })
	return hours
}

// eachMoment calls do with the moment of each row of a frozen block, Unix milliseconds.
func (b *block) eachMoment(do func(millis int64)) {
	for _, c := range b.columns {
		if c.Name != b.moment {
			continue
		}
		for moments := c.Data.(frozenColumn).bytes; len(moments) >= 8; moments = moments[8:] {
			do(int64(binary.LittleEndian.Uint64(moments)))
		}
	}
}
