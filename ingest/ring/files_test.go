package ring

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// spooled is a small ring in files.
func spooled(dir string, lanes int) Config {
	return Config{
		Lanes: lanes, SegmentBytes: 64 << 10, BudgetBytes: 8 * lanes * 64 << 10,
		Dir: dir, Identity: 0xca40, SyncEvery: 50 * time.Millisecond,
	}
}

type fataler interface{ Fatal(...any) }

func open(t fataler, c Config, from Positions) (*Ring, Recovered) {
	r, found, err := Open(c, from, from, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r, found
}

// pushed puts a payload in as soon as a segment is ready.
func pushed(r *Ring, hint uint64, payload []byte) {
	for !push(r, hint, payload) {
		r.Refill()
		runtime.Gosched()
	}
}

func readAll(r *Ring) (all []string, lost int) {
	for {
		n, l := r.Read(100, func(p []byte) { all = append(all, string(p)) })
		lost += l
		if n+l == 0 {
			return all, lost
		}
	}
}

func closed(t fataler, r *Ring) {
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// A ring that was closed, or whose process died, goes on where its reader's positions say.
func TestGoesOn(t *testing.T) {
	c := spooled(t.TempDir(), 2)
	r, _ := open(t, c, nil)
	for i := range 900 {
		pushed(r, uint64(i), fmt.Appendf(nil, "%0200d", i))
	}
	read := 0
	for read < 300 {
		n, _ := r.Read(300-read, func([]byte) {})
		read += n
	}
	mark := r.Mark(nil)
	positions := mark.Positions()
	r.Release(mark)
	r.Read(200, func([]byte) {}) // read, but not known to be stored
	closed(t, r)

	r, found := open(t, c, positions)
	defer closed(t, r)
	if found.Records != 600 || found.Lost != 0 || found.Damaged != 0 {
		t.Errorf("found %+v, want 600 records", found)
	}
	if st := r.Stats(); st.Waiting != 600 {
		t.Errorf("%d waiting, want 600", st.Waiting)
	}
	pushed(r, 0, []byte("new"))
	all, lost := readAll(r)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) != 601 || lost != 0 {
		t.Fatalf("%d different records, %d lost; want 601", len(all), lost)
	}
	r.Release(r.Mark(nil))
	waitFor(t, "old segments to be removed", func() bool {
		names, _ := filepath.Glob(filepath.Join(c.Dir, "*.seg"))
		return len(names) <= 3*c.Lanes+c.Lanes
	})
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited 5 s for %s", what)
}

func TestFewerLanes(t *testing.T) {
	c := spooled(t.TempDir(), 4)
	r, _ := open(t, c, nil)
	for i := range 40 {
		pushed(r, uint64(i), fmt.Appendf(nil, "%d", i))
	}
	positions := r.Mark(nil).Positions()
	closed(t, r)
	c.Lanes = 1
	r, _ = open(t, c, positions)
	defer closed(t, r)
	pushed(r, 3, []byte("new"))
	if all, _ := readAll(r); len(all) != 41 {
		t.Errorf("read %d records, want 41", len(all))
	}
}

func TestOneProcessAtATime(t *testing.T) {
	c := spooled(t.TempDir(), 1)
	r, _ := open(t, c, nil)
	if _, _, err := Open(c, nil, nil, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("a second Open: %v, want ErrInUse", err)
	}
	closed(t, r)
	r, _ = open(t, c, nil)
	closed(t, r)
}

// Records of another spool are not taken for ours; the file is kept.
func TestForeignSegment(t *testing.T) {
	c := spooled(t.TempDir(), 1)
	r, _ := open(t, c, nil)
	pushed(r, 0, []byte("theirs"))
	closed(t, r)
	c.Identity++
	r, found := open(t, c, nil)
	defer closed(t, r)
	if all, _ := readAll(r); len(all) != 0 || found.Damaged == 0 {
		t.Errorf("read %q, found %+v", all, found)
	}
	r.Release(r.Mark(nil))
	waitFor(t, "the file to be kept aside", func() bool {
		names, _ := filepath.Glob(filepath.Join(c.Dir, "*.damaged"))
		return len(names) > 0
	})
}

// What a full ring refused is known to the next process.
func TestRefusalsOutliveTheProcess(t *testing.T) {
	c := spooled(t.TempDir(), 1)
	c.BudgetBytes = 3 * c.SegmentBytes
	r, _ := open(t, c, nil)
	refused := uint64(0)
	for range 100 {
		if !push(r, 0, make([]byte, MaxRecord)) {
			refused++
		}
	}
	closed(t, r)
	r, _ = open(t, c, nil)
	defer closed(t, r)
	if st := r.Stats(); refused == 0 || st.Full != refused {
		t.Errorf("Stats.Full is %d after a restart, %d were refused", st.Full, refused)
	}
}

func TestSyncBeforeAnswering(t *testing.T) {
	c := spooled(t.TempDir(), 1)
	c.SyncEvery = 0
	r, _ := open(t, c, nil)
	defer closed(t, r)
	for i := range 600 {
		pushed(r, 0, fmt.Appendf(nil, "%0300d", i))
		if i%50 == 0 {
			r.Read(100, func([]byte) {})
			r.Release(r.Mark(nil))
		}
	}
}

// smallSegment is a segment file of one lane with some records, and what they are.
func smallSegment(t fataler, dir string) (c Config, path string, records []string) {
	c = spooled(dir, 1)
	r, _ := open(t, c, nil)
	for i := range 5 {
		p := bytes.Repeat([]byte{byte('a' + i)}, 20+60*i)
		pushed(r, 0, p)
		records = append(records, string(p))
	}
	closed(t, r)
	return c, segmentPath(dir, 0, 0), records
}

// closedSegment is a segment file that is full, so that its end is marked, and what is in it.
func closedSegment(t fataler, dir string) (c Config, path string, records []string) {
	c = spooled(dir, 1)
	r, _ := open(t, c, nil)
	for _, n := range goldenRecords {
		p := bytes.Repeat([]byte{byte(n)}, n)
		pushed(r, 0, p)
		records = append(records, string(p))
	}
	closed(t, r)
	return c, segmentPath(dir, 0, 0), records[:len(records)-1] // the last one is in the next segment
}

// goldenRecords are the lengths of the records in testdata.
var goldenRecords = [...]int{3, 60, 1000, MaxRecord, MaxRecord, MaxRecord, 12000, MaxRecord}

// golden is a segment file as a version of this program wrote it.
func golden(t fataler, version int) []byte {
	f, err := os.Open(fmt.Sprintf("testdata/version%d.seg.gz", version))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of a segment stay what they are, and those of earlier versions are recovered.
func TestGolden(t *testing.T) {
	_, path, records := closedSegment(t, t.TempDir())
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, golden(t, formatVersion)) {
		t.Error("a segment is not written as before: give the format another version")
	}
	for version := firstVersion; version <= formatVersion; version++ {
		c := spooled(t.TempDir(), 1)
		if err := os.WriteFile(segmentPath(c.Dir, 0, 0), golden(t, version), 0o600); err != nil {
			t.Fatal(err)
		}
		inspected, err := Inspect(c.Dir, c.Identity, nil, nil)
		if err != nil || len(inspected) != 1 || inspected[0].Version != uint32(version) || inspected[0].Records != uint64(len(records)) {
			t.Errorf("version %d: inspected %+v, %v", version, inspected, err)
		}
		r, found := open(t, c, nil)
		all, lost := readAll(r)
		if !slices.Equal(all, records) || lost > 0 || found.Lost > 0 || found.Damaged > 0 {
			t.Errorf("version %d: read %d records of %d, found %+v", version, len(all), len(records), found)
		}
		closed(t, r)
	}
}

// Whatever byte around the end of a full segment is damaged, in any version: every record is recovered or counted.
func TestEveryByteOfTheEndDamaged(t *testing.T) {
	records := make([]string, len(goldenRecords)-1)
	end := headerBytes
	for i := range records {
		records[i] = string(bytes.Repeat([]byte{byte(goldenRecords[i])}, goldenRecords[i]))
		end += int(recordSize(goldenRecords[i]))
	}
	c := spooled("", 1)
	for version := firstVersion; version <= formatVersion; version++ {
		content := golden(t, version)
		for at := range 2 * recordAlign {
			for _, flip := range []byte{0xff, 0x01, 0x80} {
				content[end-recordAlign+at] ^= flip
				what := fmt.Sprintf("version %d: byte %d from the end flipped by %#x", version, at-recordAlign, flip)
				checkRemains(t, c, content, records, what, true)
				content[end-recordAlign+at] ^= flip
			}
		}
	}
}

// Whatever byte of a segment is damaged: the other records are recovered and what is missing is counted.
func TestEveryByteDamaged(t *testing.T) {
	c, path, records := smallSegment(t, t.TempDir())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := 0
	for i := range records {
		end += int(recordSize(len(records[i])))
	}
	damaged := slices.Clone(whole)
	for at := range headerBytes + end + 2*recordAlign {
		for _, flip := range []byte{0xff, 0x01, 0x80, whole[at]} {
			if flip == 0 {
				continue
			}
			damaged[at] ^= flip
			checkRemains(t, c, damaged, records, fmt.Sprintf("byte %d flipped by %#x", at, flip), true)
			damaged[at] = whole[at]
		}
	}
}

// A segment cut anywhere gives the records that are left, and says so.
func TestEveryLength(t *testing.T) {
	c, path, records := smallSegment(t, t.TempDir())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range headerBytes + 2000 {
		checkRemains(t, c, whole[:n], records, fmt.Sprintf("cut to %d bytes", n), false)
	}
}

// checkRemains reads the bytes of a segment file as recovery does: in order, nothing but what was pushed, and where exact,
// with every record found or counted.
func checkRemains(t *testing.T, c Config, content []byte, records []string, what string, exact bool) {
	t.Helper()
	var found Recovered
	r := &Ring{config: c}
	m := remains{header: header{length: uint64(c.SegmentBytes)}, file: &file{mapped: aligned(content)}}
	h, ok := parseHeader(m.file.mapped)
	m.whole, m.version = ok && h.length == uint64(len(content)), h.version
	var got []string
	r.recovered(m, Position{}, Position{}, func(p []byte) { got = append(got, string(p)) }, &found)
	next := 0
	for _, g := range got {
		i := slices.Index(records[next:], g)
		if i < 0 {
			t.Fatalf("%s: read %q, which was not pushed or comes out of order", what, g)
		}
		next += i + 1
	}
	if exact && len(got)+int(found.Lost) != len(records) {
		t.Errorf("%s: read %d and lost %d of %d", what, len(got), found.Lost, len(records))
	}
	if !exact && (found.Damaged != 1 || found.Cut != 1) {
		t.Errorf("%s: found %+v, not known as cut", what, found)
	}
	if len(got) < len(records) && found.Damaged == 0 {
		t.Errorf("%s: %d records are missing and the file passes for whole", what, len(records)-len(got))
	}
}

// aligned copies bytes to where words may be loaded atomically.
func aligned(b []byte) []byte {
	words := make([]uint64, len(b)/8+2)
	if len(b) == 0 {
		return nil
	}
	c := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)[:len(b):len(b)]
	copy(c, b)
	return c
}

// reused is the beginning of a segment file of which the first record was synced after it was used again: the others are stale.
func reused(whole []byte) []byte {
	b := slices.Clone(whole[:2048])
	next := headerBytes + int(recordSize(int(binary.LittleEndian.Uint32(b[headerBytes+4:]))))
	copy(b[next+8:], "a checksum of another segment's")
	binary.LittleEndian.PutUint64(b[watermarkAt:], watermarkWord(uint64(next-headerBytes), saltOf(0xca40, 0, 0)))
	return b
}

func FuzzRecover(f *testing.F) {
	c, path, _ := smallSegment(f, f.TempDir())
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:2048], uint64(0), uint32(0))
	f.Add(whole[:headerBytes], uint64(64), uint32(1))
	f.Add([]byte{}, uint64(1<<40), uint32(9))
	f.Add(golden(f, firstVersion), uint64(64), uint32(1))
	f.Add(golden(f, formatVersion), uint64(0), uint32(0))
	f.Add(reused(whole), uint64(0), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, offset uint64, index uint32) {
		offset &^= recordAlign - 1
		r := &Ring{config: c}
		var found Recovered
		h, _ := parseHeader(b)
		s := r.recovered(remains{header: header{length: uint64(c.SegmentBytes), version: h.version}, file: &file{mapped: aligned(b)}},
			Position{}, Position{Offset: offset, Index: index}, nil, &found)
		if s == nil {
			return
		}
		// What recovery announced is what reading gives.
		l := lane{reading: s, oldest: s}
		n, lost := l.readInto(1<<30, func([]byte) {})
		if uint64(n) != found.Records || uint64(lost) != found.Lost || s.remaining != 0 {
			t.Fatalf("read %d, lost %d, %d remain; recovery found %+v", n, lost, s.remaining, found)
		}
	})
}
