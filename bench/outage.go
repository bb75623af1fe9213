package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"carom/deploy/engine"
)

const partOutage = "outage"

// The phases of an outage, in their order.
const (
	phaseWarmUp   = "warm-up"
	phaseBefore   = "before"
	phaseAway     = "ClickHouse gone"
	phaseStarting = "it starts"
	phaseBack     = "catching up"
)

const (
	warmUp     = 3 * time.Second
	beforeMost = 30 * time.Second // more of it makes no better median
	// catchUpSlack is what catching up may take besides twice the outage before it counts as failed.
	catchUpSlack = time.Minute
	// spooledBytes is a little more than a click takes in the spool: with the requests of agents.go it is 465.
	spooledBytes = 512
	// queuedSlices is how far the sampler may lag behind the load before that waits for it: it does while the engine is killed.
	queuedSlices = 60
)

// An outage is a node with a spool under one open loop, from before ClickHouse is killed until it has every click.
type outage struct {
	*bench

	began  time.Time
	slices chan latencies // of one second each; closed when the load has ended
	enough chan struct{}  // closed: no further second
	failed error          // how the load ended; read after slices is closed
	result *outageResult
}

// outage kills ClickHouse under load, brings it back later and looks at the node meanwhile.
func (b *bench) outage(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	budget := spooledBytes * b.options.Rate * int((b.options.Outage + catchUpSlack).Seconds())
	if err := checkDisk(b.dir, budget); err != nil {
		return err
	}
	if b.spooled, err = b.startNode(ctx, spoolNode, budget, filepath.Join(b.dir, "spool")); err != nil {
		return err
	}
	o := &outage{bench: b, began: time.Now(), slices: make(chan latencies, queuedSlices), enough: make(chan struct{}), result: &outageResult{}}
	b.result.Outage = o.result
	go o.load(ctx)
	err = o.phases(ctx)
	close(o.enough)
	if err != nil {
		return fmt.Errorf("%w: %s", err, b.spooled.said)
	}
	for seen := range o.slices {
		b.clicks += seen.Answered
	}
	if o.failed != nil {
		return o.failed
	}
	if _, err := b.spooled.drain(ctx); err != nil {
		return err
	}
	o.result.summarize()
	return b.verify(ctx)
}

// checkDisk refuses a run that the disk cannot hold. What ClickHouse stores takes less than the spool gives back for it.
func checkDisk(dir string, spool int) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("look how much room %s has: %w", dir, err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < uint64(spool) {
		return fmt.Errorf("%s has %s of disk left, and the spool may need %s: set TMPDIR to a larger disk, or shorten --outage",
			dir, mega(free), mega(uint64(spool)))
	}
	return nil
}

// load drives the node until it is enough. It sleeps between requests: awake it would take two thirds of the CPU on which ClickHouse
// has to catch up.
func (o *outage) load(ctx context.Context) {
	defer close(o.slices)
	o.failed = runSlices(ctx, o.spooled.addr, o.streams[0], o.options.Conns, slicing{
		rate: o.options.Rate, requests: o.options.Rate,
		more: func(int) bool {
			select {
			case <-o.enough:
				return false
			default:
				return true
			}
		},
		done: func(_ int, seen latencies) {
			select {
			case o.slices <- seen:
			case <-ctx.Done():
			}
		},
	})
}

// phases go from before the outage until no more clicks wait than then.
func (o *outage) phases(ctx context.Context) error {
	if err := o.yieldEngine(); err != nil {
		return err
	}
	if err := o.during(ctx, phaseWarmUp, lasting(warmUp)); err != nil {
		return err
	}
	if err := o.during(ctx, phaseBefore, lasting(min(o.options.Outage, beforeMost))); err != nil {
		return err
	}
	if err := o.killEngine(ctx); err != nil {
		return err
	}
	if err := o.during(ctx, phaseAway, lasting(o.options.Outage)); err != nil {
		return err
	}
	if err := o.bringBack(ctx); err != nil {
		return err
	}
	usual := o.result.mostWaiting(phaseBefore)
	limit := 2*o.options.Outage + catchUpSlack
	return o.during(ctx, phaseBack, func(s outageSecond, took time.Duration) (bool, error) {
		if took > limit {
			return false, fmt.Errorf("ClickHouse has been back for %s, and %d clicks still wait", took.Round(time.Second), s.Waiting)
		}
		return s.Waiting <= usual, nil
	})
}

// lasting ends a phase after a time, to the second.
func lasting(d time.Duration) func(outageSecond, time.Duration) (bool, error) {
	return func(_ outageSecond, took time.Duration) (bool, error) { return took.Round(time.Second) >= d, nil }
}

// during samples the node once a second, and at least once, until the phase is over.
func (o *outage) during(ctx context.Context, phase string, over func(outageSecond, time.Duration) (bool, error)) error {
	defer fmt.Fprintln(os.Stderr)
	w, err := o.watch()
	if err != nil {
		return err
	}
	for began := time.Now(); ; {
		s, err := o.second(ctx, phase)
		if err != nil {
			return fmt.Errorf("%s: %w", phase, err)
		}
		o.result.Seconds = append(o.result.Seconds, s)
		took := time.Since(began)
		fmt.Fprintf(os.Stderr, "\r%-15s %5.0f s: p99 %6.0f µs, %s without files, %9d clicks wait in %s  ",
			phase, took.Seconds(), s.P99, mega(s.Anon), s.Waiting, mega(s.SpoolBytes))
		ended, err := over(s, took)
		if err != nil {
			return err
		}
		if ended {
			others, err := o.others(w)
			o.result.Phases = append(o.result.Phases, outagePhase{Name: phase, Others: others})
			return err
		}
	}
}

// second waits for a second of the load and looks at the node.
func (o *outage) second(ctx context.Context, phase string) (s outageSecond, err error) {
	seen, running := <-o.slices
	if !running {
		return s, o.failed
	}
	o.clicks += seen.Answered
	m, err := o.spooled.metrics(ctx)
	if err != nil {
		return s, err
	}
	memory, err := memoryOf(o.spooled.cmd.Process.Pid)
	return outageSecond{
		Phase: phase, At: time.Since(o.began).Seconds(), latencies: seen, Anon: memory.anon, Resident: memory.now,
		Accepted: uint64(m["carom_clicks_accepted_total"]), Stored: uint64(m["carom_clicks_stored_total"]),
		Waiting: uint64(m["carom_clicks_waiting"]), SpoolBytes: uint64(m["carom_spool_bytes"]),
	}, err
}

// killEngine ends ClickHouse in the middle of whatever it does. An engine that is gone is the harder case than one that is stopped:
// what it was sent last may be stored or not, and every attempt to reach it fails at once.
func (o *outage) killEngine(ctx context.Context) error {
	o.config.NativePort, o.config.HTTPPort = o.engine.Ports() // where it comes back
	err := errors.Join(syscall.Kill(o.engine.Pid(), syscall.SIGKILL), o.engine.Stop(ctx), o.conn.Close())
	o.engine, o.conn = nil, nil
	return err
}

// bringBack starts ClickHouse again while the load goes on.
func (o *outage) bringBack(ctx context.Context) error {
	type start struct {
		engine *engine.Engine
		err    error
	}
	started := make(chan start, 1)
	go func() {
		e, err := engine.Start(ctx, o.config)
		started <- start{e, err}
	}()
	err := o.during(ctx, phaseStarting, func(outageSecond, time.Duration) (bool, error) {
		select {
		case s := <-started:
			o.engine = s.engine
			return true, s.err
		default:
			return false, nil
		}
	})
	if err != nil {
		return err
	}
	return errors.Join(o.connect(), o.yieldEngine())
}

// yieldEngine lets ClickHouse have what the generator leaves of their CPU, which would otherwise measure its own waiting for it.
func (o *outage) yieldEngine() error {
	err := eachThread(o.engine.Pid(), func(tid int) error {
		return unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
	})
	if err != nil {
		return fmt.Errorf("let ClickHouse run when the generator does not: %w", err)
	}
	return nil
}
