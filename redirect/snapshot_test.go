package redirect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"carom/ingest"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

func testSealer(t rapid.TB) *Sealer {
	t.Helper()
	s, err := NewSealer([]byte(strings.Repeat("a secret for tests", 2)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// snapshotBytes is the snapshot of what a builder's last table holds.
func snapshotBytes(t rapid.TB, b *Builder) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := b.snapshot(edgeNow, map[string]uint64{"links": 7}).write(&out, testSealer(t), edgeNow); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// goldenBuilder holds one of everything but keys, whose seals differ each time.
func goldenBuilder(t testing.TB) *Builder {
	t.Helper()
	b := NewBuilder()
	b.SetBrand(Brand{ID: 1, Key: "glow", Name: "Glow & Co", Currency: "EUR", AttributionDays: 30, Policy: DestinationPolicy{AppSchemes: []string{"glow"}}})
	b.SetDomain(DomainRow{ID: 1, Host: "go.glow.test", Brand: 1, Home: "https://glow.example/"})
	b.SetCampaign(Campaign{
		ID: 3, Key: "spring", Brand: 1, Destination: "https://glow.example/spring?ref=carom#top",
		UTM: UTM{Source: "{platform}", Campaign: "{campaign}-{influencer}", Content: "{link}"}, ClickIDParam: "aff",
		Starts: edgeNow.Add(-time.Hour), Ends: edgeNow.Add(time.Hour), Enabled: true,
	})
	b.SetInfluencer(Influencer{ID: 300, Key: "mia", Platform: "tik tok", Tier: ingest.TierMicro, Enabled: true})
	for _, l := range []LinkRow{
		{ID: 1, Key: "plain"},
		{ID: 2, Key: "slug", Slug: "summer", Coupon: "MIA10", Expires: edgeNow, Format: ingest.FormatOf("reel")},
		{ID: 3, Key: "own", Destination: "glow://item?id=1#x", UTM: UTM{Term: "story"}, Fallback: "https://glow.example/over"},
		{ID: 4, Key: "gone", Deleted: true},
		{ID: 5, Key: "long", Destination: "https://glow.example/" + strings.Repeat("x", 300), Coupon: "MIA10"},
		{ID: 700, Key: "far"},
	} {
		l.Brand, l.Campaign, l.Influencer, l.Domain, l.Starts, l.Enabled = 1, 3, 300, 1, edgeNow.Add(-time.Minute), true
		if err := b.SetLink(l); err != nil {
			t.Fatal(err)
		}
	}
	b.Table()
	return b
}

// The bytes of a version are read for as long as a program says it reads that version.
func TestGoldenSnapshots(t *testing.T) {
	newest := filepath.Join("testdata", fmt.Sprintf("snapshot-v%d.hex", snapshotVersion))
	got := snapshotBytes(t, goldenBuilder(t))
	if *updateGolden {
		if err := os.WriteFile(newest, []byte(hex.Dump(got)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, undumped(t, newest)) {
		t.Errorf("a snapshot's bytes are no longer those of %s; if that is meant, raise the version and run with -update\n%s", newest, hex.Dump(got))
	}
	for version := range snapshotVersion {
		path := filepath.Join("testdata", fmt.Sprintf("snapshot-v%d.hex", version+1))
		b, head, seen, err := readSnapshot(bytes.NewReader(undumped(t, path)), testSealer(t))
		if err != nil {
			t.Fatal(err)
		}
		if !head.taken.Equal(edgeNow) || head.known != 6 || !maps.Equal(seen, map[string]uint64{"links": 7}) {
			t.Errorf("%s: taken %v, %d links, seen %v", path, head.taken, head.known, seen)
		}
		table := b.Table()
		if table.Links() != 5 || table.coupon(1, "MIA10") != 5 {
			t.Errorf("%s: %d links, the coupon is of link %d", path, table.Links(), table.coupon(1, "MIA10"))
		}
		var l resolved
		if !table.resolve(&l, table.Domain([]byte("go.glow.test")), []byte("/summer")) || l.number != 2 {
			t.Fatalf("%s: the slug is of link %d", path, l.number)
		}
		if at := l.appendLocation(nil); string(at.text) != "https://glow.example/spring?ref=carom&utm_source=tik+tok&utm_campaign=spring-mia&utm_content=slug&" || string(at.fragment) != "#top" {
			t.Errorf("%s: the location is %q %q", path, at.text, at.fragment)
		}
		runtime.KeepAlive(table)
	}
}

// undumped reads what hex.Dump has written.
func undumped(t testing.TB, path string) (raw []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		digits, _, _ := strings.Cut(line[10:], "|")
		raw = append(raw, unhexed(t, strings.Join(strings.Fields(digits), ""))...)
	}
	return raw
}

// A builder that comes from a snapshot answers and goes on like the one it was taken from.
func TestSnapshotsAreComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		for range rapid.IntRange(1, 4).Draw(t, "restarts") {
			for range rapid.IntRange(0, 2).Draw(t, "polls") {
				touched := map[uint32]bool{}
				for range rapid.IntRange(0, 6).Draw(t, "changes") {
					m.change(t, touched)
				}
				m.give(t, touched)
			}
			m.builder.Table()
			b, _, _, err := readSnapshot(bytes.NewReader(snapshotBytes(t, m.builder)), testSealer(t))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(b.sums, m.builder.sums) {
				t.Fatalf("sums %v after a start, %v before", b.sums, m.builder.sums)
			}
			m.builder = b
			table := b.Table()
			if table.Links() != m.count() {
				t.Fatalf("%d links, want %d", table.Links(), m.count())
			}
			compare(t, "restarted", table, m.served())
		}
	})
}

// Every truncation, and every byte that differs, is noticed.
func TestDamagedSnapshotsAreRefused(t *testing.T) {
	good := snapshotBytes(t, goldenBuilder(t))
	refuse := func(what string, b []byte) {
		t.Helper()
		if _, _, _, err := readSnapshot(bytes.NewReader(b), testSealer(t)); !errors.Is(err, errSnapshot) {
			t.Errorf("%s: %v, want errSnapshot", what, err)
		}
	}
	for n := range good {
		if n < 200 || n%7 == 0 {
			refuse(fmt.Sprintf("cut off after %d bytes of %d", n, len(good)), good[:n])
		}
		if n < 200 || n%13 == 0 {
			bad := slices.Clone(good)
			bad[n] ^= 1 << (n % 8)
			refuse(fmt.Sprintf("bit %d of byte %d", n%8, n), bad)
		}
	}
	other := goldenBuilder(t)
	if err := other.SetLink(LinkRow{ID: 700, Brand: 1, Campaign: 3, Influencer: 300, Domain: 1, Key: "far", Coupon: "X"}); err != nil {
		t.Fatal(err)
	}
	other.Table()
	mixed := snapshotBytes(t, other)
	end := len(good) - blockHeader - 8
	refuse("the end of another snapshot", append(good[:end:end], mixed[len(mixed)-blockHeader-8:]...))
}

// sealAgain puts the right checksums over whatever a fuzzer has made, as far as it can be told apart.
func sealAgain(b []byte) []byte {
	if len(b) < snapshotHeader {
		return b
	}
	le := binary.LittleEndian
	b = slices.Clone(b)
	text := b[snapshotHeader:]
	n := min(int(le.Uint32(b[12:])), len(text))
	le.PutUint64(b[32:], xxhash.Sum64(text[:n]))
	le.PutUint64(b[40:], xxhash.Sum64(b[:40]))
	sums := xxhash.New()
	for rest := text[n:]; len(rest) >= blockHeader; {
		size := int(le.Uint32(rest[4:]))
		if size > len(rest)-blockHeader {
			break
		}
		block := rest[blockHeader : blockHeader+size]
		if le.Uint32(rest) == blockEnd && size == 8 {
			le.PutUint64(block, sums.Sum64())
		}
		le.PutUint64(rest[8:], blockSum(rest[:8], block))
		_, _ = sums.Write(rest[8:16])
		rest = rest[blockHeader+size:]
	}
	return b
}

// Whatever a file holds, it is refused, or it makes a table that can be read in full.
func FuzzReadSnapshot(f *testing.F) {
	f.Add(snapshotBytes(f, goldenBuilder(f)))
	f.Add(snapshotBytes(f, func() *Builder { b := NewBuilder(); b.Table(); return b }()))
	sealer := testSealer(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, _, _, err := readSnapshot(bytes.NewReader(sealAgain(data)), sealer)
		if err != nil {
			return
		}
		table := b.Table()
		defer runtime.KeepAlive(table)
		domains := []*Domain{{ID: 1}, {ID: 2}}
		for number := range b.links.All() {
			for _, d := range domains {
				var l resolved
				if table.answered(&l, d, number) {
					at := l.appendLocation(nil)
					_, names := l.group.clickParam()
					appendPassthrough(at.text, []byte("a=b&utm_source=x"), l.storedNames(at, names, new([]byte)), nil)
					table.bySlug(&l, d, l.link.texts().slug)
				}
			}
			table.attribution(number)
		}
		table.coupon(1, "MIA10")
		if err := b.SetLink(LinkRow{ID: 1, Brand: 1, Campaign: 3, Influencer: 300, Domain: 1, Slug: "new"}); err != nil && !errors.Is(err, ErrReference) && !errors.Is(err, ErrDestination) {
			t.Error(err)
		}
		b.Table()
	})
}

func TestSnapshotFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.snapshot")
	sealer := testSealer(t)
	save := func(b *Builder, want error) {
		t.Helper()
		b.Table()
		if _, err := b.snapshot(edgeNow, nil).save(path, sealer, edgeNow); !errors.Is(err, want) {
			t.Fatalf("saved: %v, want %v", err, want)
		}
	}
	links := func() int {
		t.Helper()
		s, err := loadSnapshot(path, sealer)
		if err != nil {
			t.Fatal(err)
		}
		return s.builder.Table().Links()
	}
	if _, err := loadSnapshot(path, sealer); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := NewBuilder().snapshot(edgeNow, nil).save(path, sealer, edgeNow); err == nil {
		t.Error("a table without keys is saved")
	}
	b := edgeBuilder(t)
	save(b, nil)
	first := links()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{glowSecrets[0], glowSecrets[1], edgeKey} {
		if bytes.Contains(text, secret) {
			t.Errorf("the secret %q is in the file", secret)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	other, err := NewSealer(bytes.Repeat([]byte("other"), 10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadSnapshot(path, other); !errors.Is(err, ErrSealed) {
		t.Errorf("with another cluster's secret: %v", err)
	}

	// A deleted link is still known, so a table that only lost links to deletions is saved; one that knows fewer is not.
	if err := b.SetLink(LinkRow{ID: linkLive, Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, Deleted: true}); err != nil {
		t.Fatal(err)
	}
	save(b, nil)
	if n := links(); n != first-1 {
		t.Errorf("%d links after a deletion, %d before", n, first)
	}
	few := goldenBuilder(t)
	few.SetKey(KeyRow{Kind: KeyClickID, ID: "1", Secret: edgeKey, Active: true})
	few.SetKey(KeyRow{Kind: KeyVisitor, ID: edgeNow.Format(time.DateOnly), Secret: make([]byte, VisitorKeyLen), Active: true})
	save(few, errShrunken)
	if n := links(); n != first-1 {
		t.Errorf("%d links after a refused save, want %d", n, first-1)
	}

	// The newest is cut off, empty or gone: the one before is read.
	for _, n := range []int{len(text) / 2, 10, 0} {
		if err := os.WriteFile(path, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if got := links(); got != first {
			t.Errorf("%d links with the newest cut off after %d bytes, the one before had %d", got, n, first)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := links(); got != first {
		t.Errorf("%d links without the newest, the one before had %d", got, first)
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unfinished file is left: %v", err)
	}
}

// The file does not keep the visitor key of a day gone by.
func TestSnapshotTurnsTheVisitorKey(t *testing.T) {
	b := edgeBuilder(t)
	b.Table()
	var out bytes.Buffer
	later := edgeNow.Add(72 * time.Hour)
	if err := b.snapshot(edgeNow, nil).write(&out, testSealer(t), later); err != nil {
		t.Fatal(err)
	}
	restored, _, _, err := readSnapshot(&out, testSealer(t))
	if err != nil {
		t.Fatal(err)
	}
	want := NextVisitorKey(NextVisitorKey(NextVisitorKey(make([]byte, VisitorKeyLen))))
	got := restored.Table().visitors
	if got.day != dayOf(later.Unix()) || !bytes.Equal(got.secret, want) {
		t.Errorf("the visitor key is of day %d, want %d", got.day, dayOf(later.Unix()))
	}
}
