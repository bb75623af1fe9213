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

	account account
	changed map[int64]bool      // hours since the last snapshot
	told    map[int64]time.Time // when a snapshot told of an hour; compared by the monotonic clock, as the other may jump
	waiting uint64              // in the ring and in flights
	written time.Time

	writer    *writer
	rivals    *rivals
	log       *slog.Logger
	snapshots chan *ledgerBlock
	done      chan struct{}
}

// ledgerOpen is how long an hour is kept open for late settlements, from the last one on.
const ledgerOpen = 48 * time.Hour

// newLedger goes on from what an earlier process of the same spool knew: its account and the last batch it may have sent.
func newLedger(c Config, spool string, before account, last uint64, log *slog.Logger) (*ledger, error) {
	w, err := newWriter(c.ClickHouse, c.InsertTimeout, c.Compress)
	if err != nil {
		return nil, err
	}
	l := &ledger{
		node: c.Node, spool: spool, every: c.LedgerEvery, account: before.clone(), changed: map[int64]bool{}, told: map[int64]time.Time{}, writer: w, log: log,
		rivals:    &rivals{node: c.Node, spool: spool, sent: last, every: c.LookEvery, writer: w, log: log},
		snapshots: make(chan *ledgerBlock, 1), done: make(chan struct{}),
	}
	// The process before this one may have written rows that say more than the state it left on the disk, about any hour since then:
	// rows of ours take their place. After a long rest, of the first and the last hours.
	now, open := hourOf(time.Now().UnixMilli()), int64(ledgerOpen.Seconds())
	if l.account.Current == 0 {
		l.account.Current = now
	}
	for h := l.account.Current; h <= now; h += secondsPerHour {
		if h == l.account.Current+open && h < now-open {
			h = now - open
		}
		l.touch(h)
	}
	return l, nil
}

const secondsPerHour = 3600

// touch makes the next snapshot tell about the hour.
func (l *ledger) touch(hour int64) {
	l.account.add(hour, 0)
	l.changed[hour] = true
}

// settle accounts for a part whose fate is known.
func (l *ledger) settle(p *part) {
	l.account.settle(p)
	for h := range p.hours {
		l.changed[h] = true
	}
}

// drop accounts for records lost in the current hour.
func (l *ledger) drop(reason dropReason, n uint64, now time.Time) {
	if n > 0 {
		h := hourOf(now.UnixMilli())
		l.account.drop(h, reason, n)
		l.changed[h] = true
	}
}

// observe takes what the ring refused since the last call, and what is under way.
func (l *ledger) observe(st ring.Stats, flying int, now time.Time) {
	// The count is behind what an earlier process accounted for where it was damaged, or where a power loss came between the two.
	l.account.Full = min(l.account.Full, st.Full)
	l.drop(dropFull, st.Full-l.account.Full, now)
	l.account.Full, l.waiting = st.Full, st.Waiting+uint64(flying)
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
func (l *ledger) block(now time.Time) *ledgerBlock {
	l.touch(l.account.Current) // no longer holds what waits
	l.account.Current = hourOf(now.UnixMilli())
	l.touch(l.account.Current)
	b := newLedgerBlock()
	b.last = l.account.Batch
	for _, h := range slices.Sorted(maps.Keys(l.account.Hours)) {
		if l.changed[h] {
			waiting := uint64(0)
			if h == l.account.Current {
				waiting = l.waiting
			}
			b.append(h, l, l.account.Hours[h], waiting, now)
		}
		if _, known := l.told[h]; l.changed[h] || !known {
			l.told[h] = now
		} else if now.Sub(l.told[h]) > ledgerOpen {
			delete(l.account.Hours, h)
			delete(l.told, h)
		}
	}
	clear(l.changed)
	return b
}

// close takes a last snapshot and waits until it is written or given up.
func (l *ledger) close(now time.Time) {
	l.snapshots <- l.block(now)
	close(l.snapshots)
	<-l.done
}

// run writes snapshots until the channel closes, and looks for rivals. A row that cannot be written is not tried again: the
// next one holds all it said.
func (l *ledger) run(ctx context.Context) {
	defer close(l.done)
	defer l.writer.close()
	look := time.NewTicker(l.rivals.every)
	defer look.Stop()
	l.rivals.look(ctx, time.Now())
	for {
		select {
		case b, more := <-l.snapshots:
			if !more {
				return
			}
			l.rivals.sent = max(l.rivals.sent, b.last)
			if err := l.writer.insert(ctx, &b.block, ""); err != nil {
				l.log.Warn("ledger row not written; the next one covers it", "error", err)
			}
		case now := <-look.C:
			l.rivals.look(ctx, now)
		}
	}
}

// ledgerBlock holds rows of the table node_ledger.
type ledgerBlock struct {
	block
	last                     uint64 // batch that the rows cover
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

func (b *ledgerBlock) append(hour int64, l *ledger, account ledgerHour, waiting uint64, now time.Time) {
	dropped := map[string]uint64{}
	accepted := account.Stored + waiting
	for reason, n := range account.Dropped {
		if n > 0 {
			dropped[dropReason(reason).String()] = n
			accepted += n
		}
	}
	b.hour.Append(time.Unix(hour, 0))
	b.node.Append(l.node)
	b.spool.Append(l.spool)
	b.batch.Append(l.account.Batch)
	b.written.Append(now)
	b.accepted.Append(accepted)
	b.waiting.Append(waiting)
	b.dropped.Append(dropped)
	b.rows++
}
