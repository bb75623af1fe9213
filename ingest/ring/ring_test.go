package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func small(t testing.TB, lanes, segments int) *Ring {
	t.Helper()
	r, err := New(Config{Lanes: lanes, SegmentBytes: 64 << 10, BudgetBytes: segments * 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func push(r *Ring, hint uint64, payload []byte) bool {
	s, ok := r.Reserve(hint, len(payload))
	if ok {
		copy(s.Data, payload)
		s.Commit()
	}
	return ok
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{
		{Lanes: 0, SegmentBytes: 64 << 10, BudgetBytes: 1 << 20},
		{Lanes: 1, SegmentBytes: 1000, BudgetBytes: 1 << 20},
		{Lanes: 1, SegmentBytes: 96 << 10, BudgetBytes: 1 << 20},
		{Lanes: 4, SegmentBytes: 64 << 10, BudgetBytes: 4 * 64 << 10},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("New(%+v) = %v, want ErrConfig", c, err)
		}
	}
}

func TestDefaultFitsManyCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(64))
	if err := Default().validate(); err != nil {
		t.Error(err)
	}
}

func TestReserveRefusesImpossibleLengths(t *testing.T) {
	r := small(t, 1, 3)
	for _, n := range []int{-1, 0, MaxRecord + 1} {
		if _, ok := r.Reserve(0, n); ok {
			t.Errorf("Reserve(%d bytes) succeeded", n)
		}
	}
	if st := r.Stats(); st.Waiting != 0 {
		t.Errorf("refused lengths left %d records waiting", st.Waiting)
	}
}

// What is in a full ring stays; the newest is refused and counted, and room comes back with Release.
func TestBudget(t *testing.T) {
	r := small(t, 1, 3)
	payload := make([]byte, 1000)
	pushed, refused := 0, 0
	for i := range 400 {
		binary.LittleEndian.PutUint64(payload, uint64(i))
		if push(r, 0, payload) {
			pushed++
		} else {
			refused++
		}
		r.Refill()
	}
	st := r.Stats()
	if refused == 0 || st.Full != uint64(refused) || st.Waiting != uint64(pushed) {
		t.Fatalf("pushed %d, refused %d, stats %+v", pushed, refused, st)
	}
	var got []uint64
	n, lost := r.Read(1000, func(p []byte) { got = append(got, binary.LittleEndian.Uint64(p)) })
	if n != pushed || lost != 0 {
		t.Fatalf("read %d (lost %d) of %d", n, lost, pushed)
	}
	for i, v := range got {
		if v != uint64(i) {
			t.Fatalf("record %d holds %d", i, v)
		}
	}
	if push(r, 0, payload) {
		t.Error("room before Release: what was read may not be stored yet")
	}
	r.Release(r.Mark(nil))
	if !push(r, 0, payload) {
		t.Error("no room after Release")
	}
}

// While the reader gets no turn, a lane takes what its active segment and its spares hold; the budget says how many those are.
func TestSpares(t *testing.T) {
	for _, test := range []struct{ lanes, segments, spares int }{
		{lanes: 1, segments: 3, spares: 1},
		{lanes: 1, segments: 8, spares: 2},
		{lanes: 1, segments: 64, spares: 4},
		{lanes: 4, segments: 64, spares: 4},
		{lanes: 4, segments: 12, spares: 1},
	} {
		r := small(t, test.lanes, test.segments)
		payload := make([]byte, 1000)
		perSegment := 64 << 10 / int(recordSize(len(payload)))
		pushed := 0
		for push(r, 0, payload) {
			pushed++
		}
		if want := (1 + test.spares) * perSegment; pushed != want {
			t.Errorf("%+v: %d records without a refill, want %d", test, pushed, want)
		}
		if st := r.Stats(); st.Bytes != uint64(test.spares+test.lanes)*64<<10 {
			t.Errorf("%+v: %d bytes hold records or will hold the next", test, st.Bytes)
		}
	}
}

// A reserved slot holds back its lane until it is committed: nothing is read half-written or skipped.
func TestUncommittedHoldsTheLane(t *testing.T) {
	r := small(t, 1, 3)
	slow, _ := r.Reserve(0, 8)
	push(r, 0, []byte("second"))
	if n, _ := r.Read(10, func([]byte) {}); n != 0 {
		t.Fatalf("read %d records past an uncommitted one", n)
	}
	copy(slow.Data, "first...")
	slow.Commit()
	var got []string
	r.Read(10, func(p []byte) { got = append(got, string(p)) })
	if fmt.Sprint(got) != "[first... second]" {
		t.Fatal(got)
	}
}

func TestDamagedRecordIsReported(t *testing.T) {
	r := small(t, 1, 3)
	for _, p := range []string{"one", "two", "three"} {
		push(r, 0, []byte(p))
	}
	r.lanes[0].active.Load().buf[recordAlign+recordHeader] ^= 1
	var got []string
	n, lost := r.Read(10, func(p []byte) { got = append(got, string(p)) })
	if n != 2 || lost != 1 || fmt.Sprint(got) != "[one three]" {
		t.Fatalf("n %d, lost %d, %v", n, lost, got)
	}
}

// Many producers, one reader that releases in steps: every record that Reserve accepted is read once, in order
// per producer and lane.
func TestConcurrent(t *testing.T) {
	const producers, each = 8, 20000
	r := small(t, 4, 40)
	var wg sync.WaitGroup
	accepted := make([]uint64, producers)
	for p := range producers {
		wg.Go(func() {
			buf := make([]byte, 400)
			for i := range uint64(each) {
				b := buf[:16+(i*37+uint64(p))%300]
				binary.LittleEndian.PutUint64(b, uint64(p))
				binary.LittleEndian.PutUint64(b[8:], accepted[p])
				for !push(r, uint64(p), b) {
					runtime.Gosched()
				}
				accepted[p]++
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	next := make([]uint64, producers)
	total := 0
	var mark Mark
	for finished := false; ; {
		n, lost := r.Read(500, func(b []byte) {
			p, i := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			if next[p] != i {
				t.Errorf("producer %d: record %d came when %d was due", p, i, next[p])
			}
			next[p] = i + 1
		})
		if lost > 0 {
			t.Fatalf("%d records damaged", lost)
		}
		total += n
		mark = r.Mark(mark)
		r.Release(mark)
		if n == 0 {
			if finished {
				break
			}
			select {
			case <-done:
				finished = true
			default:
				runtime.Gosched()
			}
		}
	}
	if total != producers*each {
		t.Fatalf("read %d of %d", total, producers*each)
	}
	if st := r.Stats(); st.Waiting != 0 {
		t.Errorf("%d waiting after all was read", st.Waiting)
	}
}

// Against a queue: any mix of pushes, reads and releases gives the same records in the same order.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := New(Config{Lanes: 1, SegmentBytes: 64 << 10, BudgetBytes: 4 * 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		var queue []uint64
		var sent uint64
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				n := rapid.IntRange(8, MaxRecord).Draw(t, "bytes")
				b := make([]byte, n)
				binary.LittleEndian.PutUint64(b, sent)
				if push(r, 0, b) {
					queue = append(queue, sent)
				}
				sent++
			},
			"read": func(t *rapid.T) {
				limit := rapid.IntRange(1, 20).Draw(t, "limit")
				n, lost := r.Read(limit, func(b []byte) {
					if got := binary.LittleEndian.Uint64(b); got != queue[0] {
						t.Fatalf("read %d, want %d", got, queue[0])
					}
					queue = queue[1:]
				})
				if lost != 0 || n > limit {
					t.Fatalf("n %d, lost %d", n, lost)
				}
			},
			"release": func(*rapid.T) { r.Release(r.Mark(nil)) },
			"": func(t *rapid.T) {
				if st := r.Stats(); st.Waiting != uint64(len(queue)) {
					t.Fatalf("Stats.Waiting %d, %d are in the queue", st.Waiting, len(queue))
				}
			},
		})
	})
}
