package ingest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"carom/ingest/pace"
	"carom/ingest/ring"
)

// A journal keeps the state of one flusher on the disk. The sender writes it, except before Start.
type journal struct {
	dir        string
	state      *state
	split      split // of the state's parts; the zero value where none is cut up
	quarantine *quarantine
	held       func() error // fails where the directory has become another's, so that nothing may be written there
}

func openJournal(dir string) (*journal, error) {
	j := &journal{dir: dir, quarantine: newQuarantine(dir), held: func() error { return nil }}
	var err error
	if j.state, err = loadState(dir); err != nil {
		return j, err
	}
	j.split, err = loadSplit(dir, j.state)
	return j, err
}

// keep puts on the disk what the flight is sent as: at first its parts, with their bytes, later only the pieces that they are cut into.
// last is the highest number given to a part, aside how many rows were set aside since ClickHouse last took any.
func (j *journal) keep(fl *flight, last uint64, aside int, p *pace.Pace) error {
	err := j.held()
	switch {
	case err != nil:
	case len(j.state.Parts) > 0 && j.state.Parts[0].Number == fl.whole[0].number:
		err = j.keepSplit(fl, last, aside)
	default:
		err = j.keepState(fl, last, aside, p)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errJournal, err)
	}
	return nil
}

func (j *journal) keepState(fl *flight, last uint64, aside int, steps *pace.Pace) error {
	next := &state{
		Positions: fl.mark.Positions(), Begin: j.state.Positions, Batch: last,
		HighWater: raised(j.state.HighWater, fl.highWater), Account: fl.account, Aside: aside,
	}
	for _, p := range fl.whole {
		kept := frozenPart{
			Number: p.number, Name: p.name, Token: p.token(), Table: p.frozen.table, Moment: p.frozen.moment, Week: p.week,
			Rows: p.frozen.rows, Hours: p.hours, Before: p.before, block: p.frozen,
		}
		for _, c := range p.frozen.columns {
			kept.Columns = append(kept.Columns, keptColumn{c.Name, string(c.Data.Type()), len(c.Data.(frozenColumn).bytes)})
		}
		next.Parts = append(next.Parts, kept)
	}
	if err := next.save(j.dir, steps); err != nil {
		return err
	}
	j.state, j.split = next, split{}
	return nil
}

// brokenClock: a high water mark that is so many milliseconds ahead of newer records came from a broken clock that was mended since.
// The redirect gives such a mark up at ten years; this is a little less.
const brokenClock = 9 * 365 * 24 * millisPerHour

// raised is the high water mark after records of which newest is the newest moment, 0 for none. In one process moments only grow, from
// the mark on; so one far below the mark means that the redirect has given the mark up.
func raised(mark, newest int64) int64 {
	if newest > 0 && mark-newest > brokenClock {
		return newest
	}
	return max(mark, newest)
}

func (j *journal) keepSplit(fl *flight, last uint64, aside int) error {
	next := split{Flight: fl.whole[0].number, Batch: last, Aside: aside}
	for _, p := range fl.parts {
		next.Pieces = append(next.Pieces, piece{
			Of: p.whole.number, From: p.from, To: p.to, Number: p.number, Name: p.name, Token: p.token(), Refused: p.refused,
		})
	}
	if err := next.save(j.dir); err != nil {
		return err
	}
	j.split = next
	return nil
}

// note puts a row into the quarantine; one that an earlier process set aside may be there already.
func (j *journal) note(r refusedRow, perhapsThere bool) error {
	there, err := false, j.held()
	if err == nil && perhapsThere {
		there, err = j.quarantine.holds(r.Batch)
	}
	if err == nil && !there {
		err = j.quarantine.append(r)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errJournal, err)
	}
	return nil
}

// settle notes that every row of the flight is stored or set aside.
func (j *journal) settle(fl *flight, last uint64, aside int) error {
	done := *j.state
	done.Account = done.Account.clone()
	for _, p := range fl.parts {
		done.Account.settle(p)
	}
	done.Parts, done.Begin, done.Batch, done.Aside = nil, nil, last, aside
	cut := len(j.split.Pieces) > 0
	j.state, j.split = &done, split{}
	err := j.held()
	if err == nil {
		err = done.save(j.dir, nil)
	}
	if err == nil && cut {
		err = os.Remove(filepath.Join(j.dir, splitFile)) // a later flight's state makes it void if it stays
	}
	return err
}

// rest notes what was read, and counted, since the last flight. Nothing may be with the sender.
func (j *journal) rest(read ring.Positions, counted account) error {
	next := *j.state
	next.Positions, next.Account = read, counted
	err := j.held()
	if err == nil {
		err = next.save(j.dir, nil)
	}
	if err == nil {
		j.state = &next
	}
	return err
}

// last is the highest number given to a part.
func (j *journal) last() uint64 { return max(j.state.Batch, j.split.Batch) }

// aside is how many rows were set aside since ClickHouse last took any.
func (j *journal) aside() int {
	if len(j.split.Pieces) > 0 {
		return j.split.Aside
	}
	return j.state.Aside
}

// recovered is the flight that an earlier process froze and did not see stored, or nil. Any of it may be stored.
func (j *journal) recovered() (*flight, error) {
	if len(j.state.Parts) == 0 {
		return nil, nil
	}
	fl := &flight{account: j.state.Account, highWater: j.state.HighWater, first: time.Now()}
	byNumber := map[uint64]*part{}
	for _, k := range j.state.Parts {
		p := &part{
			frozen: k.block, week: k.Week, number: k.Number, name: k.Name, stamp: k.Token,
			hours: maps.Clone(k.Hours), before: k.Before, to: k.Rows, doubtful: true, recovered: true,
		}
		p.whole = p
		byNumber[k.Number] = p
		fl.whole = append(fl.whole, p)
		fl.rows += k.Rows
	}
	fl.parts = append(fl.parts, fl.whole...)
	if len(j.split.Pieces) > 0 {
		fl.parts = fl.parts[:0]
	}
	for _, k := range j.split.Pieces {
		p, err := k.part(byNumber[k.Of])
		if err != nil {
			return nil, errors.Join(errState, err)
		}
		fl.parts = append(fl.parts, p)
	}
	return fl, nil
}
