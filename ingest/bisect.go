package ingest

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// What ClickHouse refuses is cut in half until the rows stand alone that it will not have. Whether such a row is bad, or the
// table refuses everybody, is decided by what became of the others: few rows are set aside, the rest goes through; when
// many are refused nothing more is set aside, delivery waits for an operator and goes on trying.
const (
	// fewRows may be set aside of a flight in any case, and in a row while flights hold nothing else.
	fewRows = 10
	// asideShare: beyond that, one row for so many of the same flight that ClickHouse took.
	asideShare = 4
	// hasteRefusals is how many refusals in a row are tried to get past at once: three ways down a batch of
	// half a million rows. From there on it goes at the pace of any other trouble.
	hasteRefusals = 64
	// strangePatience is how many answers in a row that answerOf does not know make a refusal; with the pauses between them,
	// about half a minute.
	strangePatience = 8
)

// next chooses the part to go on with: the smallest, which finds a bad row soonest; after one that was refused alone and may
// not be set aside, the largest, which soonest shows that ClickHouse takes others. When all are suspect they are
// tried again.
func (fl *flight) next() *part {
	var best *part
	suspects := false
	for _, p := range fl.parts {
		switch {
		case !p.open():
		case p.refused != "":
			return p // to be noted
		case p.suspect:
			suspects = true
		case best == nil, fl.leap && p.length() > best.length(), !fl.leap && p.length() < best.length():
			best = p
		}
	}
	if best != nil || !suspects {
		return best
	}
	fl.rounds++
	fl.acquit()
	return fl.next()
}

// acquit makes suspects parts like others.
func (fl *flight) acquit() {
	for _, p := range fl.parts {
		p.suspect = false
	}
}

// done reports whether every row is stored or set aside.
func (fl *flight) done() bool {
	return !slices.ContainsFunc(fl.parts, (*part).open)
}

// taken notes that ClickHouse has a part.
func (f *Flusher) taken(fl *flight, p *part) {
	p.delivered = true
	fl.taken += p.length()
	fl.refusals, f.aside = 0, 0
	fl.acquit()
}

// judge decides what to do about a part that was not stored.
func (f *Flusher) judge(ctx context.Context, fl *flight, p *part, err error) error {
	switch troubleOf(err) {
	case troubleOther:
		if p.strange++; p.strange < strangePatience {
			return err
		}
	case troubleRefused:
	default:
		p.strange = 0
		return err
	}
	// A view may fail after its table has the rows. Cutting these up would store them twice.
	rows, lookErr := f.writer.stored(ctx, p.block(), p.name, p.week)
	if lookErr != nil {
		return lookErr
	}
	if rows > 0 {
		return fmt.Errorf("%w: %w", errView, err)
	}
	kind := troubleOf(err)
	if why := f.refuse(fl, p, err); why != nil {
		return why
	}
	if kind == troubleOther && p.refused == "" {
		return err // pieces are tried as patiently: it is no progress
	}
	f.metrics.errors[kind].Inc()
	return nil
}

// refuse goes on after ClickHouse refused a part. It returns the refusal when that is no matter of single rows.
func (f *Flusher) refuse(fl *flight, p *part, refusal error) error {
	fl.refusals++
	switch {
	case p.length() > 1:
		fl.leap = false
		if err := f.split(fl, p); err != nil {
			return err
		}
	case f.guilty(fl):
		return f.setAside(fl, p, refusal)
	default:
		p.suspect, fl.leap = true, true
	}
	if fl.refusals > hasteRefusals {
		return refusal
	}
	return nil
}

// guilty reports whether a row that was refused alone is to blame, rather than the table.
func (f *Flusher) guilty(fl *flight) bool {
	open, aside := 0, 0
	for _, p := range fl.parts {
		if p.refused != "" {
			aside++
		} else if !p.delivered {
			open += p.length()
		}
	}
	if fl.taken > 0 {
		return aside < max(fewRows, fl.taken/asideShare)
	}
	return fl.rounds > 0 && open <= fewRows-f.aside // everything else in the flight was tried too
}

// split replaces a part by its halves, on the disk before either is sent.
func (f *Flusher) split(fl *flight, p *part) error {
	middle := (p.from + p.to) / 2
	var halves []*part
	for _, bounds := range [][2]int{{p.from, middle}, {middle, p.to}} {
		half := &part{whole: p.whole, from: bounds[0], to: bounds[1], week: p.week, before: p.before}
		f.namer.name(half)
		var err error
		if half.frozen, err = p.frozen.slice(bounds[0]-p.from, bounds[1]-p.from, half.name); err != nil {
			return err
		}
		half.hours = half.frozen.hours()
		half.stamp = stampOf(half.name, half.frozen.digest(f.pace))
		halves = append(halves, half)
	}
	at := slices.Index(fl.parts, p)
	fl.parts = slices.Concat(fl.parts[:at], halves, fl.parts[at+1:])
	return f.keep(fl)
}

// setAside decides that a row will not be stored; from then on it only has to be noted.
func (f *Flusher) setAside(fl *flight, p *part, refusal error) error {
	words := refusal.Error()
	p.refused = words[:min(len(words), quarantineWords)]
	f.aside++
	fl.refusals = 0
	return f.keep(fl)
}

// note puts a row that was set aside into the quarantine or, where there is no spool, into the log.
func (f *Flusher) note(p *part) error {
	r, err := p.refusedRow(time.Now())
	if err != nil {
		return err
	}
	if f.journal != nil {
		err = f.journal.note(r, p.recovered)
		f.metrics.failing[spoolQuarantine].Store(err != nil)
	}
	if err != nil {
		return err
	}
	f.teller.setAside(r, f.journal == nil, time.Now())
	p.noted = true
	return nil
}
