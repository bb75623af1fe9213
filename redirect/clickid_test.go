package redirect

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type goldenClickID struct {
	Key, ID        string
	Link           uint32
	Millis         int64
	Node, Sequence uint16
}

func mustClickIDKey(t testing.TB, key []byte) ClickIDKey {
	t.Helper()
	k, err := NewClickIDKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestGoldenClickIDs(t *testing.T) {
	for _, g := range golden[goldenClickID](t, "clickids.json") {
		key := mustClickIDKey(t, unhexed(t, g.Key))
		want := Click{Link: g.Link, Millis: g.Millis, Node: g.Node, Sequence: g.Sequence}
		var block [16]byte
		key.Seal(&block, want)
		if got := string(AppendClickID(nil, &block)); got != g.ID {
			t.Errorf("id of %+v is %s, want %s", want, got, g.ID)
		}
		read, err := DecodeClickID(g.ID)
		if err != nil {
			t.Errorf("DecodeClickID(%s): %v", g.ID, err)
			continue
		}
		if got, ok := key.Open(read); !ok || got != want {
			t.Errorf("%s opens as %+v, %v, want %+v", g.ID, got, ok, want)
		}
	}
}

func TestClickIDsRoundTripAndNoOtherKeyOpensThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")
		key, err := NewClickIDKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		want := Click{
			Link:     uint32(rapid.IntRange(0, MaxLink).Draw(t, "link")),
			Millis:   clickEpoch + rapid.Int64Range(0, clickMillisMax).Draw(t, "millis"),
			Node:     uint16(rapid.IntRange(0, MaxNode).Draw(t, "node")),
			Sequence: uint16(rapid.IntRange(0, 1<<clickSeqBits-1).Draw(t, "sequence")),
		}
		var block [16]byte
		key.Seal(&block, want)
		text := string(AppendClickID(nil, &block))
		read, err := DecodeClickID(text)
		if got, ok := key.Open(read); err != nil || !ok || got != want {
			t.Fatalf("%s opens as %+v, %v, %v", text, got, ok, err)
		}
		// One in 2^32 would pass the check.
		secret = slices.Clone(secret)
		secret[rapid.IntRange(0, 15).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		wrong, err := NewClickIDKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := wrong.Open(block); ok {
			t.Fatalf("%s opens under another key as %+v", text, got)
		}
		for i := range 128 {
			flipped := block
			flipped[i/8] ^= 1 << (i % 8)
			if got, ok := key.Open(flipped); ok {
				t.Fatalf("%s opens with bit %d flipped as %+v", text, i, got)
			}
		}
	})
}

func TestNewClickIDKeyWantsSixteenBytes(t *testing.T) {
	for _, n := range []int{0, 15, 17, 24, 32} {
		if _, err := NewClickIDKey(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is taken", n)
		}
	}
}

func TestDecodeClickIDKnowsOneSpelling(t *testing.T) {
	good := golden[goldenClickID](t, "clickids.json")[0].ID // ends in A: the four spare bits are zero
	for name, text := range map[string]string{
		"empty": "", "short": good[:21], "long": good + "A", "padded": good + "==", "spare bit 1": good[:21] + "B",
		"spare bit 2": good[:21] + "C", "spare bit 3": good[:21] + "E", "spare bit 4": good[:21] + "I",
		"newline for a character": good[:21] + "\n", "newline inside": good[:10] + "\n" + good[10:21], "carriage return": "\r" + good[1:],
		"standard alphabet +": "+" + good[1:], "standard alphabet /": "/" + good[1:], "blank": " " + good[1:],
		"percent": "%41" + good[3:], "NUL": "\x00" + good[1:], "not ASCII": "é" + good[2:], "huge": strings.Repeat("A", 1<<16),
	} {
		if block, err := DecodeClickID(text); !errors.Is(err, ErrClickID) {
			t.Errorf("%s: DecodeClickID(%q) = %x, %v, want ErrClickID", name, text, block, err)
		}
	}
}

func TestOlderClickIDKeysOpenWhatTheyMade(t *testing.T) {
	first, second, foreign := mustClickIDKey(t, make([]byte, 16)), mustClickIDKey(t, []byte("0123456789abcdef")),
		mustClickIDKey(t, []byte("fedcba9876543210"))
	keys := clickIDKeys{second, first}
	want := Click{Link: 5, Millis: clickEpoch + 9, Node: 3, Sequence: 1}
	for name, c := range map[string]struct {
		key ClickIDKey
		ok  bool
	}{"current": {second, true}, "older": {first, true}, "foreign": {foreign, false}} {
		var block [16]byte
		c.key.Seal(&block, want)
		got, err := keys.open(string(AppendClickID(nil, &block)))
		if c.ok && (err != nil || got != want) || !c.ok && !errors.Is(err, ErrClickID) {
			t.Errorf("id under the %s key: %+v, %v", name, got, err)
		}
	}
}

func TestClickTime(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 7e6, time.UTC)
	if got := (Click{Millis: at.UnixMilli()}).Time(); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("time of a click at %v is %v", at, got)
	}
}

// FuzzDecodeClickID: what decodes has one spelling, the one it came in.
func FuzzDecodeClickID(f *testing.F) {
	for _, g := range golden[goldenClickID](f, "clickids.json") {
		f.Add(g.ID)
	}
	for _, s := range []string{"", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAA\n\n", "______________________"} {
		f.Add(s)
	}
	key := mustClickIDKey(f, make([]byte, 16))
	f.Fuzz(func(t *testing.T, s string) {
		block, err := DecodeClickID(s)
		if err != nil {
			if !errors.Is(err, ErrClickID) {
				t.Fatalf("DecodeClickID(%q) fails with %v", s, err)
			}
			return
		}
		if again := string(AppendClickID(nil, &block)); again != s {
			t.Fatalf("%q and %q are the same click id", s, again)
		}
		if c, ok := key.Open(block); ok {
			var sealed [16]byte
			if key.Seal(&sealed, c); sealed != block {
				t.Fatalf("%q opens as %+v, which seals to another block", s, c)
			}
		}
	})
}

// moment is one pair of a clickClock as a number that must grow.
func moment(millis int64, sequence uint16) uint64 {
	return uint64(millis)<<clickSeqBits | uint64(sequence)
}

func TestClickClockNeverRepeats(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	year := func(y int) int64 { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() }
	for _, c := range []struct {
		name string
		wall func(i int) int64 // of the i-th click
	}{
		{"going on", func(i int) int64 { return now + int64(i) }},
		{"standing still", func(int) int64 { return now }},
		{"going backwards", func(i int) int64 { return now - int64(i) }},
		{"an hour back in between", func(i int) int64 { return now + int64(i) - int64(i/500%2)*3600_000 }},
		{"before the epoch", func(int) int64 { return year(1970) }},
		{"after the last millisecond", func(int) int64 { return year(2106) }},
		{"far beyond", func(int) int64 { return 1<<62 + 5 }},
		{"negative", func(int) int64 { return -1 << 62 }},
	} {
		var clock clickClock
		last := uint64(0)
		for i := range 3 << clickSeqBits { // more than two milliseconds can hold
			millis, sequence := clock.next(c.wall(i))
			if millis < clickEpoch || millis > clickEpoch+clickMillisMax || sequence >= 1<<clickSeqBits {
				t.Fatalf("%s: click %d at %d ms, sequence %d: not what an id can hold", c.name, i, millis, sequence)
			}
			if m := moment(millis, sequence); m <= last && i > 0 {
				t.Fatalf("%s: click %d at %d ms, sequence %d, is not later than the one before", c.name, i, millis, sequence)
			} else {
				last = m
			}
		}
	}
}

func TestClickClockFollowsTheWallAgain(t *testing.T) {
	var clock clickClock
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for range 5 << clickSeqBits { // runs 4 ms ahead
		clock.next(now)
	}
	if millis, sequence := clock.next(now + 1000); millis != now+1000 || sequence != 0 {
		t.Errorf("a second later the clock shows %d ms more and sequence %d", millis-now, sequence)
	}
}

func TestClickClockIsStrictForManyProducers(t *testing.T) {
	var clock clickClock
	const producers, each = 8, 20_000
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	got := make([][]uint64, producers)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				got[p] = append(got[p], moment(clock.next(now+int64(i/5000)-int64(p%2)*10)))
			}
		})
	}
	wg.Wait()
	var all []uint64
	for p, moments := range got {
		if !slices.IsSorted(moments) {
			t.Errorf("producer %d saw time go back", p)
		}
		all = append(all, moments...)
	}
	slices.Sort(all)
	if distinct := len(slices.Compact(all)); distinct != producers*each {
		t.Errorf("%d clicks share %d moments", producers*each, distinct)
	}
}

// A clock that was set back goes on after the newest click of an earlier process.
func TestClickClockRaised(t *testing.T) {
	const now = int64(1_800_000_000_000)
	var clock clickClock
	clock.raise(now)
	if millis, _ := clock.next(now - 3_600_000); millis <= now {
		t.Errorf("a click at %d, not after %d", millis, now)
	}
	clock.raise(0)
	if millis, _ := clock.next(now - 3_600_000); millis <= now {
		t.Error("raising to the past set the clock back")
	}
	// Where a wall clock past the end has used up the first moments there, the next process goes on behind them.
	end, _ := clock.next(math.MaxInt64 / 2)
	var next clickClock
	next.raise(end)
	if millis, _ := next.next(math.MaxInt64 / 2); millis <= end {
		t.Errorf("a click at %d, not after %d", millis, end)
	}
}
