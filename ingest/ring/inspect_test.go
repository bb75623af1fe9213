package ring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"carom/ingest/faults"
)

// Inspect finds what the next Open finds, and changes nothing.
func TestInspectAgreesWithOpen(t *testing.T) {
	c := spooled(t.TempDir(), 2)
	r, _ := open(t, c, nil)
	for i := range 900 {
		pushed(r, uint64(i), fmt.Appendf(nil, "%0200d", i))
	}
	r.Read(300, func([]byte) {})
	positions := r.Mark(nil).Positions() // the segments before them are not given back: the process died
	closed(t, r)
	if err := os.WriteFile(filepath.Join(c.Dir, "1-00000099.seg.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damage(t, segmentPath(c.Dir, 1, positions[1].Segment+1), headerBytes+recordHeader)

	before := faults.Contents(t, c.Dir)
	var seen []string
	files, err := Inspect(c.Dir, c.Identity, positions, func(p []byte) { seen = append(seen, string(p)) })
	if err != nil {
		t.Fatal(err)
	}
	if after := faults.Contents(t, c.Dir); !slices.Equal(before, after) {
		t.Errorf("Inspect changed the directory:\n%q\n%q", before, after)
	}
	var found Recovered
	stored := 0
	for _, f := range files {
		found.Records, found.Lost = found.Records+f.Records, found.Lost+f.Lost
		if f.Records > 0 || f.Damaged {
			found.Segments++
		}
		if f.Damaged {
			found.Damaged++
		}
		if f.Stored {
			stored++
		}
		if f.Payload != 200*f.Records || f.Version != formatVersion || f.Bytes != c.SegmentBytes {
			t.Errorf("%+v", f)
		}
	}
	var recovered []string
	r, opened, err := Open(c, positions, positions, func(p []byte) { recovered = append(recovered, string(p)) })
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	slices.Sort(seen)
	slices.Sort(recovered)
	if found != opened || opened.Lost != 1 || stored == 0 || !slices.Equal(seen, recovered) {
		t.Errorf("Inspect found %+v and %d records, Open %+v and %d; %d files stored", found, len(seen), opened, len(recovered), stored)
	}
}

func damage(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Who only looks is not in the way of a process that starts.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	if used, err := InUse(dir); used || err != nil {
		t.Errorf("a new directory: in use %v, %v", used, err)
	}
	lock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if used, err := InUse(dir); !used || err != nil {
		t.Errorf("a locked directory: in use %v, %v", used, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	looking, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-looking:
				return
			default:
				if _, err := InUse(dir); err != nil {
					t.Error(err)
				}
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	for range 50 {
		lock, err := Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(looking)
	<-looked
}

// A file that cannot be read is told and does not hide the others.
func TestInspectUnreadable(t *testing.T) {
	c, _, records := smallSegment(t, t.TempDir())
	if err := os.Mkdir(segmentPath(c.Dir, 0, 7), 0o700); err != nil { // reading a directory fails for root too
		t.Fatal(err)
	}
	files, err := Inspect(c.Dir, c.Identity, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := files[len(files)-1]
	if files[0].Records != uint64(len(records)) || last.Number != 7 || !last.Damaged || last.Err == "" {
		t.Errorf("%+v", files)
	}
}

func TestRefusedAndAside(t *testing.T) {
	c := spooled(t.TempDir(), 2)
	if n, err := Refused(c.Dir); n != 0 || err != nil {
		t.Errorf("a new directory has refused %d, %v", n, err)
	}
	r, _ := open(t, c, nil)
	refused := uint64(0)
	for i := range 200 {
		if !push(r, uint64(i), make([]byte, MaxRecord)) {
			refused++
		}
	}
	closed(t, r)
	if n, err := Refused(c.Dir); n != refused || err != nil || n == 0 {
		t.Errorf("refused %d of %d, %v", n, refused, err)
	}
	path := segmentPath(c.Dir, 0, 3) + damagedSuffix
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if paths, err := Aside(c.Dir); len(paths) != 1 || paths[0] != path || err != nil {
		t.Errorf("kept aside: %q, %v", paths, err)
	}
	if _, err := Inspect(filepath.Join(c.Dir, "absent"), 0, nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func FuzzInspect(f *testing.F) {
	c, path, _ := smallSegment(f, f.TempDir())
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:2048], uint64(0), uint32(0), uint32(0))
	f.Add(whole[:headerBytes], uint64(64), uint32(1), uint32(3))
	f.Add([]byte{}, uint64(1<<40), uint32(9), uint32(0))
	f.Add(golden(f, firstVersion), uint64(64), uint32(1), uint32(0))
	f.Add(golden(f, formatVersion), uint64(0), uint32(0), uint32(0))
	f.Add(reused(whole), uint64(0), uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, content []byte, offset uint64, index, segment uint32) {
		s := SegmentFile{Lane: 0, Number: 0}
		records := uint64(0)
		s.inspect(aligned(content), c.Identity, Positions{{Segment: segment, Index: index, Offset: offset}}, func([]byte) { records++ })
		if s.Records != records || s.Stored && records > 0 || s.Cut && !s.Damaged {
			t.Fatalf("%d records seen, told %+v", records, s)
		}
	})
}
