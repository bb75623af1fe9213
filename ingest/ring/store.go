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
	// close ends what the store does in the background. The bytes stay writable: a producer may be late.
	close() error
}

// memory keeps segments outside the heap, in huge pages. A late producer holds a closed segment, which it cannot reserve in,
// so nobody writes to bytes that were given back.
type memory struct {
	config Config
	free   [][]byte  // buffers of released segments, zeroed
	made   int       // buffers that exist
	unused int       // fewest free buffers since turn
	turn   time.Time // when unused begins to count
}

// keepUnused is how long a buffer lies unused before its memory goes back to the system: the next slow spell of ClickHouse
// finds it, and new memory costs a redirect far more than used memory, above all on a virtual machine.
const keepUnused = 5 * time.Minute

func (m *memory) take(int, uint32) (extent, bool) {
	if n := len(m.free); n > 0 {
		b := m.free[n-1]
		m.free = m.free[:n-1]
		m.unused = min(m.unused, n-1)
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

// shrink gives back the memory of buffers that nobody needed for keepUnused.
func (m *memory) shrink(now time.Time) {
	if now.Sub(m.turn) < keepUnused {
		return
	}
	for range m.unused {
		huge.Free(m.free[0])
		m.free = m.free[1:]
		m.made--
	}
	m.unused, m.turn = len(m.free), now
}

func (m *memory) refusals(int) *atomic.Uint64 { return new(atomic.Uint64) }

func (m *memory) err() error { return nil }

func (m *memory) close() error { return nil }
