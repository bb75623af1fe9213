package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// slice is how long one server is measured before it is the next one's turn. A virtual machine's speed drifts by tens of
	// percent within seconds, so only close neighbours compare; wrk knows no shorter load.
	slice = time.Second
	// openTurns is how often the servers take turns under the open loop in a round: p99 varies far more than a rate does.
	openTurns = 5
	// pauseMost is how long ClickHouse may be paused. Carom gives an insert 30 s, and when ClickHouse goes on one node waits
	// until the other is drained.
	pauseMost = 22 * time.Second
	// fillMost leaves time for one turn. It takes a third of it on a machine that does nothing else.
	fillMost = 15 * time.Second
)

// A target is a server under the name of what is measured of it.
type target struct {
	name string
	p    *process
}

func (b *bench) closedTargets() []target {
	return []target{{targetBare, b.bare}, {targetNginx, b.nginx}, {targetAlone, b.carom.process}, {targetSpool, b.spooled.process}}
}

// openTargets leaves nginx out: time is better spent on more turns of the others.
func (b *bench) openTargets() []target {
	return slices.DeleteFunc(b.closedTargets(), func(t target) bool { return !slices.Contains(openNames[:], t.name) })
}

// A turn measures every server once, one right after the other.
type turn func() error

// turns are those of a round and stream: at first under the closed loop, then under the open one.
func (b *bench) turns(ctx context.Context, at place, s *stream) []turn {
	var all []turn
	add := func(turns int, targets []target, measure func(at place, p *process) error) {
		for at.Turn = range turns {
			all = append(all, inTurn(at, targets, measure))
		}
	}
	add(b.options.turns(), b.closedTargets(), func(at place, p *process) error {
		return b.profiled(ctx, at, "handler", p, slice, func() error { return b.closedLoop(ctx, at, s, p, slice) })
	})
	if b.options.wants("latency") {
		length := min(slice, b.options.duration())
		add(openTurns, b.openTargets(), func(at place, p *process) error { return b.openLoop(ctx, at, s, p, length) })
	}
	return all
}

// inTurn measures targets while all others are stopped.
func inTurn(at place, targets []target, measure func(at place, p *process) error) turn {
	return func() error {
		for _, t := range ordered(targets, at.Round+at.Turn) {
			at.Name = t.name
			if err := t.p.during(func() error { return measure(at, t.p) }); err != nil {
				return fmt.Errorf("measure %s: %w: %s", t.name, err, t.p.said)
			}
		}
		return nil
	}
}

// ordered turns the order round every time and begins with the next one every other time: over the turns everybody is
// first as often as the others, and nobody always follows the same one.
func ordered[T any](all []T, turn int) []T {
	first := turn / 2 % len(all)
	order := slices.Concat(all[first:], all[:first])
	if turn%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// phase takes turns while the engine is paused and the flushers of nodes rest, and returns those for which that would be too
// long.
func (b *bench) phase(ctx context.Context, s *stream, nodes []*caromNode, turns []turn) (left []turn, err error) {
	if err := b.quiet(ctx); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if err := n.wake(ctx); err != nil {
			return nil, err
		}
	}
	b.pauseEngine()
	defer b.resumeEngine()
	paused := time.Now()
	for _, n := range nodes {
		n.pause()
	}
	for _, n := range nodes {
		if err := n.during(func() error { return b.fillFlights(ctx, n, s) }); err != nil {
			return nil, err
		}
	}
	if took := time.Since(paused); took > fillMost {
		return nil, fmt.Errorf("filling the flushers took %s: other processes keep the machine too busy to measure anything", took)
	}
	for len(turns) > 0 {
		began := time.Now()
		if err := turns[0](); err != nil {
			return nil, err
		}
		turns = turns[1:]
		if time.Since(paused)+time.Since(began) > pauseMost { // the next one takes as long
			break
		}
	}
	return turns, nil
}

// fillFlights sends clicks until the flusher holds all it can: with the engine paused it then rests, and what Carom does is
// answering alone.
func (b *bench) fillFlights(ctx context.Context, n *caromNode, s *stream) error {
	const flights = 2 // one is being sent, one filled
	for filled := 0; filled < flights*b.options.BatchRows; {
		l, err := b.load(ctx, s, n.process, slice)
		if err != nil {
			return err
		}
		filled += int(l.requests)
	}
	return n.rest(ctx)
}
