package ring

import (
	"sync/atomic"
	"time"
)

// Read calls f with up to limit committed payloads, taking lanes in turn, and returns how many there were. A payload stays
// valid until the segment is released. lost counts records whose checksum did not hold: they are skipped.
func (r *Ring) Read(limit int, f func(payload []byte)) (n, lost int) {
	for range r.lanes {
		l := &r.lanes[r.next]
		r.next = (r.next + 1) % len(r.lanes)
		ln, ll := l.readInto(limit-n-lost, f)
		n, lost = n+ln, lost+ll
		if n+lost >= limit {
			break
		}
	}
	r.Refill()
	return n, lost
}

func (l *lane) readInto(limit int, f func(payload []byte)) (n, lost int) {
	for n+lost < limit {
		s := l.reading
		end := s.readOff >= uint64(len(s.buf))
		switch {
		case end:
		case s.recovered:
			payload, missed, ok := s.find()
			lost += missed
			if end = !ok; ok {
				f(payload)
				n++
			}
		default:
			commit := atomic.LoadUint64(word(s.buf, s.readOff))
			if commit == 0 {
				return n, lost // not reserved, or reserved and not yet committed
			}
			if end = commit>>32 == endOfSegment; end {
				break
			}
			if payload, ok := recordAt(s.buf, s.readOff, commit, s.salt+uint64(s.readIndex)); ok {
				f(payload)
				n++
			} else {
				lost++
			}
			s.readOff += recordSize(int(commit >> 32))
			s.readIndex++
		}
		if !end {
			continue
		}
		next := s.next.Load()
		if next == nil {
			return n, lost
		}
		l.reach(next)
	}
	return n, lost
}

// A Position is a place in a lane: the record with that index in that segment, Offset bytes after its first.
type Position struct {
	Segment uint32 `json:"segment"`
	Index   uint32 `json:"index"`
	Offset  uint64 `json:"offset"`
}

// Positions are one place for each lane, in order.
type Positions []Position

// start is where reading of a segment begins; stored is one that lies before it.
func (p Positions) start(lane int, number uint32) (at Position, stored bool) {
	at = Position{Segment: number}
	if lane < len(p) && p[lane].Segment >= number {
		at = p[lane]
	}
	return at, at.Segment > number
}

// A Mark is a place in every lane: what had been read when it was taken.
type Mark []place

type place struct {
	segment *segment
	Position
}

// Mark returns the reader's place. Reusing an old mark's memory is the caller's choice: pass it, or nil.
func (r *Ring) Mark(reuse Mark) Mark {
	m := reuse[:0]
	for i := range r.lanes {
		s := r.lanes[i].reading
		m = append(m, place{s, Position{s.number, s.readIndex, s.readOff}})
	}
	return m
}

// Positions are the mark in a form that outlives the process, for Open.
func (m Mark) Positions() Positions {
	p := make(Positions, len(m))
	for i := range m {
		p[i] = m[i].Position
	}
	return p
}

// Release gives back every segment that was read completely before m was taken: its payloads are stored elsewhere
// now, and so are m's positions where the ring lives in files.
func (r *Ring) Release(m Mark) {
	for i := range r.lanes {
		l := &r.lanes[i]
		for l.oldest != m[i].segment {
			s := l.forget()
			if s.buf != nil {
				r.store.give(extent{s.buf, s.file})
			}
		}
	}
	r.Refill()
}

// mostSpares is how many spares a lane has. The reader may be kept from a core for tens of milliseconds while producers use
// all of them: that is the time in which a lane of 4 MiB segments at 100 000 records a second fills a few.
const mostSpares = 4

// spares is how many segments each lane keeps ready: all lanes together a quarter of the budget, so that little of it
// lies idle in one lane while another refuses.
func (c Config) spares() int {
	return min(max(c.BudgetBytes/(4*c.Lanes*c.SegmentBytes), 1), mostSpares)
}

// Refill gives each lane the spares it lacks, in turn, as far as the budget goes. The reader calls it often enough that
// producers find one: Read and Release do.
func (r *Ring) Refill() {
	r.store.shrink(time.Now())
	for want := 1; want <= r.config.spares(); want++ {
		for i := range r.config.Lanes {
			l := &r.lanes[i]
			if l.spares() >= want {
				continue
			}
			if x, ok := r.take(l); ok {
				l.chain(r.segment(l, x))
			}
		}
	}
}
