package ingest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"carom/ingest/ring"
)

func conversionRecord(t interface{ Fatal(...any) }, c *Conversion) []byte {
	return record(t, func(r *ring.Ring) bool { return c.Put(r, 0) })
}

// goldenConversion and its bytes must not drift apart: a spool of the last version holds such records.
var goldenConversion = Conversion{
	Received: 1779969600123, Millis: 1779969599000, ClickTime: 1779883200000, Amount: 499_000, Brand: 1, Campaign: 2, Influencer: 3, Link: 4,
	Status: Approved, Source: FromPostback, Signed: true,
	ClickID: "HbL068_RmN-ZgqpqlL-cXA", Event: "sale", TxID: "1001", RefTxID: "", Currency: "EUR", Customer: "c-7", Coupon: "MIA10",
}

const goldenConversionBytes = `
	02 02 01 01
	7baa746e9e010000  18a6746e9e010000  004e4e699e010000  389d070000000000
	01000000  02000000  03000000  04000000
	1600 "HbL068_RmN-ZgqpqlL-cXA"  0400 "sale"  0400 "1001"  0000  0300 "EUR"  0300 "c-7"  0500 "MIA10"`

func TestConversionRecordBytes(t *testing.T) {
	want := fromHex(t, goldenConversionBytes)
	if got := conversionRecord(t, &goldenConversion); !bytes.Equal(got, want) {
		t.Errorf("the record is\n%x, want\n%x", got, want)
	}
	var c Conversion
	if err := parseConversion(want, &c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenConversion, c); diff != "" {
		t.Errorf("the record parses as another conversion (-want +got):\n%s", diff)
	}
}

func TestConversionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Conversion{
			Received: rapid.Int64().Draw(t, "received"), Millis: rapid.Int64().Draw(t, "millis"), ClickTime: rapid.Int64().Draw(t, "click time"),
			Amount: rapid.Int64Min(0).Draw(t, "amount"), Brand: rapid.Uint32().Draw(t, "brand"), Campaign: rapid.Uint32().Draw(t, "campaign"),
			Influencer: rapid.Uint32().Draw(t, "influencer"), Link: rapid.Uint32().Draw(t, "link"),
			Status: Status(rapid.IntRange(1, 3).Draw(t, "status")), Source: Source(rapid.IntRange(1, 3).Draw(t, "source")), Signed: rapid.Bool().Draw(t, "signed"),
		}
		for _, text := range want.texts() {
			*text = rapid.StringN(0, 300, -1).Draw(t, "text")
		}
		var got Conversion
		if err := parseConversion(conversionRecord(t, &want), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

func TestParsedConversionIsACopy(t *testing.T) {
	b := fromHex(t, goldenConversionBytes)
	var c Conversion
	if err := parseConversion(b, &c); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if diff := cmp.Diff(goldenConversion, c); diff != "" {
		t.Errorf("the conversion changed with the record's memory (-want +got):\n%s", diff)
	}
}

func TestConversionTooLongForARecordIsRefused(t *testing.T) {
	r, err := ring.New(ring.Config{Lanes: 1, SegmentBytes: 64 << 10, BudgetBytes: 192 << 10})
	if err != nil {
		t.Fatal(err)
	}
	c := goldenConversion
	c.Customer = strings.Repeat("x", 1<<16+5)
	if c.Put(r, 0) {
		t.Error("a conversion of more than 64 KiB is taken")
	}
	if n, _ := r.Read(1, func([]byte) {}); n != 0 {
		t.Error("and leaves a record")
	}
}

func TestParseConversionRefusals(t *testing.T) {
	good := fromHex(t, goldenConversionBytes)
	altered := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "only the kind": good[:1], "cut in the fixed part": good[:conversionFixed-1], "without texts": good[:conversionFixed],
		"cut in a length": good[:conversionFixed+1], "cut in the last text": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"a click": altered(0, byte(kindClick)), "text longer than the record": altered(conversionFixed+1, 0xff),
	} {
		var c Conversion
		if err := parseConversion(b, &c); err == nil {
			t.Errorf("%s: parses as %+v", name, c)
		}
	}
	for n := range good {
		if err := parseConversion(good[:n], &Conversion{}); err == nil {
			t.Errorf("the first %d of %d bytes parse", n, len(good))
		}
	}
}

// FuzzParseConversion: whatever the bytes, no panic; and what parses is what its bytes say.
func FuzzParseConversion(f *testing.F) {
	f.Add(fromHex(f, goldenConversionBytes))
	f.Add(conversionRecord(f, &Conversion{}))
	f.Add([]byte{byte(kindConversion)})
	f.Add(bytes.Repeat([]byte{0xff}, 200))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		given := bytes.Clone(b)
		var c Conversion
		if err := parseConversion(b, &c); err != nil || len(b) > ring.MaxRecord {
			return
		}
		if !bytes.Equal(b, given) {
			t.Fatal("parsing changes the record")
		}
		if given[3] != 1 {
			given[3] = 0 // whatever is not 1 is unsigned
		}
		if again := conversionRecord(t, &c); !bytes.Equal(again, given) {
			t.Fatalf("%x parses as %+v, whose record is %x", given, c, again)
		}
	})
}
