package ring

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// A platter is what a disk has for certain: what was synced.
type platter struct {
	mu     sync.Mutex
	broken bool
	synced map[*file][]byte
	named  map[*file]string // when it was made
}

func newPlatter() *platter { return &platter{synced: map[*file][]byte{}, named: map[*file]string{}} }

// sync is a syncFunc.
func (p *platter) sync(f *file, from, to uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return unix.EIO
	}
	if p.synced[f] == nil {
		p.synced[f], p.named[f] = make([]byte, len(f.mapped)), f.path
	}
	page := uint64(os.Getpagesize())
	from, to = from/page*page, min((to+page-1)/page*page, uint64(len(f.mapped)))
	copy(p.synced[f][from:to], f.mapped[from:to])
	return nil
}

// halt ends a ring as the death of its process would, but for its mappings.
func halt(t fataler, r *Ring) *files {
	fs := r.store.(*files)
	close(fs.stop)
	fs.done.Wait()
	if err := fs.lock.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// cut ends the ring and writes to another directory what a power cut leaves. Of each sector the disk has what was synced, or, with
// the chance kept, what the process wrote there last; of each file its name or the one it was made with.
func (p *platter) cut(t fataler, r *Ring, to string, kept float64, random *rand.Rand) {
	const sector = 512
	fs := halt(t, r)
	byPath := map[string]*file{}
	for f := range p.synced { // each is when it is made
		if f.mapped != nil {
			byPath[f.path] = f
		}
	}
	paths, err := filesEnding(fs.config.Dir, segmentSuffix)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f := byPath[path]
		var left []byte
		if f == nil || f.recovered { // on the disk since an earlier cut
			if left, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		} else {
			left = slices.Clone(p.synced[f])
			for at := 0; at < len(left); at += sector {
				if random.Float64() < kept {
					copy(left[at:at+sector], f.mapped[at:])
				}
			}
			if random.Float64() >= kept {
				path = p.named[f]
			}
			if err := unix.Munmap(f.mapped); err != nil {
				t.Fatal(err)
			}
			f.mapped = nil
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), left, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A cutLane is what one lane of a ring may hold.
type cutLane struct {
	committed []cutRecord // not yet released, in order
	read      int         // of them, at most
	frozen    int         // of them: what counts as read after a cut
}

type cutRecord struct {
	id     uint64
	synced bool
}

// toPageEnd stands for a record that ends with its page: behind it, a sync leaves what the disk had.
const toPageEnd = 0

// pageRest is the length of such a record.
func pageRest(s *segment) int {
	used := headerBytes + int(s.tail.Load()&(tailOne-1))%os.Getpagesize()
	return 2*os.Getpagesize() - used - recordHeader
}

// Any mix of pushes, syncs, reads and releases in files that are used again and again, with power cuts between: what was synced is
// there, in order, nothing of an earlier segment, and no more is counted as lost than is missing; what was read and not released is not
// read again and is there, too. A process that is only killed loses nothing.
func TestModelWithPowerCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lanes = 2
		parent, err := os.MkdirTemp("", "carom-ring-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(parent)
		cuts := 0
		c := spooled("", lanes)
		c.BudgetBytes = 5 * lanes * c.SegmentBytes
		if c.SyncEvery = time.Hour; rapid.Bool().Draw(t, "eager") { // else only the test syncs
			c.SyncEvery = 0
		}
		var disk *platter
		var r *Ring
		var model [lanes]cutLane
		released, frozen := Positions(nil), Positions(nil)
		torn := uint64(0) // counted as lost at the last cut
		start := func() (found Recovered, ids [lanes][]uint64) {
			disk = newPlatter()
			c.Dir = filepath.Join(parent, fmt.Sprint(cuts))
			if err := os.MkdirAll(c.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if r, found, err = openOn(disk.sync, c, released, frozen, func(b []byte) {
				lane := binary.LittleEndian.Uint64(b)
				ids[lane] = append(ids[lane], binary.LittleEndian.Uint64(b[8:]))
			}); err != nil {
				t.Fatal(err)
			}
			return found, ids
		}
		start()
		defer func() { halt(t, r) }()
		syncAll := func() {
			r.store.(*files).syncDirty()
			for lane := range model {
				for i := range model[lane].committed {
					model[lane].committed[i].synced = true
				}
			}
		}
		read := func(t *rapid.T) {
			r.Read(rapid.IntRange(1, 40).Draw(t, "limit"), func(b []byte) {
				m := &model[binary.LittleEndian.Uint64(b)]
				if got := binary.LittleEndian.Uint64(b[8:]); m.read == len(m.committed) || got != m.committed[m.read].id {
					t.Fatalf("read %d out of order", got)
				}
				m.read++
			})
		}
		sent := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				lane := rapid.IntRange(0, lanes-1).Draw(t, "lane")
				for _, n := range rapid.SliceOfN(rapid.OneOf(rapid.IntRange(16, MaxRecord), rapid.Just(toPageEnd)), 1, 30).Draw(t, "bytes") {
					if n == toPageEnd {
						n = pageRest(r.lanes[lane].active.Load())
					}
					b := slices.Repeat([]byte{byte(sent) | 1}, n)
					binary.LittleEndian.PutUint64(b, uint64(lane))
					binary.LittleEndian.PutUint64(b[8:], sent)
					for try := 0; !push(r, uint64(lane), b); try++ {
						if try == 20 {
							return // the budget is used up
						}
						time.Sleep(50 * time.Microsecond)
						r.Refill()
					}
					model[lane].committed = append(model[lane].committed, cutRecord{sent, c.SyncEvery == 0})
					sent++
				}
			},
			"":     func(t *rapid.T) { checkStats(t, r) },
			"sync": func(*rapid.T) { syncAll() },
			"read": read,
			"freeze": func(*rapid.T) {
				frozen = r.Mark(nil).Positions()
				for lane := range model {
					model[lane].frozen = model[lane].read
				}
			},
			"read and release": func(t *rapid.T) {
				read(t)
				mark := r.Mark(nil)
				released = mark.Positions()
				frozen = released
				r.Release(mark)
				for lane := range model {
					m := &model[lane]
					m.committed, m.read, m.frozen = m.committed[m.read:], 0, 0
				}
			},
			"cut": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
					return
				}
				if rapid.Bool().Draw(t, "synced") {
					syncAll()
				}
				kept := rapid.SampledFrom([]float64{0, 0.1, 0.5, 0.9, 1}).Draw(t, "kept")
				random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
				cuts++
				to := filepath.Join(parent, fmt.Sprint(cuts))
				if err := os.Mkdir(to, 0o700); err != nil {
					t.Fatal(err)
				}
				disk.cut(t, r, to, kept, random)
				found, ids := start()
				var there [lanes][]uint64
				if _, err := Inspect(c.Dir, c.Identity, released, func(b []byte) {
					lane := binary.LittleEndian.Uint64(b)
					there[lane] = append(there[lane], binary.LittleEndian.Uint64(b[8:]))
				}); err != nil {
					t.Fatal(err)
				}
				pushed, safe := 0, true
				for lane := range model {
					m := &model[lane]
					pushed += len(m.committed) - m.frozen
					slices.Sort(there[lane]) // a file may have its old name still
					left := cutLane{}
					for i, record := range m.committed {
						if at := len(left.committed); at < len(there[lane]) && there[lane][at] == record.id {
							left.committed = append(left.committed, cutRecord{record.id, true})
							if i < m.frozen {
								left.frozen++
							}
						} else if record.synced || kept == 1 {
							t.Fatalf("lane %d: record %d is lost", lane, record.id)
						}
						safe = safe && (record.synced || kept == 1)
					}
					if at := len(left.committed); at < len(there[lane]) {
						t.Fatalf("lane %d: %d is there, which was not pushed, or released, or comes out of order", lane, there[lane][at])
					}
					if again := there[lane][left.frozen:]; !slices.Equal(ids[lane], again) {
						t.Fatalf("lane %d: %d are to be read, want %d", lane, ids[lane], again)
					}
					left.read = left.frozen
					*m = left
				}
				if found.Records+found.Lost > uint64(pushed)+torn || safe && found.Lost > torn {
					t.Fatalf("%d were pushed and %d torn before, the others safe: %v; found %+v", pushed, torn, safe, found)
				}
				torn = found.Lost
			},
		})
	})
}

// used is a ring on a platter whose one lane has filled and synced files before and now has so many records, of which the last ends a
// page, in such a file; all of them are synced.
func used(t *testing.T, records int, every time.Duration) (*platter, *Ring, Positions) {
	t.Helper()
	c := spooled(t.TempDir(), 1)
	c.SyncEvery = every
	disk := newPlatter()
	r, _, err := openOn(disk.sync, c, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	fs := r.store.(*files)
	const perSegment = 16 // a page each, but for the first, which shares its page with the header
	n := 0
	push := func(with byte) {
		size := 64*recordAlign - recordHeader
		if n%perSegment == 0 {
			size -= headerBytes
		}
		pushed(r, 0, slices.Repeat([]byte{with}, size))
		n++
	}
	seen := map[*file]bool{}
	again := func() bool { // the next segment's file held one before
		next := r.lanes[0].active.Load().next.Load()
		return next != nil && seen[next.file]
	}
	for n%perSegment > 0 || !again() {
		push('a')
		seen[r.lanes[0].active.Load().file] = true
		fs.syncDirty()
		readAll(r)
		r.Release(r.Mark(nil))
	}
	mark := r.Mark(nil)
	for range records {
		push('b')
	}
	fs.syncDirty() // and with the next sync the watermark
	fs.syncDirty()
	return disk, r, mark.Positions()
}

// Behind what was synced of a file that is used again, the disk has bytes of the segment before. They are no damage, which the
// watermark tells: below it a byte that changed is counted.
func TestStaleBytesAreNoDamage(t *testing.T) {
	for _, test := range []struct {
		name          string
		syncEvery     time.Duration
		change        func(content []byte)
		records, lost uint64
	}{
		{"nothing changed", time.Hour, func([]byte) {}, 3, 0},
		{"nothing changed, synced before answering", 0, func([]byte) {}, 3, 0},
		{"the last record damaged", time.Hour, func(b []byte) { b[2*4096+500] ^= 1 }, 2, 1},
		{"the second record damaged", time.Hour, func(b []byte) { b[4096+500] ^= 1 }, 2, 1},
		{"the end of the segment before", time.Hour, func(b []byte) { binary.LittleEndian.PutUint64(b[12*4096:], endWord(9)) }, 3, 0},
		{"without the watermark", time.Hour, func(b []byte) { b[watermarkAt] ^= 1 }, 3, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk, r, positions := used(t, 3, test.syncEvery)
			c := r.store.(*files).config
			number := r.lanes[0].active.Load().number
			c.Dir = t.TempDir()
			disk.cut(t, r, c.Dir, 0, rand.New(rand.NewPCG(1, 1)))
			changed := 0
			paths, err := filesEnding(c.Dir, segmentSuffix)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range paths {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if h, ok := parseHeader(content); !ok || h.number != number {
					continue
				}
				test.change(content)
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				changed++
			}
			r, found, err := Open(c, positions, positions, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, r)
			if changed != 1 || found.Records != test.records || found.Lost != test.lost {
				t.Errorf("%d files are segment %d; found %+v, want %d records and %d lost", changed, number, found, test.records, test.lost)
			}
		})
	}
}

// What the disk has refused is not below the watermark.
func TestBrokenDiskKeepsTheWatermark(t *testing.T) {
	disk, r, _ := used(t, 3, time.Hour)
	defer halt(t, r)
	s := r.lanes[0].active.Load()
	synced := s.tail.Load() & (tailOne - 1)
	disk.broken = true
	pushed(r, 0, []byte("not synced"))
	r.store.(*files).syncDirty()
	if w := parseWatermark(s.file.mapped, s.salt); w != synced {
		t.Errorf("the watermark is %d, and %d bytes were synced", w, synced)
	}
}
