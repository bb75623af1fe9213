package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ClickHouse/clickhouse-go/v2"

	"carom/deploy/engine"
	"carom/ingest/schema"
)

const partScale = "scale"

// Names of the nodes that it compares.
const (
	targetFew  = "Carom, these links only"
	targetMany = "Carom, among many more"

	largeDatabase = "carom_large"
)

// scaleOf is the rate among many links that is to be reached, of that without them.
const scaleOf = 0.95

// A scaleResult is what the nodes take with their tables; their rates are with all others.
type scaleResult struct {
	Few  tableMemory `json:"few"`
	Many tableMemory `json:"many"`
}

type tableMemory struct {
	Links int    `json:"links"`
	Anon  uint64 `json:"rss_anon_bytes"` // without the files that it has mapped
}

// scale compares a node whose table holds the links that are asked for with one whose table holds them among many others: the same
// brand, keys and creators, in a database of its own.
func (b *bench) scale(ctx context.Context) error {
	return b.whileEngineLives(ctx, func(ctx context.Context) error {
		many, err := b.startScale(ctx)
		if err == nil {
			err = b.touchBuffers(ctx)
		}
		for round := 0; err == nil && round < b.options.Rounds; round++ {
			fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", round+1, b.options.Rounds, partScale)
			err = b.scaleRound(ctx, round, many)
		}
		if err == nil {
			err = b.verify(ctx)
		}
		return err
	})
}

// startScale starts both nodes and returns the requests for links anywhere in the larger table.
func (b *bench) startScale(ctx context.Context) (many *stream, err error) {
	large := b.world.grown(b.options.Many)
	dsn, err := b.writeLarge(ctx, large)
	if err != nil {
		return nil, err
	}
	if b.carom, err = b.startNode(ctx, memoryNode, b.bufferBytes(), ""); err != nil {
		return nil, err
	}
	if b.large, err = b.startNodeOf(ctx, large, dsn, largeNode, b.bufferBytes(), ""); err != nil {
		return nil, err
	}
	b.result.Scale = &scaleResult{Few: tableMemory{Links: b.world.links}, Many: tableMemory{Links: large.links}}
	for _, m := range []struct {
		n *caromNode
		t *tableMemory
	}{{b.carom, &b.result.Scale.Few}, {b.large, &b.result.Scale.Many}} {
		if err := m.n.collect(ctx); err != nil {
			return nil, err
		}
		now, err := memoryOf(m.n.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		m.t.Anon = now.anon
	}
	b.result.LocationBytes = len(b.world.location(1))
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	links := b.world.links
	return newStream(partScale, filepath.Join(b.dir, partScale), large, links, spread(links, large.links), b.options.Direct)
}

// writeLarge fills the database of the larger world and returns how an edge reaches it.
func (b *bench) writeLarge(ctx context.Context, large *world) (dsn string, err error) {
	fmt.Fprintf(os.Stderr, "write %d links, and let a node read them\n", large.links)
	in := func(user string) (string, error) {
		u, err := url.Parse(b.engine.DSN(user))
		if err != nil {
			return "", err
		}
		u.Path = "/" + largeDatabase
		return u.String(), nil
	}
	admin, err := in(engine.Admin)
	if err != nil {
		return "", err
	}
	if _, err := schema.Apply(ctx, schema.Files, admin, nil); err != nil {
		return "", err
	}
	o, err := clickhouse.ParseDSN(admin)
	if err != nil {
		return "", err
	}
	if b.largeConn, err = clickhouse.Open(o); err != nil {
		return "", err
	}
	if err := large.write(ctx, b.largeConn); err != nil {
		return "", err
	}
	return in(engine.Edge)
}

// scaleRound lets both nodes take turns, and store what has piled up after every phase.
func (b *bench) scaleRound(ctx context.Context, round int, many *stream) error {
	few := b.streams[0]
	turns := b.scaleTurns(ctx, place{Round: round, Stream: partScale}, few, many)
	for len(turns) > 0 {
		var err error
		if turns, err = b.phase(ctx, few, b.nodes(), turns); err != nil {
			return err
		}
		for _, n := range b.nodes() {
			if err := n.during(func() error { _, err := n.drain(ctx); return err }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) scaleTurns(ctx context.Context, at place, few, many *stream) (all []turn) {
	asked := map[string]*stream{targetFew: few, targetMany: many}
	targets := []target{{targetFew, b.carom.process}, {targetMany, b.large.process}}
	for at.Turn = range b.options.turns() {
		all = append(all, inTurn(at, targets, func(at place, p *process) error {
			return b.closedLoop(ctx, at, asked[at.Name], p, slice)
		}))
	}
	return all
}
