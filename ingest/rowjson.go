package ingest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ClickHouse/ch-go/proto"
)

// row is the first row of a frozen block by column, in values that ClickHouse reads as JSONEachRow; the batch is left out.
func (b *block) row() (map[string]any, error) {
	row := map[string]any{}
	for _, c := range b.columns {
		if c.Name == batchColumn {
			continue
		}
		value, err := c.Data.(frozenColumn).first()
		if err != nil {
			return nil, fmt.Errorf("column %s of %s: %w", c.Name, b.table, err)
		}
		row[c.Name] = value
	}
	return row, nil
}

// first is the first value of the column. 64-bit numbers are texts: many readers of JSON know 53 bits only.
func (c frozenColumn) first() (any, error) {
	le := binary.LittleEndian
	switch c.kind.Base() {
	case proto.ColumnTypeUInt8, proto.ColumnTypeEnum8:
		return c.bytes[0], nil
	case proto.ColumnTypeBool:
		return c.bytes[0] != 0, nil
	case proto.ColumnTypeUInt16:
		return le.Uint16(c.bytes), nil
	case proto.ColumnTypeUInt32:
		return le.Uint32(c.bytes), nil
	case proto.ColumnTypeUInt64:
		return strconv.FormatUint(le.Uint64(c.bytes), 10), nil
	case proto.ColumnTypeDateTime64:
		return timeValue(int64(le.Uint64(c.bytes))), nil
	case proto.ColumnTypeIPv6:
		return netip.AddrFrom16([16]byte(c.bytes)).String(), nil
	case proto.ColumnTypeDecimal:
		amount := le.Uint64(c.bytes) // as conversions.amount, never negative
		return fmt.Sprintf("%d.%04d", amount/amountUnit, amount%amountUnit), nil
	case proto.ColumnTypeFixedString:
		return textValue(c.bytes), nil
	case proto.ColumnTypeString:
		_, size := binary.Uvarint(c.bytes)
		return textValue(c.bytes[size:skipTexts(c.bytes, 1)]), nil
	}
	values, err := c.lowCardinality()
	if err != nil {
		return nil, err
	}
	return textValue([]byte(values[0])), nil
}

// amountUnit is a whole unit of currency in a conversion's amount, see AmountScale.
const amountUnit = 10_000

// timeValue is a moment as ClickHouse writes it.
func timeValue(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02 15:04:05.000")
}

// textValue is a text as it is or, where JSON could not hold it unchanged, its bytes in base64 in an object.
func textValue(b []byte) any {
	if utf8.Valid(b) {
		return string(b)
	}
	return map[string][]byte{"base64": b}
}
