package ring

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A modelLane is what one lane of a ring must hold.
type modelLane struct {
	committed []uint64 // not yet released, in order
	read      int      // of committed; since the last death, those before it that count as read included
	frozen    int      // of committed, what counts as read after a death
	blocked   int      // index in committed from which an unfinished push hides what follows; -1 where there is none
}

// Any mix of pushes, unfinished pushes, reads, releases and deaths of the process, with another number of lanes after each:
// everything committed is read again from the last noted place on, in order, nothing else, nothing counted as lost; and from
// the last released place on everything is in the files.
func TestModelWithCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "carom-ring-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		const most = 3
		lanes := rapid.IntRange(1, most).Draw(t, "lanes")
		c := spooled(dir, most)
		c.Lanes = lanes
		r, _ := open(t, c, nil)
		defer func() { closed(t, r) }()
		var model [most]modelLane
		for i := range model {
			model[i].blocked = -1
		}
		sent := uint64(0)
		released, frozen := Positions(nil), Positions(nil)
		reserve := func(t *rapid.T) (int, Slot, bool) {
			lane := rapid.IntRange(0, lanes-1).Draw(t, "lane")
			slot, ok := r.Reserve(uint64(lane), rapid.IntRange(16, MaxRecord).Draw(t, "bytes"))
			return lane, slot, ok
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { checkStats(t, r) },
			"push": func(t *rapid.T) {
				lane, slot, ok := reserve(t)
				if !ok {
					return
				}
				binary.LittleEndian.PutUint64(slot.Data, uint64(lane))
				binary.LittleEndian.PutUint64(slot.Data[8:], sent)
				slot.Commit()
				model[lane].committed = append(model[lane].committed, sent)
				sent++
			},
			"unfinished push": func(t *rapid.T) {
				lane, slot, ok := reserve(t)
				if !ok {
					return
				}
				for i := range slot.Data[:len(slot.Data)/2] {
					slot.Data[i] = 0xff
				}
				if m := &model[lane]; m.blocked < 0 {
					m.blocked = len(m.committed)
				}
			},
			"read": func(t *rapid.T) {
				_, lost := r.Read(rapid.IntRange(1, 20).Draw(t, "limit"), func(b []byte) {
					m := &model[binary.LittleEndian.Uint64(b)]
					if got := binary.LittleEndian.Uint64(b[8:]); m.read == len(m.committed) || got != m.committed[m.read] {
						t.Fatalf("read %d out of order", got)
					}
					m.read++
				})
				for lane, m := range model {
					if lost != 0 || m.blocked >= 0 && m.read > m.blocked {
						t.Fatalf("lost %d, read %d of lane %d, blocked at %d", lost, m.read, lane, m.blocked)
					}
				}
			},
			"freeze": func(*rapid.T) {
				frozen = r.Mark(nil).Positions()
				for i := range model {
					model[i].frozen = model[i].read
				}
			},
			"release": func(*rapid.T) {
				mark := r.Mark(nil)
				released = mark.Positions()
				frozen = released
				r.Release(mark)
				for i := range model {
					m := &model[i]
					m.committed = m.committed[m.read:]
					if m.blocked >= 0 {
						m.blocked -= m.read
					}
					m.read, m.frozen = 0, 0
				}
			},
			"crash": func(t *rapid.T) {
				closed(t, r)
				lanes = rapid.IntRange(1, most).Draw(t, "lanes")
				c.Lanes = lanes
				var found Recovered
				if r, found, err = Open(c, released, frozen, nil); err != nil {
					t.Fatal(err)
				}
				there := make([][]uint64, most)
				_, err = Inspect(dir, c.Identity, released, func(b []byte) {
					lane := binary.LittleEndian.Uint64(b)
					there[lane] = append(there[lane], binary.LittleEndian.Uint64(b[8:]))
				})
				unread := 0
				for i := range model {
					m := &model[i]
					if err != nil || !slices.Equal(there[i], m.committed) {
						t.Fatalf("the files of lane %d hold %d, %d are not released, %v", i, there[i], m.committed, err)
					}
					m.read, m.blocked = m.frozen, -1
					unread += len(m.committed) - m.frozen
				}
				if found.Records != uint64(unread) || found.Lost != 0 || found.Damaged != 0 {
					t.Fatalf("found %+v, %d were committed and not frozen", found, unread)
				}
			},
		})
	})
}

// checkStats compares what the ring says of itself with a look at every segment.
func checkStats(t fataler, r *Ring) {
	got := r.Stats()
	want := Stats{Full: got.Full, Err: got.Err}
	for i := range r.lanes {
		l := &r.lanes[i]
		active := l.active.Load()
		for s := l.oldest; s != nil; s = s.next.Load() {
			want.Bytes += uint64(len(s.buf))
			if s == active {
				break
			}
		}
		for s := l.reading; s != nil; s = s.next.Load() {
			want.Waiting += uint64(s.reserved() - s.readIndex)
		}
	}
	if got != want {
		t.Fatal(fmt.Errorf("stats %+v, segment by segment %+v", got, want))
	}
}
