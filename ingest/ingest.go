package ingest

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"carom/geo"
	"carom/ingest/ring"
)

// Ingest takes clicks and conversions from redirects and brings them to ClickHouse. Each kind has a ring of its own, so that a
// flood of clicks cannot crowd out a sale.
type Ingest struct {
	clicks, conversions *ring.Ring
	clickFlusher        *Flusher
	conversionFlusher   *Flusher
}

// New wires rings and flushers. places locates addresses; metrics are exported through reg.
func New(c Config, places *geo.DB, reg prometheus.Registerer, log *slog.Logger) (*Ingest, error) {
	agents, err := NewAgents(agentCache)
	if err != nil {
		return nil, err
	}
	in := &Ingest{}
	if in.clicks, err = ring.New(c.Ring); err != nil {
		return nil, err
	}
	if in.conversions, err = ring.New(c.ConversionRing); err != nil {
		return nil, err
	}
	metrics := newFlushMetrics()
	metrics.register(reg)
	clicks := newClickTable(c, places, agents, metrics)
	if in.clickFlusher, err = newFlusher(c, in.clicks, clicks, metrics, log); err != nil {
		return nil, err
	}
	if in.clickFlusher.ledger, err = newLedger(c, in.clickFlusher.namer.spool, log); err != nil {
		return nil, err
	}
	in.conversionFlusher, err = newFlusher(c, in.conversions, conversionTable{c.Node}, newFlushMetrics(), log)
	return in, err
}

// agentCache is how many distinct user agents are remembered.
const agentCache = 1 << 14

// PutClick records a click and never waits; lane spreads callers, a connection's number will do. It reports false
// when the click was dropped, which is counted.
func (in *Ingest) PutClick(lane uint64, c *Click) bool { return c.Put(in.clicks, lane) }

// PutConversion records a conversion. It reports false when there was no room: the sender should try again.
func (in *Ingest) PutConversion(c *Conversion) bool { return c.Put(in.conversions, 0) }

// Start begins to deliver.
func (in *Ingest) Start() {
	in.clickFlusher.Start()
	in.conversionFlusher.Start()
}

// Stop delivers what is waiting, or gives up when ctx ends and says what was lost.
func (in *Ingest) Stop(ctx context.Context) error {
	return errors.Join(in.conversionFlusher.Stop(ctx), in.clickFlusher.Stop(ctx))
}
