package ingest

import (
	"errors"
	"io/fs"
	"path/filepath"

	"carom/ingest/ring"
)

// A recordKind is what inspection must know of one kind of record.
type recordKind struct {
	name   string // of its directory
	ledger bool
	millis func(record []byte) (int64, error)
	check  func(record []byte) error // fails with errRecord for bytes that no Put wrote
	row    func(record []byte) (map[string]any, error)

	identity func() rows // makes a block of the columns that tell a row from every other, see lookup
	sorted   int         // how many of these, from the first, the table is sorted by
}

func newRecordKinds() [2]recordKind {
	referrers := NewReferrers()
	return [...]recordKind{
		{
			name: clicksDir, ledger: true, millis: clickMillis,
			check: func(b []byte) error { return parseClick(b, new(Click)) },
			row:   func(b []byte) (map[string]any, error) { return clickRow(referrers, b) },

			identity: newClickIdentity, sorted: clickSorted,
		},
		{
			name: conversionsDir, millis: conversionMillis,
			check: func(b []byte) error { return parseConversion(b, new(Conversion)) },
			row:   conversionRow,

			identity: newConversionIdentity, sorted: len(conversionSorted),
		},
	}
}

// inspect looks into the directory of one kind.
func (k recordKind) inspect(spool string, who identity, each func([]byte) error) (KindPart, error) {
	dir := filepath.Join(spool, k.name)
	part := KindPart{
		Kind: k.name, Segments: []ring.SegmentFile{}, Frozen: []FrozenBatch{}, Aside: []string{}, Quarantined: map[string]uint64{},
	}
	look := inspection{recordKind: k, part: &part, each: each}
	j, err := look.journal(dir)
	if err != nil {
		return part, err
	}
	seed, err := who.seed()
	if err != nil {
		return part, err
	}
	segments, err := ring.Inspect(dir, seed, j.state.Positions, look.record)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return part, nil // it was never opened
	case err != nil:
		return part, err
	case look.err != nil:
		return part, look.err
	}
	part.Segments = append(part.Segments, segments...)
	for _, f := range segments {
		part.Waiting, part.Lost, part.Payload = part.Waiting+f.Records, part.Lost+f.Lost, part.Payload+f.Payload
	}
	part.Oldest, part.HighWater = momentOf(look.oldest), momentOf(look.newest)
	if part.Refused, err = ring.Refused(dir); err != nil {
		return part, err
	}
	aside, err := ring.Aside(dir)
	if err != nil {
		return part, err
	}
	part.Aside = append(part.Aside, aside...)
	if err := j.quarantine.each(func(r refusedRow) { part.Quarantined[r.Error]++ }); err != nil {
		return part, err
	}
	if k.ledger {
		part.Account = part.account(j.state.Account)
	}
	return part, nil
}

// An inspection looks into the directory of one kind.
type inspection struct {
	recordKind
	part           *KindPart
	each           func([]byte) error
	err            error // of each
	oldest, newest int64 // Unix milliseconds, 0 where nothing was seen
}

// journal reads what was being sent. A state that cannot be used leaves an empty one.
func (i *inspection) journal(dir string) (*journal, error) {
	j, err := openJournal(dir)
	var fl *flight
	if err == nil {
		fl, err = j.recovered()
	}
	if errors.Is(err, errState) {
		i.part.State = err.Error()
		return &journal{state: &state{}, quarantine: newQuarantine(dir)}, nil
	}
	if err != nil {
		return nil, err
	}
	i.part.Batch, i.newest = j.last(), j.state.HighWater
	if fl == nil {
		return j, nil
	}
	for _, p := range fl.parts {
		i.part.Frozen = append(i.part.Frozen, p.describe())
		p.block().eachMoment(i.note)
		if i.each == nil {
			continue
		}
		if err := p.block().eachRow(p.name, func(row map[string]any) error { return i.tell(p.name, row) }); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// note takes the moment of a record, Unix milliseconds.
func (i *inspection) note(millis int64) {
	i.newest = max(i.newest, millis)
	if i.oldest == 0 || millis < i.oldest {
		i.oldest = millis
	}
}

// record takes one that waits.
func (i *inspection) record(record []byte) {
	millis, err := i.millis(record)
	if err == nil {
		err = i.check(record)
	}
	if err != nil {
		i.part.Unread++
		return
	}
	i.note(millis)
	if i.each == nil || i.err != nil {
		return
	}
	row, err := i.row(record)
	if err == nil {
		err = i.tell("", row)
	}
	i.err = err
}

// tell prints a row.
func (i *inspection) tell(batch string, row map[string]any) error {
	line, err := recordLine{i.name, batch, row}.text()
	if err != nil {
		return err
	}
	return i.each(line)
}
