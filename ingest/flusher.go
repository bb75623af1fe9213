package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"carom/ingest/pace"
	"carom/ingest/ring"
)

// Config says how clicks and conversions get from the ring to ClickHouse.
type Config struct {
	ClickHouse     string      // DSN clickhouse://user:pass@host:9000/carom, several hosts allowed
	Ring           ring.Config // buffer of clicks
	ConversionRing ring.Config // buffer of conversions

	Node          uint16        // this node's number, at most 1023, unique in the cluster
	BatchRows     int           // rows of a batch when busy; at most 500 000, ClickHouse splits blocks at a million
	BatchBytes    int           // of the records of a batch, at least ring.MaxRecord: memory holds one being filled, one being sent, and its frozen columns
	BatchAge      time.Duration // age of a batch when quiet
	InsertTimeout time.Duration // for one attempt; views run within it
	Compress      bool          // LZ4 on the wire; costs most of the encoding's CPU, so off on a LAN
	LedgerEvery   time.Duration // at most this long between ledger rows under load
	LookEvery     time.Duration // how often another process under this node's number is looked for
	DuplicateSpan time.Duration // a visitor's repeat on a link within it is a duplicate
	DedupWindow   int           // blocks whose tokens ClickHouse remembers: non_replicated_deduplication_window of the tables; of replicated ones none is relied on
	Spool         string        // directory for what ClickHouse has not taken; "" = memory, which a kill loses
	SpoolBytes    int           // of clicks in the spool; Ring.BudgetBytes counts in memory
}

// Default is a node on the same network as its ClickHouse.
func Default() Config {
	return Config{
		Ring:           ring.Default(),
		ConversionRing: ring.Config{Lanes: 1, SegmentBytes: 1 << 20, BudgetBytes: 64 << 20, SyncEvery: 200 * time.Millisecond},

		BatchRows: 100_000, BatchBytes: 40 << 20, BatchAge: time.Second, InsertTimeout: 30 * time.Second,
		LedgerEvery: 10 * time.Second, LookEvery: 30 * time.Second, DuplicateSpan: 30 * time.Minute, DedupWindow: 10_000,
		SpoolBytes: 8 << 30,
	}
}

const (
	// pollEvery is how long an idle flusher sleeps before it looks at the ring again. A lane's spare segments last ten times as
	// long at 100 000 clicks a second; waking more often cost an idle node 4 % of a core.
	pollEvery = 20 * time.Millisecond
	readChunk = 200 // records between two looks at spare segments and at what has been delivered; they take a tenth of a millisecond
)

// A Flusher moves the records of one ring into one table. One goroutine, the collector, reads the ring and fills
// batches; another sends them. A batch is sent until it is acknowledged, and its records stay in the ring until then;
// with a journal, its very bytes are on the disk before it is sent.
type Flusher struct {
	config  Config
	ring    *ring.Ring
	table   table
	namer   *batchNamer
	writer  *writer
	held    string   // table that says what ClickHouse holds of each batch
	journal *journal // nil without a spool
	ledger  *ledger  // nil where the table keeps none
	metrics *flushMetrics
	log     *slog.Logger
	token   func(*part) string // deduplication token; another than the part's own only to show in a test what it is for

	// Sender only.
	teller *teller
	frozen proto.Buffer  // columns of the flight under way
	wait   time.Duration // before the next attempt
	aside  int           // rows set aside since ClickHouse last took any
	alone  bool          // nobody has delivered from a copy of the spool
	pace   *pace.Pace

	recovered *flight      // sent first; nil where an earlier process left none
	outbox    chan *flight // unbuffered: a flight leaves when the sender is free; until then it grows
	delivered chan *flight // flights back from the sender
	stop      chan struct{}
	stopOnce  sync.Once
	abandon   context.CancelFunc // ends retrying
	done      chan struct{}

	read     uint64   // collector only: records taken from the ring or recovered
	flying   int      // collector only: rows in flights
	fullness fullness // collector only
	refused  uint64   // refusals of the ring in earlier processes
}

// A flight is what is sent together: one part for each partition, normally one. While it is with the sender, the
// collector only fills the next one.
type flight struct {
	parts     []*part // in order of their beginning; of those that ClickHouse refused, their pieces
	whole     []*part // the parts as they were frozen
	spare     *part
	mark      ring.Mark // what of the ring is in this flight or was in earlier ones
	account   account   // of everything before this flight
	highWater int64     // newest moment of its records, Unix milliseconds
	rows      int
	bytes     int       // of its records
	first     time.Time // when its first record was read
	oldest    int64     // oldest moment of its records, Unix milliseconds

	unkept bool // sender only: what the parts have become may not be on the disk; until it is nothing is sent

	// Sender only, about a flight of which ClickHouse refused something.
	taken    int  // rows that ClickHouse took
	refusals int  // in a row, since it last took any or one was set aside
	rounds   int  // how often all open parts were suspect
	leap     bool // go on with the largest part
}

// since is when the oldest record of the flight was taken, as far as its node's clock can be believed.
func (fl *flight) since() time.Time {
	if oldest := time.UnixMilli(fl.oldest); oldest.Before(fl.first) {
		return oldest
	}
	return fl.first
}

func newFlusher(c Config, s source, t table, m *flushMetrics, log *slog.Logger) (*Flusher, error) {
	if c.BatchRows < 1 || c.BatchRows > 500_000 {
		return nil, fmt.Errorf("batch of %d rows: 1 to 500000 are possible", c.BatchRows)
	}
	if c.BatchBytes < ring.MaxRecord {
		return nil, fmt.Errorf("batch of %d bytes: %d or more are possible", c.BatchBytes, ring.MaxRecord)
	}
	w, err := newWriter(c.ClickHouse, c.InsertTimeout, c.Compress)
	if err != nil {
		return nil, err
	}
	f := &Flusher{
		config: c, ring: s.ring, table: t, namer: &batchNamer{spool: s.id}, writer: w, journal: s.journal, metrics: m, log: log,
		token: (*part).token, teller: &teller{log: log, metrics: m}, wait: retryFirst,
		outbox: make(chan *flight), delivered: make(chan *flight, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
		refused: s.ring.Stats().Full,
	}
	f.fullness = fullness{log: log, full: f.refused}
	if f.journal != nil {
		f.namer.last, f.aside = f.journal.last(), f.journal.aside()
		if f.recovered, err = f.journal.recovered(); err != nil {
			return nil, err
		}
		if f.recovered != nil {
			f.recovered.mark = s.ring.Mark(nil)        // nothing is read yet
			f.recovered.oldest = f.recovered.highWater // its records are not read again; none of them is younger
			f.flying = f.recovered.rows
			f.read = uint64(f.flying)
		}
	}
	return f, nil
}

// Start begins to read and send.
func (f *Flusher) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.abandon = cancel
	go f.send(ctx)
	if f.ledger != nil {
		go f.ledger.run(ctx)
	}
	go f.collect()
}

// Stop delivers what the ring holds and ends. When ctx ends first, what is left is counted as dropped with reason
// "shutdown" and the error says how much; with a spool it stays there for the next start. Nothing may be put into the ring any more.
func (f *Flusher) Stop(ctx context.Context) error {
	f.stopOnce.Do(func() { close(f.stop) })
	select {
	case <-f.done:
	case <-ctx.Done():
		f.abandon()
		<-f.done
	}
	f.abandon()
	if n := f.metrics.dropped[dropShutdown].Load(); n > 0 {
		return fmt.Errorf("%d records for ClickHouse not delivered in time: %w", n, ctx.Err())
	}
	if n := f.metrics.waiting.Load(); n > 0 {
		if err := f.ring.Held(); err != nil {
			return fmt.Errorf("%d records for ClickHouse are not delivered: %w", n, err)
		}
		f.log.Info("records stay in the spool for the next start", "records", n)
	}
	return nil
}

// collect is the ring's only reader. It never blocks for longer than pollEvery, so that producers find spare segments.
func (f *Flusher) collect() {
	defer close(f.done)
	filling, spare := &flight{}, &flight{}
	away := f.recovered != nil // a flight is with the sender
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	p := pace.New()
	defer p.Close()
	stop := f.stop // nil once seen
	for {
		n := f.fill(filling)
		f.observe()
		if n == 0 && stop == nil && !away && filling.rows == 0 {
			f.rest()
			break
		}
		var outbox chan<- *flight // never ready
		if !away && f.due(filling, stop == nil) {
			outbox = f.outbox
		}
		wait := tick.C
		if n > 0 {
			wait = alwaysReady
			p.Step()
		}
		select {
		case outbox <- filling:
			filling, spare, away = spare, nil, true
			continue
		case back := <-f.delivered:
			away = false
			if back != f.recovered {
				spare = back
			}
			if f.settle(back) {
				continue
			}
		case <-stop:
			stop = nil
			continue
		case <-wait:
			continue
		}
		break
	}
	close(f.outbox)
	if f.ledger != nil {
		f.ledger.close(time.Now())
	}
}

// rest notes that all there was is read and settled, damaged records behind the last flight included: they are not counted
// again.
func (f *Flusher) rest() {
	if f.journal == nil {
		return
	}
	counted := account{}
	if f.ledger != nil {
		counted = f.ledger.account.clone()
	}
	mark := f.ring.Mark(nil)
	if err := f.journal.rest(mark.Positions(), counted); err != nil {
		f.log.Warn("spool state not written; damaged records at its end, if there are any, will be counted again", "error", err)
		return
	}
	f.ring.Release(mark)
}

// alwaysReady lets a select look at its other cases without waiting.
var alwaysReady = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// due reports whether a flight should leave as soon as the sender is free.
func (f *Flusher) due(fl *flight, stopping bool) bool {
	if fl.rows == 0 || !stopping && !f.full(fl) && time.Since(fl.first) < f.config.BatchAge {
		return false
	}
	fl.mark = f.ring.Mark(fl.mark)
	if f.ledger != nil {
		fl.account = f.ledger.account.clone()
	}
	return true
}

// full reports whether the flight takes no more records: they wait in the ring.
func (f *Flusher) full(fl *flight) bool {
	return fl.rows >= f.config.BatchRows || fl.bytes >= f.config.BatchBytes
}

// fill reads records into the flight and returns how many it took.
func (f *Flusher) fill(fl *flight) int {
	if f.full(fl) {
		f.ring.Refill()
		return 0
	}
	n, lost := f.ring.Read(min(readChunk, f.config.BatchRows-fl.rows), func(record []byte) {
		millis, err := f.table.millis(record)
		if err == nil {
			err = f.part(fl, weekOf(millis)).append(record, millis)
		}
		if err != nil {
			f.damaged(1, err)
			return
		}
		if fl.rows == 0 {
			fl.first, fl.oldest = time.Now(), millis
		}
		fl.oldest = min(fl.oldest, millis)
		fl.highWater = max(fl.highWater, millis)
		fl.rows++
		fl.bytes += len(record)
		f.flying++
	})
	f.read += uint64(n + lost)
	if lost > 0 {
		f.damaged(lost, errChecksum)
	}
	return n + lost
}

var errChecksum = errors.New("checksum does not hold")

// damaged counts records that cannot be stored because their bytes in the ring are not what was put there.
func (f *Flusher) damaged(n int, err error) {
	f.metrics.dropped[dropDamaged].Add(uint64(n))
	if f.ledger != nil {
		f.ledger.drop(dropDamaged, uint64(n), time.Now())
	}
	f.log.Error("records in the buffer are damaged and dropped", "records", n, "error", err)
}

// part returns the flight's part for a week, beginning one where there is none.
func (f *Flusher) part(fl *flight, week int64) *part {
	for _, p := range fl.parts {
		if p.week == week {
			return p
		}
	}
	p := fl.spare
	fl.spare = nil
	if p == nil {
		p = newPart(f.table)
	}
	p.begin(week)
	fl.parts = append(fl.parts, p)
	return p
}

// settle accounts for a flight that came back and frees what it held. It reports false for one that was given up and
// stays in the spool: then nothing after it may be sent.
func (f *Flusher) settle(fl *flight) bool {
	if f.journal != nil && !fl.done() {
		return false
	}
	for _, p := range fl.parts {
		f.metrics.settle(p)
		if f.ledger != nil {
			f.ledger.settle(p)
		}
	}
	f.ring.Release(fl.mark)
	f.flying -= fl.rows
	f.reuse(fl)
	f.observe()
	if now := time.Now(); f.ledger != nil && f.ledger.due(now) {
		f.ledger.snapshot(now)
	}
	return true
}

// reuse empties a flight that is settled. Of its parts one is kept for the next batch, unless a backlog made it larger than
// that will need.
func (f *Flusher) reuse(fl *flight) {
	spare := fl.spare
	for _, p := range fl.whole {
		if p.rows != nil && !p.roomy() {
			spare = p
		}
	}
	*fl = flight{mark: fl.mark, spare: spare}
}

// observe publishes what is in the ring and in flights.
func (f *Flusher) observe() {
	st := f.ring.Stats()
	f.fullness.look(st, f.metrics.table, time.Now())
	f.metrics.observe(st, f.refused, f.read, f.flying)
	if f.ledger != nil {
		f.ledger.observe(st, f.flying, time.Now())
	}
}
