package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
)

// rivals notices, by what node_ledger says, another process that accepts clicks under this node's number, whose click ids would
// collide with ours, or that delivers from a copy of our spool. The goroutine that writes the ledger owns it.
//
// Clocks are not compared: what counts is that the others' clicks become more from look to look. A replay of a dead node's spool
// accepts nothing, so it is no rival; what its node had accepted and not yet told may make for one rise.
type rivals struct {
	node   uint16
	spool  string
	sent   uint64 // highest batch that this spool has sent and told of
	every  time.Duration
	writer *writer
	log    *slog.Logger

	looked   bool        // others is known
	others   int64       // clicks that other spools accepted as this node, at the last look
	rises    []time.Time // of others, within rivalMemory
	conflict atomic.Bool // for Prometheus
	told     time.Time   // when the log was last told
}

const (
	rivalMemory = 10 * time.Minute // two rises within it are a rival, and so long it is one
	rivalRises  = 2
)

func (r *rivals) register(reg prometheus.Registerer) {
	metric.Flag(reg, "carom_node_conflict", "1 while another process works under this node's number or from a copy of its spool.",
		nil, r.conflict.Load)
}

// look asks what others have told. That ClickHouse cannot be asked says nothing: the next look will.
func (r *rivals) look(ctx context.Context, now time.Time) {
	others, err := r.writer.number(ctx, fmt.Sprintf(
		"SELECT toInt64(sum(accepted)) FROM node_ledger FINAL WHERE hour >= toStartOfHour(now() - 3600) AND node = %d AND spool != '%s'",
		r.node, r.spool))
	if err != nil {
		return
	}
	newest, err := r.writer.number(ctx, fmt.Sprintf(
		"SELECT toInt64(max(batch)) FROM node_ledger WHERE hour >= toStartOfHour(now() - 3600) AND node = %d AND spool = '%s'",
		r.node, r.spool))
	if err != nil {
		return
	}
	r.judge(others, newest, now)
}

// judge takes what a look has found: clicks that others accepted, and the newest batch told of in our own name.
func (r *rivals) judge(others, newest int64, now time.Time) {
	if r.looked && others > r.others {
		r.rises = append(r.rises, now)
	}
	r.looked, r.others = true, others
	for len(r.rises) > 0 && now.Sub(r.rises[0]) > rivalMemory {
		r.rises = r.rises[1:]
	}
	namesake, copied := len(r.rises) >= rivalRises, newest > int64(r.sent)
	r.conflict.Store(namesake || copied)
	if !namesake && !copied || now.Sub(r.told) < rivalMemory {
		return
	}
	r.told = now
	if namesake {
		r.log.Error("another process accepts clicks under this node's number: their click ids collide; give each node a number of its own",
			"node", r.node, "spool", r.spool)
	}
	if copied {
		r.log.Error("another process delivers from a copy of this spool: clicks are stored twice; stop one of the two",
			"node", r.node, "spool", r.spool, "its_batch", newest, "our_batch", r.sent)
	}
}

// errCopyDelivered is a spool of which a copy was delivered: what it holds may be stored already.
var errCopyDelivered = errors.New("a copy of this spool was delivered")

// heldIn is the table that says what ClickHouse holds of each batch of a kind.
func heldIn(kind string) string {
	if kind == clicksDir {
		return "clicks_by_batch"
	}
	return "conversions"
}

// batchesAhead is how many batch numbers beyond the last are looked for: more than one flight's.
const batchesAhead = 64

// sole asks ClickHouse once whether a copy of the spool was delivered. The sender calls it, or another before Start.
func (f *Flusher) sole(ctx context.Context) error {
	if f.alone || f.journal == nil {
		return nil
	}
	err := soleDelivery(ctx, f.writer, f.held, f.namer.spool, f.journal.last())
	f.alone = err == nil
	return err
}

// soleDelivery fails with errCopyDelivered when ClickHouse holds a batch of the spool that the spool itself has not sent: the state
// of a spool is on the disk before the first byte of a batch leaves. held is the table that knows batches. What Rescue delivers from
// a copy has an identity of its own; that it did, the ledger says.
func soleDelivery(ctx context.Context, w *writer, held, spool string, last uint64) error {
	names := make([]string, batchesAhead)
	for i := range names {
		names[i] = fmt.Sprintf("'%s-%d'", spool, last+1+uint64(i))
	}
	number, err := w.number(ctx, fmt.Sprintf("SELECT toInt64(max(toUInt64OrZero(substring(batch_id, %d)))) FROM %s WHERE batch_id IN (%s)",
		len(spool)+2, held, strings.Join(names, ", ")))
	if err != nil {
		return fmt.Errorf("look for batches of a copy of the spool: %w", err)
	}
	if number > 0 {
		return fmt.Errorf("%w: ClickHouse holds batch %s-%d and this spool has sent up to %d; "+
			"nothing is sent lest records are stored twice; once nobody else sends from it, carom spool replay --by-id delivers what is missing",
			errCopyDelivered, spool, number, last)
	}
	settled, err := w.number(ctx, fmt.Sprintf("SELECT toInt64(count()) FROM node_ledger WHERE spool = '%s' AND batch = %d", spool, int64(settledBatch)))
	if err != nil {
		return fmt.Errorf("look for a rescue of a copy of the spool: %w", err)
	}
	if settled > 0 {
		return fmt.Errorf("%w: what a copy of spool %s held was looked up, and what was missing is delivered by carom spool replay --by-id; "+
			"nothing is sent lest records are stored twice; once that is done, carom spool replay --by-id delivers what is missing of this one",
			errCopyDelivered, spool)
	}
	return nil
}
