package ring

import "sync/atomic"

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
		if !end {
			commit := atomic.LoadUint64(word(s.buf, s.readOff))
			if commit == 0 {
				return n, lost // not reserved, or reserved and not yet committed
			}
			if end = commit == endOfSegment; !end {
				payload, ok := recordAt(s.buf, s.readOff, commit, s.sequence(s.readIndex))
				if ok {
					f(payload)
					n++
				} else {
					lost++
				}
				s.readOff += recordSize(int(commit >> 32))
				s.readIndex++
				continue
			}
		}
		next := s.next.Load()
		if next == nil {
			return n, lost
		}
		l.reading = next
	}
	return n, lost
}

// A Mark is a place in every lane: what had been read when it was taken.
type Mark []*segment

// Mark returns the reader's place. Reusing an old mark's memory is the caller's choice: pass it, or nil.
func (r *Ring) Mark(reuse Mark) Mark {
	m := reuse[:0]
	for i := range r.lanes {
		m = append(m, r.lanes[i].reading)
	}
	return m
}

// Release gives back every segment that was read completely before m was taken: its payloads are stored elsewhere now.
func (r *Ring) Release(m Mark) {
	for i := range r.lanes {
		l := &r.lanes[i]
		for l.oldest != m[i] {
			s := l.oldest
			l.oldest = s.next.Load()
			if len(r.free) >= 2*len(r.lanes) { // after a long outage, memory goes back
				r.made--
				continue
			}
			clear(s.buf)
			r.free = append(r.free, s.buf)
		}
	}
	r.Refill()
}

// Refill puts a spare segment into each lane that has none, as far as the budget goes. The reader calls it often enough
// that producers find one: Read and Release do.
func (r *Ring) Refill() {
	for i := range r.lanes {
		l := &r.lanes[i]
		// A producer that made the spare active clears it a moment later; do not wait for one that sleeps in between.
		if spare := l.spare.Load(); spare != nil && spare != l.active.Load() {
			continue
		}
		buf := r.buffer()
		if buf == nil {
			return
		}
		l.spare.Store(l.segment(buf))
	}
}

// buffer returns zeroed bytes for a segment, or nil when the budget is used up.
func (r *Ring) buffer() []byte {
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b
	}
	if (r.made+1)*r.config.SegmentBytes > r.config.BudgetBytes {
		return nil
	}
	r.made++
	return make([]byte, r.config.SegmentBytes)
}

// Stats is what a ring holds and refused.
type Stats struct {
	Waiting uint64 // records reserved and not yet read
	Full    uint64 // records refused for want of room since the ring was made
	Bytes   uint64 // segments that hold records not yet released, or will hold the next, whole
}

// Stats may be called by the reader only. While producers push it is a moment old.
func (r *Ring) Stats() (st Stats) {
	for i := range r.lanes {
		l := &r.lanes[i]
		st.Full += l.full.Load()
		for s := l.oldest; s != nil; s = s.next.Load() {
			st.Bytes += uint64(len(s.buf))
		}
		for s := l.reading; s != nil; s = s.next.Load() {
			st.Waiting += uint64(s.reserved() - s.readIndex)
		}
	}
	return st
}

// reserved is how many records have been given room in the segment.
func (s *segment) reserved() uint32 {
	tail := s.tail.Load()
	if tail&(tailOne-1) > uint64(len(s.buf)) {
		return max(s.records.Load(), s.readIndex)
	}
	return uint32(tail >> tailBytes)
}
