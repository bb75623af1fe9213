package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"carom/ingest/ring"
)

// A SpoolReport is what a spool directory holds.
type SpoolReport struct {
	Dir     string     `json:"dir"`
	Spool   string     `json:"spool"` // its identity, sixteen hex digits
	Node    uint16     `json:"node"`
	Use     SpoolUse   `json:"use"`
	Process string     `json:"process,omitempty"` // that uses it, or was killed using it: process id and start
	Copied  bool       `json:"copied"`            // made by copying files: the original may exist and be in use
	Kinds   []KindPart `json:"kinds"`             // clicks, then conversions
}

// A SpoolUse says how the last process of a spool left it.
type SpoolUse string

// The uses.
const (
	SpoolInUse  SpoolUse = "in use" // what is told of the rest may be about a moment that never was
	SpoolClosed SpoolUse = "closed"
	SpoolKilled SpoolUse = "killed"
)

// A KindPart is what a spool holds of one kind of record.
type KindPart struct {
	Kind      string             `json:"kind"`                  // clicks or conversions
	State     string             `json:"state_error,omitempty"` // why the state file cannot be used; then all records count as waiting
	Waiting   uint64             `json:"waiting"`               // records that are in no batch yet and can be read
	Unread    uint64             `json:"unreadable"`            // of those, the ones that no version of this program wrote
	Lost      uint64             `json:"lost"`                  // records that were committed and are damaged
	Payload   uint64             `json:"payload_bytes"`         // of the waiting records
	Frozen    []FrozenBatch      `json:"frozen"`                // batches that were being sent: each is stored or not
	Batch     uint64             `json:"batch"`                 // highest number of a batch that may have been sent
	Oldest    *time.Time         `json:"oldest,omitempty"`      // moment of the oldest record that is not known to be stored
	HighWater *time.Time         `json:"high_water,omitempty"`  // moment of the newest record there ever was
	Refused   uint64             `json:"refused"`               // records for which there was no room
	Account   *SpoolAccount      `json:"account,omitempty"`     // of clicks only
	Segments  []ring.SegmentFile `json:"segments"`
	Aside     []string           `json:"kept_aside"` // damaged files, read as far as they go
}

// A FrozenBatch is one whose bytes are decided. Until ClickHouse has acknowledged it, it is sent again unchanged.
type FrozenBatch struct {
	Number    uint64            `json:"number"`
	Name      string            `json:"name"` // batch_id of its rows
	Token     string            `json:"token"`
	Table     string            `json:"table"`
	Partition string            `json:"partition"` // Monday of its week
	Rows      int               `json:"rows"`
	Bytes     int               `json:"bytes"`
	Hours     map[string]uint64 `json:"hours"`            // rows by hour
	Stored    *int              `json:"stored,omitempty"` // rows that ClickHouse holds, where it was asked

	week   int64
	moment string
}

// A SpoolAccount is what became of all clicks that a spool took: accepted = stored + waiting + lost + dropped.
type SpoolAccount struct {
	Accepted uint64            `json:"accepted"`
	Stored   uint64            `json:"stored"`
	Waiting  uint64            `json:"waiting"` // in batches or not
	Lost     uint64            `json:"lost"`
	Dropped  map[string]uint64 `json:"dropped"` // by reason
}

// Inspect says what a spool holds and calls each, when not nil, with every record that waits. It changes nothing and needs
// only the right to read. A directory that is no spool fails with ErrSpool.
func Inspect(dir string, each func(kind string, record []byte)) (*SpoolReport, error) {
	path := filepath.Join(dir, identityFile)
	who, err := readIdentity(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s holds no %s file; name the directory that serve --spool had", ErrSpool, dir, identityFile)
	}
	if err != nil {
		return nil, err
	}
	r := &SpoolReport{Dir: dir, Spool: who.Spool, Node: who.Node, Use: SpoolClosed}
	if r.Copied, err = who.copied(path); err != nil {
		return nil, err
	}
	if r.Process, err = signature(dir); err != nil {
		return nil, err
	}
	used, err := ring.InUse(dir)
	if err != nil {
		return nil, err
	}
	switch {
	case used:
		r.Use = SpoolInUse
	case r.Process != "":
		r.Use = SpoolKilled
	}
	for _, kind := range recordKinds {
		part, err := kind.inspect(dir, who, each)
		if err != nil {
			return nil, err
		}
		r.Kinds = append(r.Kinds, part)
	}
	return r, nil
}

// Waiting is how many records are not known to be stored.
func (r *SpoolReport) Waiting() (n uint64) {
	for _, k := range r.Kinds {
		n += k.Waiting + k.Lost
		for _, b := range k.Frozen {
			n += uint64(b.Rows)
		}
	}
	return n
}

// A recordKind is what inspection must know of one kind of record.
type recordKind struct {
	name   string // of its directory
	ledger bool
	millis func(record []byte) (int64, error)
	check  func(record []byte) error
}

var recordKinds = [...]recordKind{
	{clicksDir, true, clickMillis, func(b []byte) error { return parseClick(b, new(Click)) }},
	{conversionsDir, false, conversionMillis, func(b []byte) error { return parseConversion(b, new(Conversion)) }},
}

func (k recordKind) inspect(spool string, who identity, each func(string, []byte)) (KindPart, error) {
	dir := filepath.Join(spool, k.name)
	part := KindPart{Kind: k.name, Segments: []ring.SegmentFile{}, Frozen: []FrozenBatch{}, Aside: []string{}}
	s, err := loadState(dir)
	switch {
	case errors.Is(err, errState):
		part.State, s = err.Error(), &state{}
	case err != nil:
		return part, err
	}
	part.Batch = s.Batch
	oldest, newest := int64(0), s.HighWater
	note := func(millis int64) {
		newest = max(newest, millis)
		if oldest == 0 || millis < oldest {
			oldest = millis
		}
	}
	for _, p := range s.Parts {
		part.Frozen = append(part.Frozen, p.describe())
		for hour := range p.Hours {
			note(hour * 1000)
		}
	}
	seed, err := who.seed()
	if err != nil {
		return part, err
	}
	segments, err := ring.Inspect(dir, seed, s.Positions, func(record []byte) {
		millis, err := k.millis(record)
		if err == nil {
			err = k.check(record)
		}
		if err != nil {
			part.Unread++
			return
		}
		note(millis)
		if each != nil {
			each(k.name, record)
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return part, nil // it was never opened
	}
	if err != nil {
		return part, err
	}
	part.Segments = append(part.Segments, segments...)
	for _, f := range segments {
		part.Waiting, part.Lost, part.Payload = part.Waiting+f.Records, part.Lost+f.Lost, part.Payload+f.Payload
	}
	part.Oldest, part.HighWater = momentOf(oldest), momentOf(newest)
	if part.Refused, err = ring.Refused(dir); err != nil {
		return part, err
	}
	aside, err := ring.Aside(dir)
	part.Aside = append(part.Aside, aside...)
	if k.ledger {
		part.Account = part.account(s.Account)
	}
	return part, err
}

// account adds what is still in the spool to what is settled.
func (k *KindPart) account(settled account) *SpoolAccount {
	a := &SpoolAccount{Waiting: k.Waiting, Lost: k.Lost, Dropped: map[string]uint64{}}
	for _, b := range k.Frozen {
		a.Waiting += uint64(b.Rows)
	}
	settled = settled.clone()
	if k.Refused > settled.Full {
		settled.drop(settled.Current, dropFull, k.Refused-settled.Full)
	}
	for _, hour := range settled.Hours {
		a.Stored += hour.Stored
		for reason, n := range hour.Dropped {
			if n > 0 {
				a.Dropped[dropReason(reason).String()] += n
			}
		}
	}
	a.Accepted = a.Stored + a.Waiting + a.Lost
	for _, n := range a.Dropped {
		a.Accepted += n
	}
	return a
}

// describe tells what was frozen.
func (p *frozenPart) describe() FrozenBatch {
	b := FrozenBatch{
		Number: p.Number, Name: p.Name, Token: p.Token, Table: p.Table, Rows: p.Rows, Hours: map[string]uint64{},
		Partition: time.UnixMilli(p.Week*millisPerWeek + firstMonday).UTC().Format(time.DateOnly), week: p.Week, moment: p.Moment,
	}
	for _, c := range p.Columns {
		b.Bytes += c.Bytes
	}
	for hour, rows := range p.Hours {
		b.Hours[time.Unix(hour, 0).UTC().Format(time.RFC3339)] = rows
	}
	return b
}

// momentOf is a time to show, nil for none.
func momentOf(millis int64) *time.Time {
	if millis == 0 {
		return nil
	}
	t := time.UnixMilli(millis).UTC()
	return &t
}
