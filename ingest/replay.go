package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/geo"
)

// A ReplayProgress is how far a replay has come.
type ReplayProgress struct {
	Delivered uint64 // records that ClickHouse has acknowledged or that turned out to be damaged
	Left      uint64
}

// progressEvery is how often a replay tells how far it is.
const progressEvery = 200 * time.Millisecond

// Replay delivers what the spool c.Spool holds, as its node would have: under the same tokens, so that what the node had sent
// already is not stored again. It returns when ClickHouse has acknowledged everything, or when ctx ends; then the rest stays, and the
// next replay, or the node, goes on. adopt makes a copied spool the original. A spool in use, a copy that is not adopted, one of
// which a copy was delivered, one without a usable state and one that a Rescue has begun with are refused with ErrSpool and left as they are.
func Replay(ctx context.Context, c Config, adopt bool, places *geo.DB, progress func(ReplayProgress), log *slog.Logger) (err error) {
	report, err := Inspect(c.Spool, nil)
	if err != nil {
		return err
	}
	if err := report.replayable(adopt); err != nil {
		return err
	}
	if report.Copied {
		if err := adoptSpool(c.Spool); err != nil {
			return err
		}
	}
	c.Node = report.Node
	c.Ring.Lanes, c.Ring.SegmentBytes, c.SpoolBytes = 1, replaySegment, 3*replaySegment
	c.ConversionRing.SegmentBytes, c.ConversionRing.BudgetBytes = replaySegment, 3*replaySegment
	in := &Ingest{}
	clicks, conversions, err := in.openSpool(c, log)
	if err != nil {
		return fmt.Errorf("open the spool: %w; it must be in a directory that can be written, with room for a batch: "+
			"it keeps there what it is about to send. Otherwise copy it to one and replay the copy with --adopt-copy", err)
	}
	if err := in.wire(c, clicks, conversions, places, prometheus.NewRegistry(), log); err != nil {
		return errors.Join(err, in.release())
	}
	if err := in.sole(ctx); err != nil {
		return errors.Join(err, in.release())
	}
	in.Start()
	return in.replay(ctx, progress)
}

// replaySegment is the size of the segments of a spool that gets no records: the least that a ring takes.
const replaySegment = 64 << 10

// replayable says why a spool cannot be replayed.
func (r *SpoolReport) replayable(adopt bool) error {
	if err := r.free(adopt); err != nil {
		return err
	}
	switch {
	case r.Rescued():
		return fmt.Errorf("%w: what %s held was delivered by id: it may be removed", ErrSpool, r.Dir)
	case r.Rescue != nil:
		return fmt.Errorf("%w: %s is being delivered by id, %d records are left: finish that with --by-id", ErrSpool, r.Dir, r.Rescue.Waiting())
	}
	for _, k := range r.Kinds {
		if k.State != "" {
			return fmt.Errorf("%w: %s: without it nobody knows which records are stored; %s", ErrSpool, k.State, byIDAdvice)
		}
	}
	return nil
}

// byIDAdvice is the way out where a spool does not know what it has sent.
const byIDAdvice = "put it back from a copy of the directory, or say --by-id to look every record up in ClickHouse"

// free says why nobody may deliver what the spool holds.
func (r *SpoolReport) free(adopt bool) error {
	switch {
	case r.Use == SpoolInUse:
		return fmt.Errorf("%w: %s is in use by %s, which delivers it; stop that first if it does not", ErrSpool, r.Dir, r.Process)
	case r.Copied && !adopt:
		return fmt.Errorf("%w: %s was made by copying; if the original is gone for good, or will never be run or replayed again, "+
			"say --adopt-copy", ErrSpool, r.Dir)
	}
	return nil
}

// adoptSpool makes a copy the original.
func adoptSpool(dir string) error {
	s, err := lockSpool(dir)
	if err != nil {
		return err
	}
	return errors.Join(s.adopt(), s.lock.Close())
}

// sole asks ClickHouse whether somebody else has delivered from this spool.
func (in *Ingest) sole(ctx context.Context) error {
	for _, f := range []*Flusher{in.clickFlusher, in.conversionFlusher} {
		err := f.sole(ctx)
		if errors.Is(err, errCopyDelivered) {
			return fmt.Errorf("%w: %w", ErrSpool, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replay waits until everything is delivered.
func (in *Ingest) replay(ctx context.Context, progress func(ReplayProgress)) error {
	told := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				progress(in.progress())
				return
			case <-tick.C:
				progress(in.progress())
			}
		}
	}()
	err := in.Stop(ctx)
	close(done)
	<-told
	if left := in.progress().Left; err == nil && left > 0 {
		err = fmt.Errorf("%d records are not delivered and stay in the spool; replay it again: %w", left, context.Cause(ctx))
	}
	return err
}

// progress reads what the flushers have counted.
func (in *Ingest) progress() (p ReplayProgress) {
	for _, f := range []*Flusher{in.clickFlusher, in.conversionFlusher} {
		p.Left += f.metrics.waiting.Load()
		p.Delivered += f.metrics.accepted.Load() - f.metrics.waiting.Load()
	}
	return p
}
