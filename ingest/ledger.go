package ingest

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"carom/ingest/ring"
)

// A ledger keeps the account of one spool: for each hour of clicks, how many were accepted and what became of
// them. The collector owns it; snapshots go to a goroutine that writes them to node_ledger.
//
//	accepted = stored (counted by ClickHouse itself) + waiting + dropped by reason
//
// Each snapshot is true at the end of the last batch that was settled: it names that batch, and the report counts what
// ClickHouse holds of the batches up to it.
type ledger struct {
	node  uint16
	spool string
	every time.Duration

	hours   map[int64]*ledgerHour // by start of the hour, Unix seconds
	batch   uint64                // last batch settled
	full    uint64                // refusals by the ring that are accounted for
	waiting uint64                // in the ring and in flights
	current int64                 // hour that the last snapshot put the waiting ones into
	written time.Time

	writer    *writer
	log       *slog.Logger
	snapshots chan *block
	done      chan struct{}
}

type ledgerHour struct {
	stored  uint64 // acknowledged by ClickHouse
	dropped [dropReasons]uint64
	changed bool // since the last snapshot
}

// ledgerHours is how long an hour is kept open for late settlements, in seconds.
const ledgerHours = 48 * 3600

func newLedger(c Config, spool string, log *slog.Logger) (*ledger, error) {
	w, err := newWriter(c.ClickHouse, c.InsertTimeout, c.Compress)
	if err != nil {
		return nil, err
	}
	return &ledger{
		node: c.Node, spool: spool, every: c.LedgerEvery, hours: map[int64]*ledgerHour{}, writer: w, log: log,
		current:   hourOf(time.Now().UnixMilli()),
		snapshots: make(chan *block, 1), done: make(chan struct{}),
	}, nil
}

// hour returns the account of an hour, about to be changed.
func (l *ledger) hour(h int64) *ledgerHour {
	if l.hours[h] == nil {
		l.hours[h] = &ledgerHour{}
	}
	l.hours[h].changed = true
	return l.hours[h]
}

// settle accounts for a part that was stored or, when given up, dropped.
func (l *ledger) settle(p *part) {
	for h, n := range p.hours {
		if p.delivered {
			l.hour(h).stored += n
		} else {
			l.hour(h).dropped[dropShutdown] += n
		}
	}
	l.batch = max(l.batch, p.number)
}

// drop accounts for records lost in the current hour.
func (l *ledger) drop(reason dropReason, n uint64, now time.Time) {
	if n > 0 {
		l.hour(hourOf(now.UnixMilli())).dropped[reason] += n
	}
}

// observe takes what the ring refused since the last call, and what is under way.
func (l *ledger) observe(st ring.Stats, flying int, now time.Time) {
	l.drop(dropFull, st.Full-l.full, now)
	l.full, l.waiting = st.Full, st.Waiting+uint64(flying)
}

// due reports whether a snapshot would tell something new that is worth a row.
func (l *ledger) due(now time.Time) bool {
	return l.waiting == 0 || now.Sub(l.written) >= l.every
}

// snapshot hands the account to the writer; when that is still busy with the last one, the next snapshot will tell.
func (l *ledger) snapshot(now time.Time) {
	if len(l.snapshots) < cap(l.snapshots) { // only the collector sends
		l.snapshots <- l.block(now)
		l.written = now
	}
}

// block is what changed in the account, as rows. What waits is put into the current hour, though it may belong to the
// one before.
func (l *ledger) block(now time.Time) *block {
	l.hour(l.current) // no longer holds what waits
	l.current = hourOf(now.UnixMilli())
	l.hour(l.current)
	b := newLedgerBlock()
	for _, h := range slices.Sorted(maps.Keys(l.hours)) {
		account := l.hours[h]
		if account.changed {
			waiting := uint64(0)
			if h == l.current {
				waiting = l.waiting
			}
			b.append(h, l, account, waiting, now)
			account.changed = false
		}
		if h < l.current-ledgerHours {
			delete(l.hours, h)
		}
	}
	return &b.block
}

// close takes a last snapshot and waits until it is written or given up.
func (l *ledger) close(now time.Time) {
	l.snapshots <- l.block(now)
	close(l.snapshots)
	<-l.done
}

// run writes snapshots until the channel closes. A row that cannot be written is not tried again: the next one
// holds all it said.
func (l *ledger) run(ctx context.Context) {
	defer close(l.done)
	defer l.writer.close()
	for b := range l.snapshots {
		if err := l.writer.insert(ctx, b, ""); err != nil {
			l.log.Warn("ledger row not written; the next one covers it", "error", err)
		}
	}
}

// ledgerBlock holds rows of the table node_ledger.
type ledgerBlock struct {
	block
	hour                     proto.ColDateTime
	node                     proto.ColUInt16
	spool                    proto.ColStr
	batch, accepted, waiting proto.ColUInt64
	written                  proto.ColDateTime64
	dropped                  *proto.ColMap[string, uint64]
}

func newLedgerBlock() *ledgerBlock {
	b := &ledgerBlock{dropped: proto.NewMap(new(proto.ColStr).LowCardinality(), new(proto.ColUInt64))}
	b.table = "node_ledger"
	b.written.WithPrecision(proto.PrecisionMilli)
	b.add("hour", &b.hour)
	b.add("node", &b.node)
	b.add("spool", &b.spool)
	b.add("batch", &b.batch)
	b.add("written", &b.written)
	b.add("accepted", &b.accepted)
	b.add("waiting", &b.waiting)
	b.add("dropped", b.dropped)
	return b
}

func (b *ledgerBlock) append(hour int64, l *ledger, account *ledgerHour, waiting uint64, now time.Time) {
	dropped := map[string]uint64{}
	accepted := account.stored + waiting
	for reason, n := range account.dropped {
		if n > 0 {
			dropped[dropReason(reason).String()] = n
			accepted += n
		}
	}
	b.hour.Append(time.Unix(hour, 0))
	b.node.Append(l.node)
	b.spool.Append(l.spool)
	b.batch.Append(l.batch)
	b.written.Append(now)
	b.accepted.Append(accepted)
	b.waiting.Append(waiting)
	b.dropped.Append(dropped)
	b.rows++
}
