package main

import (
	"context"
	"time"

	"carom/ingest"
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
	now, err := memoryOf(pid)
	if err != nil {
		return err
	}
	m.Loaded = now.now
	atRate, err := runOpen(ctx, node.addr, s, b.options.Conns, b.options.Rate, b.options.duration())
	if err != nil {
		return err
	}
	if now, err = memoryOf(pid); err != nil {
		return err
	}
	m.AtRate = now.peak
	flood, err := b.wrk.run(ctx, node.addr, s, b.options.duration())
	if err != nil {
		return err
	}
	b.clicks += atRate.Answered + flood.requests
	if now, err = memoryOf(pid); err != nil {
		return err
	}
	m.Flooded = now.peak
	_, err = node.drain(ctx) // stopped in the middle of an insert it could take the engine along
	return err
}

// touchBuffers lets as many clicks pile up as a phase will. In service a buffer's memory is used again and again; here most
// of it would be new to the process each time, and the kernel's zeroing of it would cost a request more than Carom does.
func (b *bench) touchBuffers(ctx context.Context) error {
	s := b.streams[len(b.streams)-1]
	turnsInPhase := min(b.options.turns(), int(pauseMost/slice)/len(b.servers()))
	flood := time.Duration(turnsInPhase+1) * slice // the last one stands for the open loop
	for _, n := range b.nodes() {
		fill := func() error {
			return n.during(func() error { _, err := b.load(ctx, s, n.process, flood); return err })
		}
		if _, err := b.phase(ctx, s, []*caromNode{n}, []turn{fill}); err != nil {
			return err
		}
		err := n.during(func() error {
			if _, err := n.drain(ctx); err != nil {
				return err
			}
			return n.collect(ctx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
