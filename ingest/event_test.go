package ingest

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"carom/ingest/ring"
)

// record returns the payload that put leaves in a ring.
func record(t interface{ Fatal(...any) }, put func(*ring.Ring) bool) []byte {
	r, err := ring.New(ring.Config{Lanes: 1, SegmentBytes: 64 << 10, BudgetBytes: 192 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if !put(r) {
		t.Fatal("the ring had no room")
	}
	var payload []byte
	if n, lost := r.Read(2, func(p []byte) { payload = bytes.Clone(p) }); n != 1 || lost != 0 {
		t.Fatal(n, "records and", lost, "lost")
	}
	return payload
}

func clickRecord(t interface{ Fatal(...any) }, c *Click) []byte {
	return record(t, func(r *ring.Ring) bool { return c.Put(r, 0) })
}

// fromHex reads the bytes of a drawing: hexadecimal digits, blanks between fields, and the text of pieces in quotes.
func fromHex(t testing.TB, drawing string) (b []byte) {
	t.Helper()
	for field := range strings.FieldsSeq(drawing) {
		if text, quoted := strings.CutPrefix(field, `"`); quoted {
			b = append(b, strings.TrimSuffix(text, `"`)...)
			continue
		}
		raw, err := hex.DecodeString(field)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, raw...)
	}
	return b
}

// goldenClick and its bytes must not drift apart: a spool of the last version holds such records.
var goldenClick = Click{
	Millis: 1779969600123, ID: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	Addr: netip.MustParseAddr("198.51.100.7").As16(), Visitor: 0x1122334455667788, AgentHash: 0x99aabbccddeeff00,
	Link: 0x3fffffff, Brand: 2, Campaign: 3, Influencer: 4, Reasons: Prefetch | Head | Expired, Tier: TierMicro, Format: FormatOf("reel"),
	Host: []byte("go.glow.test"), Slug: []byte("summer"), Query: []byte("utm_source=ig&sub1=a"), Agent: []byte("Mozilla/5.0"),
	Referrer: []byte("https://l.instagram.com/"), Language: []byte("de-AT,de;q=0.9"),
}

const goldenClickBytes = `
	01 02 03 00  58000000  7baa746e9e010000
	0102030405060708090a0b0c0d0e0f10
	00000000000000000000ffffc6336407
	8877665544332211  00ffeeddccbbaa99
	ffffff3f  02000000  03000000  04000000
	1400  0b00  1800  0c  06  0e00
	"utm_source=ig&sub1=a" "Mozilla/5.0" "https://l.instagram.com/" "go.glow.test" "summer" "de-AT,de;q=0.9"`

func TestClickRecordBytes(t *testing.T) {
	want := fromHex(t, goldenClickBytes)
	if got := clickRecord(t, &goldenClick); !bytes.Equal(got, want) {
		t.Errorf("the record is\n%x, want\n%x", got, want)
	}
	var c Click
	if err := parseClick(want, &c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenClick, c); diff != "" {
		t.Errorf("the record parses as another click (-want +got):\n%s", diff)
	}
}

func TestClicksRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := func(name string, longest int) []byte {
			return rapid.SliceOfN(rapid.Byte(), 0, longest).Draw(t, name)
		}
		block := func(name string) [16]byte {
			return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name))
		}
		want := Click{
			Millis: rapid.Int64().Draw(t, "millis"), ID: block("id"), Addr: block("address"), Visitor: rapid.Uint64().Draw(t, "visitor"),
			AgentHash: rapid.Uint64().Draw(t, "agent hash"), Link: rapid.Uint32().Draw(t, "link"), Brand: rapid.Uint32().Draw(t, "brand"),
			Campaign: rapid.Uint32().Draw(t, "campaign"), Influencer: rapid.Uint32().Draw(t, "influencer"),
			Reasons: Reasons(rapid.Uint32().Draw(t, "reasons")), Tier: Tier(rapid.Byte().Draw(t, "tier")), Format: Format(rapid.Byte().Draw(t, "format")),
			Host: piece("host", maxHost), Slug: piece("slug", maxSlug), Query: piece("query", maxQuery), Agent: piece("agent", maxAgent),
			Referrer: piece("referrer", maxReferrer), Language: piece("language", maxLanguage),
		}
		var got Click
		if err := parseClick(clickRecord(t, &want), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

// Put copies: what happens to the request's memory afterwards does not reach the record.
func TestClickRecordIsACopy(t *testing.T) {
	request := []byte("go.glow.test summer utm_source=ig Mozilla/5.0 https://l.instagram.com/ de")
	c := Click{
		Host: request[0:12], Slug: request[13:19], Query: request[20:33], Agent: request[34:45], Referrer: request[46:70], Language: request[71:73],
	}
	r, err := ring.New(ring.Config{Lanes: 1, SegmentBytes: 64 << 10, BudgetBytes: 192 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Put(r, 0) {
		t.Fatal("no room")
	}
	for i := range request {
		request[i] = '#'
	}
	r.Read(1, func(p []byte) {
		if bytes.ContainsRune(p, '#') {
			t.Errorf("the record shows what was written to the request later: %q", p)
		}
		if !bytes.HasSuffix(p, []byte("utm_source=igMozilla/5.0https://l.instagram.com/go.glow.testsummerde")) {
			t.Errorf("the record is %q", p)
		}
	})
}

func TestLongPiecesAreCut(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 1<<16+1)
	c := Click{Host: long, Slug: long, Query: long, Agent: long, Referrer: long, Language: long}
	b := clickRecord(t, &c)
	if len(b) > ring.MaxRecord {
		t.Errorf("a click takes %d bytes", len(b))
	}
	var got Click
	if err := parseClick(b, &got); err != nil {
		t.Fatal(err)
	}
	lengths := [6]int{len(got.Host), len(got.Slug), len(got.Query), len(got.Agent), len(got.Referrer), len(got.Language)}
	if want := [6]int{maxHost, maxSlug, maxQuery, maxAgent, maxReferrer, maxLanguage}; lengths != want {
		t.Errorf("pieces of %v bytes, want %v", lengths, want)
	}
}

func TestParseClickRefusals(t *testing.T) {
	good := fromHex(t, goldenClickBytes)
	altered := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "only the kind": good[:1], "cut in the fixed part": good[:clickFixed-1], "cut in the pieces": good[:len(good)-1],
		"longer": append(bytes.Clone(good), 0), "a conversion": altered(0, byte(kindConversion)), "no kind": altered(0, 0),
		"query longer than the record": altered(81, 0xff), "host one byte longer": altered(86, 0x0d), "language shorter": altered(88, 0x0d),
	} {
		var c Click
		if err := parseClick(b, &c); err == nil {
			t.Errorf("%s: parses as %+v", name, c)
		}
	}
}

func TestPutClickDoesNotAllocate(t *testing.T) {
	r, err := ring.New(ring.Config{Lanes: 1, SegmentBytes: 1 << 20, BudgetBytes: 3 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c := goldenClick
	if n := testing.AllocsPerRun(1000, func() {
		if !c.Put(r, 0) {
			t.Fatal("no room")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseClick: whatever the bytes, no panic; and what parses is what its bytes say.
func FuzzParseClick(f *testing.F) {
	f.Add(fromHex(f, goldenClickBytes))
	f.Add(clickRecord(f, &Click{}))
	f.Add([]byte{byte(kindClick)})
	f.Add(bytes.Repeat([]byte{0xff}, 200))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		given := bytes.Clone(b)
		var c Click
		if err := parseClick(b, &c); err != nil {
			return
		}
		if !bytes.Equal(b, given) {
			t.Fatal("parsing changes the record")
		}
		if len(c.Query) > maxQuery || len(c.Agent) > maxAgent || len(c.Referrer) > maxReferrer || len(c.Slug) > maxSlug ||
			len(c.Language) > maxLanguage || len(c.Host) > maxHost {
			return // no Put wrote it
		}
		given[3] = 0 // not used
		if again := clickRecord(t, &c); !bytes.Equal(again, given) {
			t.Fatalf("%x parses as %+v, whose record is %x", given, c, again)
		}
	})
}
