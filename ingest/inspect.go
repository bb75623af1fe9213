package ingest

import (
	"context"
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
	Process string     `json:"process,omitempty"`        // that uses it, or was killed using it: process id and start
	Copied  bool       `json:"copied"`                   // made by copying files: the original may exist and be in use
	Ahead   string     `json:"copy_delivered,omitempty"` // where ClickHouse was asked: what it holds that this spool never sent
	Kinds   []KindPart `json:"kinds"`                    // clicks, then conversions

	Rescue *SpoolReport `json:"rescue,omitempty"` // the spool inside, where only that is delivered: see Rescue
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

	Quarantined map[string]uint64 `json:"quarantined"` // rows in the quarantine file, by what ClickHouse said of them
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
	Hours     map[string]uint64 `json:"hours"`             // rows by hour
	Refused   string            `json:"refused,omitempty"` // ClickHouse's words about its one row, which goes into the quarantine
	Stored    *int              `json:"stored,omitempty"`  // rows that ClickHouse holds, where it was asked

	part *part
}

// A SpoolAccount is what became of all clicks that a spool took: accepted = stored + waiting + lost + dropped.
type SpoolAccount struct {
	Accepted uint64            `json:"accepted"`
	Stored   uint64            `json:"stored"`
	Waiting  uint64            `json:"waiting"` // in batches or not
	Lost     uint64            `json:"lost"`
	Dropped  map[string]uint64 `json:"dropped"` // by reason
}

// Inspect says what a spool holds and calls each, when not nil, with a line of JSON for every row of a frozen batch and every
// record that waits. It changes nothing and needs only the right to read. A directory that is no spool fails with ErrSpool.
func Inspect(dir string, each func(line []byte) error) (*SpoolReport, error) {
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
	for _, kind := range newRecordKinds() {
		part, err := kind.inspect(dir, who, each)
		if err != nil {
			return nil, err
		}
		r.Kinds = append(r.Kinds, part)
	}
	begun, err := rescueBegun(dir)
	if err == nil && begun {
		r.Rescue, err = Inspect(filepath.Join(dir, RescueDir), nil)
	}
	return r, err
}

// Rescued reports whether a Rescue has delivered everything: the directory may be removed.
func (r *SpoolReport) Rescued() bool { return r.Rescue != nil && r.Rescue.Waiting() == 0 }

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
func (p *part) describe() FrozenBatch {
	b := FrozenBatch{
		Number: p.number, Name: p.name, Token: p.token(), Table: p.block().table, Rows: p.length(), Refused: p.refused,
		Partition: time.UnixMilli(p.week*millisPerWeek + firstMonday).UTC().Format(time.DateOnly), Hours: map[string]uint64{},
		part: p,
	}
	for _, c := range p.block().columns {
		b.Bytes += len(c.Data.(frozenColumn).bytes)
	}
	for hour, rows := range p.hours {
		b.Hours[time.Unix(hour, 0).UTC().Format(time.RFC3339)] = rows
	}
	return b
}

// Problems says what is wrong with the spool, one sentence each; nothing where every checksum holds and every record reads.
// What ClickHouse has not taken yet is no problem: the node, or a replay, delivers it.
func (r *SpoolReport) Problems() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, k := range r.Kinds {
		if k.State != "" {
			say("%s: what was being sent cannot be read: %s", k.Kind, k.State)
		}
		if k.Lost > 0 {
			say("%s: %d committed records are damaged and lost", k.Kind, k.Lost)
		}
		if k.Unread > 0 {
			say("%s: %d records are whole and of no kind that this program knows", k.Kind, k.Unread)
		}
		for _, f := range k.Segments {
			switch {
			case f.Err != "":
				say("%s: %s cannot be read: %s", k.Kind, f.Name, f.Err)
			case f.Cut:
				say("%s: %s ends too soon; how many records it lost there is not known", k.Kind, f.Name)
			case f.Damaged:
				say("%s: %s is damaged: %d records read, %d lost", k.Kind, f.Name, f.Records, f.Lost)
			}
		}
	}
	if r.Ahead != "" {
		say("%s", r.Ahead)
	}
	return all
}

// askTimeout is for one question to ClickHouse.
const askTimeout = 30 * time.Second

// Ask asks ClickHouse, by its DSN, how many rows it holds of each frozen batch, and whether a copy of the spool was delivered.
func (r *SpoolReport) Ask(ctx context.Context, dsn string) error {
	w, err := newWriter(dsn, askTimeout, false)
	if err != nil {
		return err
	}
	defer w.close()
	for _, k := range r.Kinds {
		for i := range k.Frozen {
			b := &k.Frozen[i]
			rows, err := w.stored(ctx, b.part.block(), b.Name, b.part.week)
			if err != nil {
				return err
			}
			b.Stored = &rows
		}
	}
	err = r.sole(ctx, w)
	if errors.Is(err, errCopyDelivered) {
		r.Ahead, err = err.Error(), nil
	}
	return err
}

// sole fails with errCopyDelivered where a host holds more than the spool has sent of a kind whose state can be read.
func (r *SpoolReport) sole(ctx context.Context, w *writer) error {
	for _, k := range r.Kinds {
		if k.State != "" {
			continue
		}
		if err := soleDelivery(ctx, w, heldIn(k.Kind), r.Spool, k.Batch); err != nil {
			return err
		}
	}
	return nil
}

// momentOf is a time to show, nil for none.
func momentOf(millis int64) *time.Time {
	if millis == 0 {
		return nil
	}
	t := time.UnixMilli(millis).UTC()
	return &t
}
