package ring

import (
	"sync/atomic"
	"time"

	"carom/ingest/huge"
)

// An extent is the bytes of one segment and where they live.
type extent struct {
	buf  []byte
	file *file // nil in memory
}

// A store makes the bytes of segments and takes them back, within the budget. Only the reader calls it; none of its
// methods waits for a disk.
type store interface {
	// take returns zeroed bytes for the lane's segment of that number, or false when there are none now.
	take(lane int, number uint32) (extent, bool)
	// give takes back what will never be read again.
	give(extent)
	// shrink is called now and then, for memory that is not needed any more.
	shrink(now time.Time)
	// refusals is where the lane counts the records it refused.
	refusals(lane int) *atomic.Uint64
	// err says why take fails for another reason than the budget, or nil.
	err() error
	// held fails with ErrMoved where the directory of the store is another's now.
	held() error
	// close ends what the store does in the background. The bytes stay writable: a producer may be late.
	close() error
}

// keepUnused is how long what a segment lived in lies unused before it goes back to the system: the next slow spell of ClickHouse
// finds it, and new memory and new files cost a redirect far more than used ones, above all on a virtual machine.
const keepUnused = 5 * time.Minute

// A surplus is what of a store's free list nobody needs.
type surplus struct {
	least int       // fewest that were free since turn
	turn  time.Time // when least begins to count
}

// left notes how many are free after one was taken.
func (s *surplus) left(free int) { s.least = min(s.least, free) }

// due returns, every keepUnused, how many of the free ones nobody needed in that time; they are to go.
func (s *surplus) due(now time.Time, free int) (n int) {
	if now.Sub(s.turn) < keepUnused {
		return 0
	}
	n = min(s.least, free)
	s.least, s.turn = free-n, now
	return n
}

// memory keeps segments outside the heap, in huge pages. A late producer holds a closed segment, which it cannot reserve in,
// so nobody writes to bytes that were given back.
type memory struct {
	config  Config
	free    [][]byte // buffers of released segments, zeroed
	made    int      // buffers that exist
	surplus surplus
}

func (m *memory) take(int, uint32) (extent, bool) {
	if n := len(m.free); n > 0 {
		b := m.free[n-1]
		m.free = m.free[:n-1]
		m.surplus.left(n - 1)
		return extent{buf: b}, true
	}
	if (m.made+1)*m.config.SegmentBytes > m.config.BudgetBytes {
		return extent{}, false
	}
	m.made++
	return extent{buf: huge.Bytes(m.config.SegmentBytes)}, true
}

func (m *memory) give(x extent) {
	clear(x.buf)
	m.free = append(m.free, x.buf)
}

func (m *memory) shrink(now time.Time) {
	for range m.surplus.due(now, len(m.free)) {
		huge.Free(m.free[0])
		m.free = m.free[1:]
		m.made--
	}
}

func (m *memory) refusals(int) *atomic.Uint64 { return new(atomic.Uint64) }

func (m *memory) err() error { return nil }

func (m *memory) held() error { return nil }

func (m *memory) close() error { return nil }
