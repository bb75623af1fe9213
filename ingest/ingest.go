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
	spool               *spool // nil in memory
	highWater           int64
}

// New wires rings and flushers, opening the spool where c names one. places locates addresses; metrics are exported through
// reg. A spool that an operator must decide about fails with ErrSpool; one that cannot be written is replaced by
// memory, which carom_spool_degraded and a log line tell.
func New(c Config, places *geo.DB, reg prometheus.Registerer, log *slog.Logger) (*Ingest, error) {
	in := &Ingest{}
	clicks, conversions, err := in.open(c, log)
	if err != nil {
		return nil, err
	}
	return in, in.wire(c, clicks, conversions, places, reg, log)
}

// wire puts flushers behind the two sources.
func (in *Ingest) wire(c Config, clicks, conversions source, places *geo.DB, reg prometheus.Registerer, log *slog.Logger) error {
	in.clicks, in.conversions = clicks.ring, conversions.ring
	agents, err := NewAgents(agentCache)
	if err != nil {
		return err
	}
	metrics := newFlushMetrics(clicksDir)
	metrics.register(reg)
	metrics.registerClicks(reg)
	metrics.registerBudget(reg, c.budget(in.spool != nil))
	metrics.degraded.Store(c.Spool != "" && in.spool == nil)
	if in.clickFlusher, err = newFlusher(c, clicks, newClickTable(c, places, agents, metrics), metrics, log); err != nil {
		return err
	}
	in.clickFlusher.held = heldIn(clicksDir)
	if in.clickFlusher.ledger, err = newLedger(c, clicks.id, clicks.account(), clicks.last(), log); err != nil {
		return err
	}
	in.clickFlusher.ledger.rivals.register(reg)
	conversionMetrics := newFlushMetrics(conversionsDir)
	conversionMetrics.register(reg)
	conversionMetrics.registerBudget(reg, c.ConversionRing.BudgetBytes)
	if in.conversionFlusher, err = newFlusher(c, conversions, conversionTable{c.Node}, conversionMetrics, log); err != nil {
		return err
	}
	in.conversionFlusher.held = heldIn(conversionsDir)
	return nil
}

// budget is how many bytes of clicks may wait, in a spool or in memory.
func (c Config) budget(spooled bool) int {
	if spooled {
		return c.SpoolBytes
	}
	return c.Ring.BudgetBytes
}

// A source is where a flusher's records come from.
type source struct {
	id      string // names its batches
	ring    *ring.Ring
	journal *journal // nil in memory
}

// account is what an earlier process of the spool knew.
func (s source) account() account {
	if s.journal == nil {
		return account{}
	}
	return s.journal.state.Account
}

// last is the highest batch that an earlier process may have sent.
func (s source) last() uint64 {
	if s.journal == nil {
		return 0
	}
	return s.journal.last()
}

// open opens the spool, or memory where there is none.
func (in *Ingest) open(c Config, log *slog.Logger) (clicks, conversions source, err error) {
	if c.Spool != "" {
		clicks, conversions, err = in.openSpool(c, log)
		if err == nil || errors.Is(err, ErrSpool) || errors.Is(err, ring.ErrConfig) {
			return clicks, conversions, err
		}
		log.Error("the spool cannot be used: clicks are kept in memory and a kill loses what ClickHouse has not taken",
			"directory", c.Spool, "error", err)
		in.spool, in.highWater = nil, 0
	}
	clicks.id, conversions.id = newSpoolID(), newSpoolID()
	if clicks.ring, err = ring.New(c.Ring); err == nil {
		conversions.ring, err = ring.New(c.ConversionRing)
	}
	return clicks, conversions, err
}

func (in *Ingest) openSpool(c Config, log *slog.Logger) (clicks, conversions source, err error) {
	s, err := openSpool(c.Spool, c.Node)
	if err != nil {
		return clicks, conversions, err
	}
	clickRing := c.Ring
	clickRing.BudgetBytes, clickRing.KeepFree = c.spoolBudget(), c.stateBytes()
	if clickRing.BudgetBytes < c.SpoolBytes {
		log.Warn("the spool takes less than its budget, which would be more files than a process can map: take larger segments",
			"budget", c.SpoolBytes, "takes", clickRing.BudgetBytes, "segment", c.Ring.SegmentBytes)
	}
	c.ConversionRing.KeepFree = c.stateBytes()
	if clicks, err = in.source(s, clickRing, clicksDir, clickMillis, log); err != nil {
		return clicks, conversions, errors.Join(err, s.close())
	}
	if conversions, err = in.source(s, c.ConversionRing, conversionsDir, conversionMillis, log); err != nil {
		return clicks, conversions, errors.Join(err, clicks.ring.Close(), s.close())
	}
	warnOfRoom(c.Spool, clickRing.BudgetBytes, clicks.ring.Stats().Bytes, log)
	in.spool = s
	return clicks, conversions, nil
}

// mostSegments of a spool leave half of the mappings that Linux gives a process (vm.max_map_count, 65530) to everything else: one too
// many, and the Go runtime crashes, at each start again.
const mostSegments = 1 << 15

// spoolBudget is how many bytes of clicks the spool takes.
func (c Config) spoolBudget() int { return min(c.SpoolBytes, mostSegments*c.Ring.SegmentBytes) }

// stateBytes is what the disk must have room for besides segments, or what they hold could not be sent: the state of the batch under
// way and that of the one before. A batch as it is sent is smaller than its records, of which longRecord is a long one.
func (c Config) stateBytes() int {
	const longRecord = 1 << 10
	return 2 * min(c.BatchBytes, c.BatchRows*longRecord)
}

// source opens one kind's part of the spool.
func (in *Ingest) source(
	s *spool, c ring.Config, dir string, millis func([]byte) (int64, error), log *slog.Logger,
) (source, error) {
	newest := int64(0)
	r, j, found, err := s.ring(c, dir, func(record []byte) {
		if at, err := millis(record); err == nil {
			newest = max(newest, at)
		}
	})
	if err != nil {
		return source{}, err
	}
	if dir == clicksDir {
		in.highWater = max(newest, j.state.HighWater)
	}
	if found.Counters > 0 {
		log.Warn("counts of refused records in the spool were damaged and begin again", "kind", dir, "lanes", found.Counters)
	}
	if found.Segments > 0 || len(j.state.Parts) > 0 {
		log.Info("the spool goes on from where it was left", "kind", dir, "records", found.Records, "lost", found.Lost,
			"damaged_files", found.Damaged, "cut_files", found.Cut, "batches", len(j.state.Parts))
	}
	return source{s.id, r, j}, nil
}

// agentCache is how many distinct user agents are remembered.
const agentCache = 1 << 14

// HighWater is the newest moment of any click in the spool when it was opened, or ever sent from it, in Unix milliseconds; 0
// for a new one. Click ids must not go below it, or they would repeat after the clock was set back.
func (in *Ingest) HighWater() int64 { return in.highWater }

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

// Stop delivers what is waiting. When ctx ends first, what is left stays in the spool, or, in memory, is lost and the error
// says how much.
func (in *Ingest) Stop(ctx context.Context) error {
	return errors.Join(in.conversionFlusher.Stop(ctx), in.clickFlusher.Stop(ctx), in.release())
}

// release gives rings and spool back.
func (in *Ingest) release() error {
	err := errors.Join(in.clicks.Close(), in.conversions.Close())
	if in.spool != nil {
		err = errors.Join(err, in.spool.close())
	}
	return err
}
