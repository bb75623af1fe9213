// Package rollup keeps the rollups in step with the raw tables.
//
// ClickHouse writes an insert into the raw table first and then, one after the other, into the rollups of its views. A
// server that dies in between leaves a batch in raw and out of some rollups, or twice in some when it has to be sent again
// under another deduplication token; and a token may be forgotten before anybody could ask for it again. So every rollup has
// a column `batches`: the block that carries a batch into the rollup carries, in the same part, a mark of the batch. An
// edge reports each batch that was ever in doubt in doubtful_batches, once it is in raw. The [Keeper] then counts the
// marks: where a rollup holds the batch not exactly once, what is missing or too much is made from raw by the view's own
// query and added.
//
// Rebuilding a whole partition beside the inserts of others was tried and left out: whatever they store between the reading of
// raw and REPLACE PARTITION is lost or counted twice, and what an edge sends again afterwards counts once more.
package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
)

// Config says what a Keeper works with.
type Config struct {
	Conn       driver.Conn           // database carom as carom_admin; the caller closes it
	Registerer prometheus.Registerer // for the keeper's metrics
	Log        *slog.Logger

	Every time.Duration // between two looks for reports

	// Settle is how old a report must be: whatever a server that was frozen still finds in its sockets, it has begun by then.
	Settle time.Duration
}

// Default is the configuration without connection and registerer.
func Default() Config {
	return Config{Log: slog.Default(), Every: 10 * time.Second, Settle: 30 * time.Second}
}

// A Keeper looks after the batches that are reported. Any number may run on one database: they do not disturb each other.
type Keeper struct {
	config  Config
	checked prometheus.Counter
	mended  prometheus.Counter

	stop    context.CancelFunc // nil before Start
	stopped chan struct{}
}

// New returns a Keeper that does nothing until Start.
func New(c Config) *Keeper {
	k := &Keeper{
		config: c,
		checked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_rollup_batches_checked_total", Help: "Batches once in doubt that were compared with every rollup.",
		}),
		mended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_rollup_mends_total", Help: "Rollups that held a batch not exactly once and were put right from raw.",
		}),
	}
	c.Registerer.MustRegister(k.checked, k.mended)
	return k
}

// Start begins to look for reports, until Stop.
func (k *Keeper) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	k.stop, k.stopped = cancel, make(chan struct{})
	go func() {
		defer close(k.stopped)
		tick := time.NewTicker(k.config.Every)
		defer tick.Stop()
		for {
			if _, err := k.Check(ctx); err != nil && ctx.Err() == nil {
				k.config.Log.Warn("batches once in doubt are not compared with the rollups; it is tried again", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// Stop ends what Start began. A mend that is cut off is done again by the next Keeper.
func (k *Keeper) Stop() {
	if k.stop == nil {
		return
	}
	k.stop()
	<-k.stopped
}

// Check looks at every batch whose report has settled, puts right the rollups that hold it not exactly once and returns how
// many batches it is done with. Those it fails at, which the error tells, stay reported.
func (k *Keeper) Check(ctx context.Context) (int, error) {
	batches, err := k.reported(ctx)
	if err != nil {
		return 0, err
	}
	done := 0
	var failed error
	for _, b := range batches {
		if err := k.check(ctx, b); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		done++
	}
	return done, failed
}

// check puts one batch right and notes that it is.
func (k *Keeper) check(ctx context.Context, b batch) error {
	targets, err := k.targets(ctx, b.Source)
	if err != nil {
		return err
	}
	mended := []string{}
	for _, t := range targets {
		was, err := k.mend(ctx, t, b)
		if err != nil {
			return fmt.Errorf("batch %s of %s in rollup %s: %w", b.Name, b.Source, t.rollup, err)
		}
		if was != 1 {
			k.mended.Inc()
			mended = append(mended, t.rollup)
			k.config.Log.Warn("a rollup was out of step with raw and is put right",
				"rollup", t.rollup, "batch", b.Name, "week", b.Week.Format(time.DateOnly), "times_held", was)
		}
	}
	k.checked.Inc()
	return k.done(ctx, b, mended)
}
