package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"carom/ingest"
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

// In the order of measuring and of the report.
var (
	targetNames = [...]string{targetBare, targetNginx, targetAlone, targetSpool, targetWhole}
	streamNames = [...]string{streamHot, streamRandom}
	writerNames = [...]string{writerCarom, writerSpool, writerMade, writerCopied}
)

// memory is what a fresh node with the default buffer needs: with its links only, then at the open loop's rate, then with
// all that the closed loop asks for. The last two are peaks.
func (b *bench) memory(ctx context.Context) error {
	node, err := b.startNode(ctx, memoryNode, ingest.Default().Ring.BudgetBytes, "")
	if err != nil {
		return err
	}
	defer node.stop()
	s, m := b.streams[len(b.streams)-1], &b.result.Memory
	pid := node.cmd.Process.Pid
	if m.Loaded, _, err = memoryOf(pid); err != nil {
		return err
	}
	atRate, err := runOpen(ctx, node.addr, s, b.options.Conns, b.options.Rate, b.options.duration())
	if err != nil {
		return err
	}
	if _, m.AtRate, err = memoryOf(pid); err != nil {
		return err
	}
	flood, err := b.wrk.run(ctx, node.addr, s, b.options.duration())
	if err != nil {
		return err
	}
	b.clicks += atRate.Answered + flood.requests
	if _, m.Flooded, err = memoryOf(pid); err != nil {
		return err
	}
	_, err = node.drain(ctx) // stopped in the middle of an insert it could take the engine along
	return err
}

// touchBuffers lets as many clicks pile up as a round will. In service a buffer's memory is used again and again; here most
// of it would be new to the process each time, and the kernel's zeroing of it would cost a request more than Carom does.
func (b *bench) touchBuffers(ctx context.Context) error {
	for _, n := range b.nodes() {
		if err := b.touchBuffer(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) touchBuffer(ctx context.Context, n *caromNode) error {
	if err := n.wake(ctx); err != nil {
		return err
	}
	defer n.pause()
	b.pauseEngine()
	defer b.resumeEngine()
	s := b.streams[len(b.streams)-1]
	if err := b.fillFlights(ctx, n, s); err != nil {
		return err
	}
	l, err := b.wrk.run(ctx, n.addr, s, 3*b.options.duration()/2)
	if err != nil {
		return err
	}
	b.clicks += l.requests
	b.resumeEngine()
	if _, err := n.drain(ctx); err != nil {
		return err
	}
	return n.collect(ctx)
}

// round measures everything once, one target after the other.
func (b *bench) round(ctx context.Context, round int) error {
	for _, s := range b.streams {
		fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", round+1, b.options.Rounds, s.name)
		if err := b.alone(ctx, round, s); err != nil {
			return err
		}
		if b.options.wants("ceiling") {
			if err := b.ceilings(ctx, round, s); err != nil {
				return err
			}
		}
		if err := b.whole(ctx, round, s); err != nil {
			return err
		}
	}
	return nil
}

// alone measures the servers with the engine paused.
func (b *bench) alone(ctx context.Context, round int, s *stream) error {
	for _, t := range []struct {
		name string
		p    *process
	}{{targetBare, b.bare}, {targetNginx, b.nginx}} {
		if err := b.quiet(ctx); err != nil {
			return err
		}
		t.p.resume()
		if err := b.aloneOn(ctx, round, s, t.name, t.p); err != nil {
			return err
		}
		t.p.pause()
	}
	for _, t := range []struct {
		target, writer string
		n              *caromNode
	}{{targetAlone, writerCarom, b.carom}, {targetSpool, writerSpool, b.spooled}} {
		if err := b.aloneNode(ctx, round, s, t.target, t.writer, t.n); err != nil {
			return err
		}
	}
	return nil
}

// aloneNode measures a node with the engine paused, and then how it brings to ClickHouse what has piled up.
func (b *bench) aloneNode(ctx context.Context, round int, s *stream, target, writer string, n *caromNode) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	if err := n.wake(ctx); err != nil {
		return err
	}
	defer n.pause()
	if err := b.aloneOn(ctx, round, s, target, n.process); err != nil {
		return err
	}
	err := b.profiled(ctx, round, s, "flusher", n.process, func() error {
		return b.flush(round, s, writer, func() (flush, error) { return n.drain(ctx) })
	})
	if err != nil {
		return err
	}
	return n.collect(ctx)
}

// aloneOn measures one server with the engine paused.
func (b *bench) aloneOn(ctx context.Context, round int, s *stream, target string, p *process) error {
	b.pauseEngine()
	defer b.resumeEngine()
	for _, n := range b.nodes() {
		if p != n.process {
			continue
		}
		if err := b.fillFlights(ctx, n, s); err != nil {
			return err
		}
	}
	return b.profiled(ctx, round, s, "handler", p, func() error { return b.drive(ctx, round, s, target, p) })
}

// fillFlights sends clicks until the flusher holds all batches it can: with the engine paused it then rests, and what Carom
// does is answering alone.
func (b *bench) fillFlights(ctx context.Context, n *caromNode, s *stream) error {
	const flights = 2
	for filled := 0; filled < (flights+1)*b.options.BatchRows; {
		l, err := b.wrk.run(ctx, n.addr, s, time.Second)
		if err != nil {
			return err
		}
		filled += int(l.requests)
		b.clicks += l.requests
	}
	return n.rest(ctx)
}

// whole measures Carom with ClickHouse storing its clicks, which shares a CPU with the generator.
func (b *bench) whole(ctx context.Context, round int, s *stream) error {
	if err := b.quiet(ctx); err != nil {
		return err
	}
	if err := b.carom.wake(ctx); err != nil {
		return err
	}
	defer b.carom.pause()
	if err := b.drive(ctx, round, s, targetWhole, b.carom.process); err != nil {
		return err
	}
	_, err := b.carom.drain(ctx)
	return err
}

// drive runs the closed loop on a target and then the open one.
func (b *bench) drive(ctx context.Context, round int, s *stream, target string, p *process) error {
	if err := b.closedLoop(ctx, round, s, target, p); err != nil {
		return fmt.Errorf("measure %s: %w: %s", target, err, p.said)
	}
	if !b.options.wants("latency") {
		return nil
	}
	w, err := b.watch()
	if err != nil {
		return err
	}
	l, err := b.openLoop(ctx, s, p)
	if err != nil {
		return err
	}
	others, err := b.others(w)
	b.result.Latencies = append(b.result.Latencies, latencySample{place{round, s.name, target, others}, l})
	return err
}

// counts reports whether what p answers becomes clicks.
func (b *bench) counts(p *process) bool {
	return slices.ContainsFunc(b.nodes(), func(n *caromNode) bool { return n.process == p })
}

func (b *bench) openLoop(ctx context.Context, s *stream, p *process) (latencies, error) {
	l, err := runOpen(ctx, p.addr, s, b.options.Conns, b.options.Rate, b.options.duration())
	if b.counts(p) {
		b.clicks += l.Answered
	}
	return l, err
}

// closedLoop runs wrk on a target. Of the whole, CPU time counts until the last click is stored.
func (b *bench) closedLoop(ctx context.Context, round int, s *stream, target string, p *process) error {
	before, err := usageOf(p.pids())
	if err != nil {
		return err
	}
	w, err := b.watch()
	if err != nil {
		return err
	}
	l, err := b.wrk.run(ctx, p.addr, s, b.options.duration())
	if err != nil {
		return err
	}
	others, err := b.others(w)
	if err != nil {
		return err
	}
	loaded, err := usageOf(p.pids())
	if err != nil {
		return err
	}
	total := loaded
	if b.counts(p) {
		b.clicks += l.requests
	}
	if target == targetWhole {
		if _, err := b.carom.drain(ctx); err != nil {
			return err
		}
		if total, err = usageOf(p.pids()); err != nil {
			return err
		}
	}
	b.result.Loads = append(b.result.Loads, loadSample{
		place: place{round, s.name, target, others}, Requests: l.requests, Seconds: l.took.Seconds(),
		CPU: total.minus(before), Busy: loaded.minus(before).total() / l.took.Seconds(),
	})
	return nil
}

// ceilings measures what ClickHouse can take, right after Carom's writer.
func (b *bench) ceilings(ctx context.Context, round int, s *stream) error {
	err := b.flush(round, s, writerMade, func() (flush, error) { return b.ceiling.measureMade(ctx, s.links) })
	if err != nil {
		return err
	}
	return b.flush(round, s, writerCopied, func() (flush, error) { return b.ceiling.measureCopied(ctx) })
}

// flush measures rows on their way into clicks.
func (b *bench) flush(round int, s *stream, writer string, measure func() (flush, error)) error {
	w, err := b.watch()
	if err != nil {
		return err
	}
	f, err := measure()
	if err != nil {
		return err
	}
	others, err := b.others(w)
	b.result.Flushes = append(b.result.Flushes, flushSample{place{round, s.name, writer, others}, f})
	return err
}

// profiled runs do and saves a CPU profile of the server meanwhile, where one was asked for.
func (b *bench) profiled(ctx context.Context, round int, s *stream, what string, p *process, do func() error) error {
	if b.options.Profile == "" || round > 0 || p.admin == "" {
		return do()
	}
	path := filepath.Join(b.options.Profile, fmt.Sprintf("%s-%s-%s.pprof", s.name, p.name, what))
	saved := make(chan error, 1)
	go func() { saved <- saveProfile(ctx, p.admin, path, b.options.duration()) }()
	return errors.Join(do(), <-saved)
}
