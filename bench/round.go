package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Names of what is measured, as people read them.
const (
	targetBare  = "bare fasthttp"
	targetNginx = "nginx, map and log"
	targetAlone = "Carom, edge alone"        // ClickHouse paused while clicks pile up in the buffer
	targetSpool = "Carom, edge alone, spool" // the same on the disk
	targetWhole = "Carom, whole"             // ClickHouse attached and storing

	streamHot    = "hot"
	streamRandom = "random"

	writerCarom  = "Carom's writer"
	writerSpool  = "Carom's writer, spool"
	writerMade   = "ceiling, rows made from numbers()"
	writerCopied = "ceiling, Carom's rows copied"
)

// In the order of the report.
var (
	closedNames = [...]string{targetBare, targetNginx, targetAlone, targetSpool, targetWhole}
	openNames   = [...]string{targetBare, targetAlone, targetSpool}
	streamNames = [...]string{streamHot, streamRandom}
	writerNames = [...]string{writerCarom, writerSpool, writerMade, writerCopied}
)

// round measures everything once.
func (b *bench) round(ctx context.Context, round int) error {
	for _, s := range b.streams {
		fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", round+1, b.options.Rounds, s.name)
		at := place{Round: round, Stream: s.name}
		if err := b.sideBySide(ctx, at, s); err != nil {
			return err
		}
		if err := b.whole(ctx, at, s); err != nil {
			return err
		}
	}
	return nil
}

// sideBySide lets the servers take turns, in as many phases as that takes. After each one the nodes bring to ClickHouse what
// has piled up. The first one has clicks enough for every writer, so there the ceilings follow.
func (b *bench) sideBySide(ctx context.Context, at place, s *stream) error {
	turns := b.turns(ctx, at, s)
	for at.Turn = 0; len(turns) > 0; at.Turn++ {
		var err error
		if turns, err = b.phase(ctx, s, b.nodes(), turns); err != nil {
			return err
		}
		if err := b.writers(ctx, at); err != nil {
			return err
		}
		if at.Turn > 0 || !b.options.wants("ceiling") {
			continue
		}
		if err := b.ceilings(ctx, at, s); err != nil {
			return err
		}
	}
	return nil
}

// writers measures how each node brings its clicks to ClickHouse.
func (b *bench) writers(ctx context.Context, at place) error {
	for _, w := range []struct {
		name string
		n    *caromNode
	}{{writerCarom, b.carom}, {writerSpool, b.spooled}} {
		at.Name = w.name
		err := w.n.during(func() error {
			err := b.profiled(ctx, at, "flusher", w.n.process, b.options.duration(), func() error {
				return b.flush(at, func() (flush, error) { return w.n.drain(ctx) })
			})
			if err != nil {
				return err
			}
			return w.n.collect(ctx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ceilings measures what ClickHouse can take, right after Carom's writers.
func (b *bench) ceilings(ctx context.Context, at place, s *stream) error {
	at.Name = writerMade
	if err := b.flush(at, func() (flush, error) { return b.ceiling.measureMade(ctx, s.links) }); err != nil {
		return err
	}
	at.Name = writerCopied
	return b.flush(at, func() (flush, error) { return b.ceiling.measureCopied(ctx) })
}

// whole measures Carom with ClickHouse storing its clicks, which shares a CPU with the generator.
func (b *bench) whole(ctx context.Context, at place, s *stream) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	if err := b.carom.wake(ctx); err != nil {
		return err
	}
	defer b.carom.pause()
	at.Name = targetWhole
	return b.closedLoop(ctx, at, s, b.carom.process, b.options.duration())
}

// load runs wrk on a server and counts the clicks that it makes.
func (b *bench) load(ctx context.Context, s *stream, p *process, d time.Duration) (load, error) {
	l, err := b.wrk.run(ctx, p.addr, s, d)
	if b.counts(p) {
		b.clicks += l.requests
	}
	return l, err
}

// counts reports whether what p answers becomes clicks.
func (b *bench) counts(p *process) bool {
	return slices.ContainsFunc(b.nodes(), func(n *caromNode) bool { return n.process == p })
}

// closedLoop measures a server under wrk. Of the whole, CPU time counts until the last click is stored.
func (b *bench) closedLoop(ctx context.Context, at place, s *stream, p *process, d time.Duration) error {
	before, err := usageOf(p.pids())
	if err != nil {
		return err
	}
	w, err := b.watch()
	if err != nil {
		return err
	}
	l, err := b.load(ctx, s, p, d)
	if err != nil {
		return err
	}
	if at.Others, err = b.others(w); err != nil {
		return err
	}
	loaded, err := usageOf(p.pids())
	if err != nil {
		return err
	}
	total := loaded
	if at.Name == targetWhole {
		if _, err := b.carom.drain(ctx); err != nil {
			return err
		}
		if total, err = usageOf(p.pids()); err != nil {
			return err
		}
	}
	b.result.Loads = append(b.result.Loads, loadSample{
		place: at, Requests: l.requests, Seconds: l.took.Seconds(),
		CPU: total.minus(before), Busy: loaded.minus(before).total() / l.took.Seconds(),
	})
	return nil
}

// openLoop measures a server's latency at a fixed rate.
func (b *bench) openLoop(ctx context.Context, at place, s *stream, p *process, d time.Duration) error {
	w, err := b.watch()
	if err != nil {
		return err
	}
	l, err := runOpen(ctx, p.addr, s, b.options.Conns, b.options.Rate, d)
	if err != nil {
		return err
	}
	if b.counts(p) {
		b.clicks += l.Answered
	}
	at.Others, err = b.others(w)
	b.result.Latencies = append(b.result.Latencies, latencySample{at, l})
	return err
}

// flush measures rows on their way into clicks. Too few of them give no figure.
func (b *bench) flush(at place, measure func() (flush, error)) error {
	w, err := b.watch()
	if err != nil {
		return err
	}
	f, err := measure()
	if err != nil || f.Rows == 0 {
		return err
	}
	at.Others, err = b.others(w)
	b.result.Flushes = append(b.result.Flushes, flushSample{at, f})
	return err
}

// profiled runs do and saves a CPU profile of the server meanwhile, where one was asked for.
func (b *bench) profiled(ctx context.Context, at place, what string, p *process, d time.Duration, do func() error) error {
	if b.options.Profile == "" || at.Round > 0 || p.admin == "" {
		return do()
	}
	path := filepath.Join(b.options.Profile, fmt.Sprintf("%s-%s-%s-%d.pprof", at.Stream, p.name, what, at.Turn+1))
	saved := make(chan error, 1)
	go func() { saved <- saveProfile(ctx, p.admin, path, d) }()
	return errors.Join(do(), <-saved)
}
