package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"carom/geo"
	"carom/ingest/ring"
)

// A RescueReport says what became of the records of a spool. Of each, ClickHouse held it or did not.
type RescueReport struct {
	Spool   string `json:"spool"` // its identity, sixteen hex digits
	Node    uint16 `json:"node"`
	Held    uint64 `json:"held"`    // ClickHouse had them already
	Missing uint64 `json:"missing"` // delivered now, but for those that ClickHouse refused
	Damaged uint64 `json:"damaged"` // cannot be read, counted as dropped; some of them may be stored
	Expired uint64 `json:"expired"` // not held and older than ClickHouse keeps raw rows: whether they were stored nobody knows

	Refused uint64 `json:"-"` // of the missing ones, set aside in the quarantine
}

// A RescueProgress is how far a rescue has come: records looked up, then those delivered that were missing.
type RescueProgress struct {
	Looked, Of uint64
	Sending    bool
	ReplayProgress
}

// RescueDir is a spool inside a spool: the records that ClickHouse did not hold, under an identity of their own. It is there once it
// is complete; from then on only it is delivered.
const RescueDir = "rescue"

const (
	tallyFile   = "tally"     // in RescueDir: a RescueReport as JSON
	rescueBatch = 10_000      // records looked up together
	rescueBytes = 8 << 20     // of records held for one lookup
	rescuePause = time.Second // between two looks whether inserts have ended
)

// Rescue delivers what the spool c.Spool holds and ClickHouse does not, for a spool whose state is lost, damaged or older than what
// was sent: it looks every record up by its own id. What is missing becomes a spool of its own first, inside the directory, under a
// fresh identity, and that is replayed: interrupted at any moment it can be run again, also from another copy of the spool. adopt
// makes a copied spool the original. The user of the DSN must be able to read the raw tables. Nobody else may be sending
// from the spool; of inserts that ClickHouse still works at, Rescue waits for the end. With several hosts all of them are asked.
// A spool that knows what it has sent, and of which no copy was delivered, is refused with ErrSpool and left as it is: Replay delivers it.
func Rescue(
	ctx context.Context, c Config, adopt bool, places *geo.DB, progress func(RescueProgress), log *slog.Logger,
) (r RescueReport, err error) {
	report, err := Inspect(c.Spool, nil)
	if err != nil {
		return r, err
	}
	if err := report.free(adopt); err != nil {
		return r, err
	}
	s, err := lockSpool(c.Spool)
	if err != nil {
		return r, fmt.Errorf("%w; it must be in a directory that can be written: otherwise copy it to one and say --adopt-copy", err)
	}
	defer func() { err = errors.Join(err, s.lock.Close()) }()
	all, err := newHosts(c.ClickHouse, c.InsertTimeout, c.Compress)
	if err != nil {
		return r, err
	}
	defer all.close()
	if report.Rescue == nil {
		if err := report.needsRescue(ctx, all); err != nil {
			return r, err
		}
	}
	inner := filepath.Join(c.Spool, RescueDir)
	if report.Copied { // somebody may have delivered from the original since: what was found out then holds no more
		if err := os.RemoveAll(inner); err != nil {
			return r, fmt.Errorf("begin the rescue again: %w", err)
		}
		if err := s.adopt(); err != nil {
			return r, err
		}
	}
	begun, err := rescueBegun(c.Spool)
	if err != nil {
		return r, err
	}
	if !begun {
		sift := sieve{config: c, hosts: all, report: report, progress: progress}
		if err := sift.run(ctx); err != nil {
			return r, err
		}
	}
	if r, err = readTally(inner); err != nil {
		return r, err
	}
	c.Spool = inner
	err = Replay(ctx, c, false, places, func(p ReplayProgress) { progress(RescueProgress{r.Missing, r.Missing, true, p}) }, log)
	if err != nil {
		return r, err
	}
	after, err := Inspect(inner, nil)
	if err != nil {
		return r, err
	}
	for _, k := range after.Kinds {
		for _, n := range k.Quarantined {
			r.Refused += n
		}
	}
	return r, nil
}

// rescueBegun reports whether the records of a spool were looked up, so that only what Rescue made of them is delivered.
func rescueBegun(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, RescueDir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a rescue in the spool: %w", err)
	}
	return true, nil
}

// needsRescue fails with ErrSpool where the spool knows what it has sent, and no host holds more.
func (r *SpoolReport) needsRescue(ctx context.Context, all hosts) error {
	for _, k := range r.Kinds {
		if k.State != "" {
			return nil
		}
	}
	for _, w := range all {
		err := r.sole(ctx, w)
		if errors.Is(err, errCopyDelivered) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("%w by id: %s knows what it has sent, and carom spool replay without --by-id delivers the rest; nothing was changed",
		ErrSpool, r.Dir)
}

func readTally(dir string) (r RescueReport, err error) {
	text, err := os.ReadFile(filepath.Join(dir, tallyFile))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("result of the lookups: %w; move %s away and begin again", err, dir)
	}
	return r, nil
}

// A sieve copies the records that ClickHouse does not hold.
type sieve struct {
	config   Config
	hosts    hosts
	report   *SpoolReport
	progress func(RescueProgress)

	tally  RescueReport
	looked uint64
	of     uint64
	dead   map[string]map[string]bool // batches of clicks in which records were found, by their spool
}

// run makes the inner spool.
func (v *sieve) run(ctx context.Context) error {
	if err := v.hosts.insertsOver(ctx); err != nil {
		return err
	}
	v.tally = RescueReport{Spool: v.report.Spool, Node: v.report.Node}
	v.dead = map[string]map[string]bool{v.report.Spool: {}}
	for _, k := range v.report.Kinds {
		for _, f := range k.Segments {
			if f.Err != "" {
				return fmt.Errorf("%w: %s/%s cannot be read: %s; copy the spool to a good disk as far as it goes, or move that file away",
					ErrSpool, k.Kind, f.Name, f.Err)
			}
			v.of += f.Records
		}
	}
	unfinished := filepath.Join(v.report.Dir, RescueDir+".tmp")
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("begin the rescue again: %w", err)
	}
	fresh, err := openSpool(unfinished, v.report.Node)
	if err != nil {
		return err
	}
	for _, kind := range newRecordKinds() {
		if err == nil {
			err = v.sift(ctx, kind, fresh)
		}
	}
	if err = errors.Join(err, fresh.close()); err != nil {
		return err
	}
	for _, w := range v.hosts {
		if err := w.settleLedger(ctx, v.report.Node, v.dead); err != nil {
			return err
		}
	}
	text, err := json.Marshal(v.tally)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(unfinished, tallyFile), text); err != nil {
		return err
	}
	if err := os.Rename(unfinished, filepath.Join(v.report.Dir, RescueDir)); err != nil {
		return fmt.Errorf("finish the lookups: %w", err)
	}
	return ring.SyncDir(v.report.Dir)
}

// sift does one kind of record.
func (v *sieve) sift(ctx context.Context, kind recordKind, fresh *spool) error {
	seed, err := (identity{Spool: v.report.Spool}).seed()
	if err != nil {
		return err
	}
	looks, err := newLookups(ctx, v.hosts, kind)
	if err != nil {
		return err
	}
	to, _, _, err := fresh.ring(v.config.rescueRing(), kind.name, nil)
	if err != nil {
		return err
	}
	p := pile{sieve: v, kind: kind, lookups: looks, to: to, told: map[string]bool{}}
	segments, err := ring.Inspect(filepath.Join(v.report.Dir, kind.name), seed, nil, func(record []byte) {
		if p.err == nil {
			p.err = p.add(ctx, record)
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it was never opened
	}
	if err = errors.Join(err, p.err); err == nil {
		err = p.settle(ctx)
	}
	full := to.Stats().Full
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	for _, f := range segments {
		p.damaged += f.Lost
	}
	v.tally.Damaged += p.damaged
	if !kind.ledger {
		return nil
	}
	begin := account{Current: hourOf(time.Now().UnixMilli()), Full: full} // what the ring refused was put again, see copyRecord
	begin.drop(begin.Current, dropDamaged, p.damaged)
	return (&state{Account: begin}).save(filepath.Join(fresh.dir, kind.name), nil)
}

// rescueRing is a ring that takes what the disk has room for.
func (c Config) rescueRing() ring.Config {
	const most = 1 << 50
	return ring.Config{Lanes: 1, SegmentBytes: c.Ring.SegmentBytes, BudgetBytes: most, KeepFree: c.stateBytes(), SyncEvery: time.Second}
}

// A pile is records that are looked up together.
type pile struct {
	*sieve
	kind    recordKind
	lookups lookups
	to      *ring.Ring
	records [][]byte // aliasing text
	text    []byte
	told    map[string]bool // batches reported
	damaged uint64
	err     error
}

// add takes a record, whose bytes it copies.
func (p *pile) add(ctx context.Context, record []byte) error {
	if errors.Is(p.kind.check(record), errRecord) {
		p.damaged++
		return nil
	}
	if len(p.records) == rescueBatch || len(p.text)+len(record) > rescueBytes {
		if err := p.settle(ctx); err != nil {
			return err
		}
	}
	if p.text == nil {
		p.text = make([]byte, 0, rescueBytes)
	}
	start := len(p.text)
	p.text = append(p.text, record...)
	p.records = append(p.records, p.text[start:len(p.text):len(p.text)])
	return nil
}

// settle looks the records up, keeps the missing ones and reports the batches that brought the others: the process that sent
// them may have died before it could.
func (p *pile) settle(ctx context.Context) error {
	if len(p.records) == 0 {
		return ctx.Err()
	}
	a, err := p.lookups.ask(ctx, p.records)
	if err != nil {
		return err
	}
	for i, record := range p.records {
		found, held := a.held[i]
		switch {
		case a.expired[i]:
			p.tally.Expired++
		case !held:
			p.tally.Missing++
			if err := copyRecord(ctx, p.to, record); err != nil {
				return err
			}
		default:
			p.tally.Held++
			if err := p.doubted(ctx, record, found); err != nil {
				return err
			}
		}
	}
	p.looked += uint64(len(p.records))
	p.progress(RescueProgress{Looked: p.looked, Of: p.of})
	p.records, p.text = p.records[:0], p.text[:0]
	return nil
}

// doubted reports the batch that brought a record, once.
func (p *pile) doubted(ctx context.Context, record []byte, found holding) error {
	batch := found.batch
	if len(batch) <= spoolIDLen || p.told[batch] {
		return nil // brought by hand
	}
	millis, err := p.kind.millis(record)
	if err == nil {
		err = found.at.doubt(ctx, p.kind.name, batch, weekOf(millis))
	}
	if err != nil {
		return err
	}
	p.told[batch] = true
	if p.kind.ledger {
		spool := batch[:spoolIDLen]
		if p.dead[spool] == nil {
			p.dead[spool] = map[string]bool{}
		}
		p.dead[spool][batch] = true
	}
	return nil
}

// copyRecord puts a record into the ring, waiting for the disk where it must.
func copyRecord(ctx context.Context, to *ring.Ring, record []byte) error {
	for {
		if slot, ok := to.Reserve(0, len(record)); ok {
			copy(slot.Data, record)
			slot.Commit()
			return nil
		}
		to.Refill()
		if err := to.Stats().Err; err != nil {
			return fmt.Errorf("keep what is to be delivered: %w; copy the spool to a disk with room and rescue the copy with --adopt-copy", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}
