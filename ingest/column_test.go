package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"pgregory.net/rapid"
)

// column is what both kinds have in common.
type column interface {
	proto.ColInput
	proto.Resettable
	Append(value string)
	AppendBytes(value []byte)
}

// wire is the column as it is sent.
func wire(t rapid.TB, c proto.ColInput) []byte {
	var encoded, written bytes.Buffer
	var buf proto.Buffer
	if err := encode(c, &buf); err != nil {
		t.Fatal(err)
	}
	encoded.Write(buf.Buf)
	buf.Reset()
	if s, ok := c.(proto.StateEncoder); ok {
		s.EncodeState(&buf)
	}
	w := proto.NewWriter(&written, &buf)
	c.WriteColumn(w)
	if _, err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encoded.Bytes(), written.Bytes()) {
		t.Fatal("EncodeColumn and WriteColumn give different bytes")
	}
	return encoded.Bytes()
}

// read decodes a column with ch-go's own type for it.
func read(t rapid.TB, c proto.ColInput) (values []string) {
	var into interface {
		proto.ColResult
		Row(int) string
	} = new(proto.ColStr)
	if c.Type() != into.Type() {
		into = new(proto.ColStr).LowCardinality()
	}
	if c.Type() != into.Type() {
		t.Fatalf("type %s", c.Type())
	}
	r := proto.NewReader(bytes.NewReader(wire(t, c)))
	if s, ok := into.(proto.StateDecoder); ok {
		if err := s.DecodeState(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := into.DecodeColumn(r, c.Rows()); err != nil {
		t.Fatal(err)
	}
	for i := range into.Rows() {
		values = append(values, into.Row(i))
	}
	return values
}

func columns() map[string]column {
	return map[string]column{"String": &text{}, "LowCardinality": newLowCard()}
}

// What was appended comes out, whatever it was, by whichever way it came, also after the column was used before.
func TestColumnHoldsWhatWasAppended(t *testing.T) {
	for name, c := range columns() {
		t.Run(name, func(t *testing.T) {
			few := []string{"", "a", "b", strings.Repeat("c", 127), strings.Repeat("d", 128), strings.Repeat("e", 20_000), "\xff\x00"}
			rapid.Check(t, func(t *rapid.T) {
				c.Reset()
				scratch := make([]byte, 0, 32_000)
				var want []string
				for range rapid.IntRange(1, 300).Draw(t, "rows") {
					value := rapid.OneOf(rapid.SampledFrom(few), rapid.String()).Draw(t, "value")
					if rapid.Bool().Draw(t, "bytes") {
						scratch = append(scratch[:0], value...) // overwritten by the next value
						c.AppendBytes(scratch)
					} else {
						c.Append(value)
					}
					want = append(want, value)
				}
				if got := read(t, c); !slices.Equal(got, want) {
					t.Fatalf("%q, want %q", got, want)
				}
			})
		})
	}
}

// Keys grow with the dictionary, rows written before included, and begin small again.
func TestLowCardKeysAreAsLongAsTheyMustBe(t *testing.T) {
	c := newLowCard()
	for _, test := range []struct {
		values int
		key    proto.CardinalityKey
	}{
		{1, proto.KeyUInt8},
		{1 << 8, proto.KeyUInt8},
		{1<<8 + 1, proto.KeyUInt16},
		{1 << 16, proto.KeyUInt16},
		{1<<16 + 1, proto.KeyUInt32},
		{2, proto.KeyUInt8},
	} {
		t.Run(fmt.Sprint(test.values), func(t *testing.T) {
			c.Reset()
			var want []string
			for i := range test.values {
				want = append(want, fmt.Sprint("value ", i))
				c.Append(want[i])
			}
			c.Append(want[0])
			if c.Key != test.key {
				t.Errorf("keys are %s, want %s", c.Key, test.key)
			}
			if got := read(t, c); !slices.Equal(got, append(want, want[0])) {
				t.Errorf("%d values come out differently", len(got))
			}
		})
	}
}

// A column that is full of memory does not ask for more.
func TestColumnAllocatesNothingForKnownValues(t *testing.T) {
	for name, c := range columns() {
		value, scratch := "instagram", []byte("instagram")
		for range 5000 {
			c.Append(value)
			c.AppendBytes(scratch)
		}
		rows := 0
		allocations := testing.AllocsPerRun(1000, func() {
			if rows%4000 == 0 {
				c.Reset()
				c.Append(value)
			}
			c.AppendBytes(scratch)
			rows++
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations a value", name, allocations)
		}
	}
}
