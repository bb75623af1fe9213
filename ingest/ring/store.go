package ring

import (
	"sync/atomic"

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
	free   [][]byte // buffers of released segments, zeroed
	made   int      // buffers that exist
}

func (m *memory) take(int, uint32) (extent, bool) {
	if n := len(m.free); n > 0 {
		b := m.free[n-1]
		m.free = m.free[:n-1]
		return extent{buf: b}, true
	}
	if (m.made+1)*m.config.SegmentBytes > m.config.BudgetBytes {
		return extent{}, false
	}
	m.made++
	return extent{buf: huge.Bytes(m.config.SegmentBytes)}, true
}

func (m *memory) give(x extent) {
	if len(m.free) >= 2*m.config.Lanes { // after a long outage, memory goes back
		huge.Free(x.buf)
		m.made--
		return
	}
	clear(x.buf)
	m.free = append(m.free, x.buf)
}

func (m *memory) refusals(int) *atomic.Uint64 { return new(atomic.Uint64) }

func (m *memory) err() error { return nil }

func (m *memory) close() error { return nil }
