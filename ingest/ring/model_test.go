package ring

import (
	"encoding/binary"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// A modelLane is what one lane of a ring must hold.
type modelLane struct {
	committed []uint64 // not yet released, in order
	read      int      // of committed, since the last death
	blocked   int      // index in committed from which an unfinished push hides what follows; -1 where there is none
}

// Any mix of pushes, unfinished pushes, reads, releases and deaths of the process, with another number of lanes after each:
// everything committed is read again from the last released place on, in order, nothing else, nothing counted as lost.
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
		released := Positions(nil)
		reserve := func(t *rapid.T) (int, Slot, bool) {
			lane := rapid.IntRange(0, lanes-1).Draw(t, "lane")
			slot, ok := r.Reserve(uint64(lane), rapid.IntRange(16, MaxRecord).Draw(t, "bytes"))
			return lane, slot, ok
		}
		t.Repeat(map[string]func(*rapid.T){
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
			"release": func(*rapid.T) {
				mark := r.Mark(nil)
				released = mark.Positions()
				r.Release(mark)
				for i := range model {
					m := &model[i]
					m.committed = m.committed[m.read:]
					if m.blocked >= 0 {
						m.blocked -= m.read
					}
					m.read = 0
				}
			},
			"crash": func(t *rapid.T) {
				closed(t, r)
				lanes = rapid.IntRange(1, most).Draw(t, "lanes")
				c.Lanes = lanes
				var found Recovered
				r, found = open(t, c, released)
				committed := 0
				for i := range model {
					model[i].read, model[i].blocked = 0, -1
					committed += len(model[i].committed)
				}
				if found.Records != uint64(committed) || found.Lost != 0 || found.Damaged != 0 {
					t.Fatalf("found %+v, %d were committed", found, committed)
				}
			},
		})
	})
}
