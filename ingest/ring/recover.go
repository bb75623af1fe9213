package ring

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
)

// Recovered is what Open found in a directory.
type Recovered struct {
	Segments int    // files that hold records not yet stored elsewhere
	Records  uint64 // readable records in them
	Lost     uint64 // records that were committed and cannot be read; Read reports them again as it passes them
	Damaged  int    // files that are not as they were written; each is kept aside as *.damaged once it has been read
	Cut      int    // of those, the ones that end too soon: how many records they lost at their end is not known
	Counters int    // lanes whose count of refusals was damaged and begins again
}

// Open makes the ring that c describes and, where c.Dir holds what an earlier process left, goes on from there: every
// record that was committed at or after from is read once more, before new ones of its lane. What was read before, from kept on,
// is not stored elsewhere yet: its segments stay until the first mark is released. Lanes beyond the configured number
// are read and get no new records. each, when not nil, is called with every record to be read.
// A directory in use fails with ErrInUse.
func Open(c Config, kept, from Positions, each func(payload []byte)) (*Ring, Recovered, error) {
	if c.Dir == "" {
		r, err := New(c)
		return r, Recovered{}, err
	}
	return openOn((*file).msync, c, kept, from, each)
}

// openOn is Open in files on a disk of one's own.
func openOn(disk syncFunc, c Config, kept, from Positions, each func(payload []byte)) (*Ring, Recovered, error) {
	if err := c.validate(); err != nil {
		return nil, Recovered{}, err
	}
	fs, err := newFiles(c, disk)
	if err != nil {
		return nil, Recovered{}, err
	}
	r := &Ring{config: c, store: fs}
	damagedCounters := fs.resetCounters()
	found, err := r.recover(fs, kept, from, each)
	found.Counters = damagedCounters
	if err == nil {
		next := make([]uint32, c.Lanes)
		for i := range next {
			next[i] = r.lanes[i].made
		}
		err = fs.start(next)
	}
	if err != nil {
		return nil, found, errors.Join(fmt.Errorf("open the ring in %s: %w", c.Dir, err), fs.lock.Close())
	}
	r.begin()
	return r, found, nil
}

// remains is a segment file that was found.
type remains struct {
	header
	file  *file
	whole bool // header and length are as written
}

// recover chains what is in the directory behind the positions.
func (r *Ring) recover(fs *files, kept, from Positions, each func([]byte)) (found Recovered, err error) {
	all, err := r.remains()
	if err != nil {
		return found, err
	}
	lanes := max(r.config.Lanes, len(from))
	for _, m := range all {
		lanes = max(lanes, m.lane+1)
	}
	r.lanes = make([]lane, lanes)
	for i, p := range from {
		r.lanes[i].made = p.Segment + 1
	}
	for _, m := range all {
		l := &r.lanes[m.lane]
		l.made = max(l.made, m.number+1)
		begin, stored := kept.start(m.lane, m.number)
		if stored {
			if err := m.file.remove(); err != nil {
				return found, err
			}
			continue
		}
		at, read := from.start(m.lane, m.number)
		s := r.recovered(m, begin, at, each, &found)
		if s == nil {
			if err := m.file.remove(); err != nil { // it was never used
				return found, err
			}
			continue
		}
		fs.count++
		l.chain(s)
		switch {
		case read:
			s.reached = true
		case l.reading == nil:
			l.reach(s)
		}
	}
	return found, nil
}

// remains lists the segment files of the directory by lane and number.
func (r *Ring) remains() ([]remains, error) {
	paths, err := filesEnding(r.config.Dir, segmentSuffix)
	if err != nil {
		return nil, err
	}
	unfinished, err := filesEnding(r.config.Dir, unfinishedSuffix)
	if err != nil {
		return nil, err
	}
	for _, path := range unfinished {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var all []remains
	for _, path := range paths {
		lane, number, ok := placeOf(path)
		if !ok {
			continue // not ours
		}
		m := remains{header: header{lane: lane, number: number}}
		if m.file, err = openFile(path); err != nil {
			return nil, err
		}
		m.identify(r.config.Identity)
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b remains) int {
		return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.number, b.number))
	})
	return all, nil
}

// placeOf is what the name of a segment file says of it.
func placeOf(path string) (lane int, number uint32, ok bool) {
	n, _ := fmt.Sscanf(filepath.Base(path), "%d-%d"+segmentSuffix, &lane, &number)
	return lane, number, n == 2 && lane >= 0 && lane < maxLanes
}

// identify corrects the file's name by its header. A file that was being used again when the process died has its old
// name and perhaps its new header: the header, which has a checksum, says what its records are.
func (m *remains) identify(identity uint64) {
	if h, ok := parseHeader(m.file.mapped); ok && h.identity == identity && h.lane < maxLanes {
		m.header, m.whole = h, h.length == uint64(len(m.file.mapped))
	}
}

// recovered makes a segment that reads what the file holds from at on, which may lie behind it, and keeps what it holds from begin
// on; nil when that is nothing.
func (r *Ring) recovered(m remains, begin, at Position, each func([]byte), found *Recovered) *segment {
	s := &segment{
		buf: m.file.extent().buf, file: m.file, number: m.number, salt: saltOf(r.config.Identity, m.lane, m.number),
		recovered: true, version: m.version,
	}
	s.watermark = parseWatermark(m.file.mapped, s.salt)
	s.tail.Store(tailClosed)
	kept, damaged := uint32(0), uint32(0)
	if begin != at {
		kept, damaged = s.scan(begin, nil)
	}
	m.file.damaged = damaged > 0 || !m.whole
	if at.Segment > m.number { // it was read
		s.readOff, s.remaining = uint64(len(s.buf)), 0
	} else {
		records, lost := s.scan(at, each)
		m.file.damaged = m.file.damaged || lost > 0
		kept += records
		found.add(m, records, lost)
	}
	if kept == 0 && !m.file.damaged {
		return nil
	}
	return s
}

// scan calls each, when not nil, with every record of a recovered segment from at on, and has it read them.
func (s *segment) scan(at Position, each func([]byte)) (records, lost uint32) {
	s.readOff, s.readIndex, s.remaining = at.Offset, at.Index, 0
	for s.readOff < uint64(len(s.buf)) {
		payload, missed, ok := s.find()
		lost += uint32(missed)
		if ok {
			records++
			if each != nil {
				each(payload)
			}
		}
	}
	s.readOff, s.readIndex, s.remaining = at.Offset, at.Index, records+lost
	return records, lost
}

// add counts what is to be read of a file.
func (found *Recovered) add(m remains, records, lost uint32) {
	damaged := lost > 0 || !m.whole
	if records == 0 && !damaged {
		return
	}
	found.Segments++
	found.Records += uint64(records)
	found.Lost += uint64(lost)
	if damaged {
		found.Damaged++
	}
	if m.length > uint64(len(m.file.mapped)) || len(m.file.mapped) < headerBytes {
		found.Cut++
	}
}

// find returns the next record of a recovered segment: the first at or after readOff whose commit word and checksum hold. lost
// counts those before it that were committed and do not read. At the end of the segment ok is false.
func (s *segment) find() (payload []byte, lost int, ok bool) {
	defer func() { s.remaining -= min(s.remaining, uint32(lost)) }()
	start, expect := s.readOff, s.readIndex
	end := uint64(len(s.buf))
	records, closed := uint32(0), false
	for off := start; off+recordHeader <= end; off += recordAlign {
		commit := atomic.LoadUint64(word(s.buf, off))
		if commit == 0 {
			continue
		}
		index := uint32(commit)
		possible := index >= expect && uint64(index-expect) <= (off-start)/recordAlign
		if possible && s.endsAt(off, commit) {
			records, closed = index, true
			if off == start {
				break
			}
			continue
		}
		if !possible {
			continue
		}
		if payload, ok = recordAt(s.buf, off, commit, s.salt+uint64(index)); ok {
			lost = s.lostBefore(start, index-expect)
			s.readOff, s.readIndex = off+recordSize(len(payload)), index+1
			s.remaining -= min(s.remaining, 1)
			return payload, lost, true
		}
	}
	missing := uint32(0)
	if closed {
		missing = records - expect
	} else if start < s.watermark && s.committed(start) {
		missing = 1 // at least: nothing behind it says how many there were
	}
	lost = s.lostBefore(start, missing)
	s.readOff, s.readIndex = end, expect+missing
	return nil, lost, false
}

// endsAt reports whether the commit word at off is the end of the segment.
func (s *segment) endsAt(off, commit uint64) bool {
	return commit>>32 == endOfSegment &&
		(s.version == firstVersion || binary.LittleEndian.Uint64(s.buf[off+8:]) == endSum(uint32(commit), s.salt))
}

// lostBefore says how many of the records missing from start on were committed. Where the first was not, a
// producer died writing it, no client was answered for it, and the others are taken to be of its kind.
func (s *segment) lostBefore(start uint64, missing uint32) int {
	if missing > 0 && s.committed(start) {
		return int(missing)
	}
	return 0
}

// committed reports whether a record that does not read was committed at off: its commit word or its checksum is there, and not
// merely a stray byte in unused room.
func (s *segment) committed(off uint64) bool {
	if off+recordAlign > uint64(len(s.buf)) {
		return false
	}
	commit, sum := binary.LittleEndian.Uint64(s.buf[off:]), binary.LittleEndian.Uint64(s.buf[off+8:])
	if commit == endWord(s.readIndex) || sum == endSum(s.readIndex, s.salt) {
		return false // the end of the segment, perhaps damaged
	}
	n := commit >> 32
	if commit != 0 && sum == 0 {
		return uint32(commit) == s.readIndex && n > 0 && n <= MaxRecord
	}
	if sum == 0 {
		return false
	}
	for _, b := range s.buf[off+recordHeader : off+recordAlign] {
		if b != 0 {
			return true
		}
	}
	return commit != 0
}
