package ring

// Stats is what a ring holds and refused.
type Stats struct {
	Waiting uint64 // records reserved and not yet read
	Full    uint64 // records refused for want of room since the ring, or its directory, was made
	Bytes   uint64 // segments that hold records not yet released, or will hold the next, whole
	Err     error  // why no segment can be made, other than the budget
}

// Stats may be called by the reader only. While producers push it is a moment old.
func (r *Ring) Stats() (st Stats) {
	for i := range r.lanes {
		l := &r.lanes[i]
		l.count()
		st.Full += l.full.Load()
		st.Bytes += l.counted.bytes
		st.Waiting += l.counted.records + uint64(l.reading.reserved()-l.reading.readIndex)
		active, inUse := l.active.Load(), true
		for s := l.uncounted; s != nil; s = s.next.Load() {
			if inUse {
				st.Bytes += uint64(len(s.buf))
			}
			inUse = inUse && s != active
			if !s.reached {
				st.Waiting += uint64(s.reserved())
			}
		}
	}
	st.Err = r.store.err()
	return st
}

// A tally is the sum over those segments of a lane that take no more records. With it Stats looks at a handful of segments and not at
// the thousands that an hour without ClickHouse leaves.
type tally struct {
	bytes   uint64 // of those not released
	records uint64 // of those behind the segment being read
}

// count adds to the tally what has been closed since it was last called.
func (l *lane) count() {
	active := l.active.Load()
	for s := l.uncounted; s != nil && s != active && s.settled(); s = l.uncounted {
		s.counted = true
		l.counted.bytes += uint64(len(s.buf))
		if !s.reached {
			l.counted.records += uint64(s.reserved())
		}
		l.uncounted = s.next.Load()
	}
}

// settled reports whether it is known how many records the segment will have held.
func (s *segment) settled() bool { return s.recovered || s.records.Load() > 0 }

// reach goes on reading with s.
func (l *lane) reach(s *segment) {
	l.reading, s.reached = s, true
	if s.counted {
		l.counted.records -= uint64(s.reserved())
	}
}

// forget takes the oldest segment, which was read, out of the lane.
func (l *lane) forget() *segment {
	l.count()
	s := l.oldest
	l.oldest = s.next.Load()
	if s.counted {
		l.counted.bytes -= uint64(len(s.buf))
	} else {
		l.uncounted = l.oldest
	}
	return s
}
