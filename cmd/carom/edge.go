package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/geo"
	"carom/ingest"
	"carom/ingest/metric"
	"carom/redirect"
)

// edgeConfig is everything one edge node needs.
type edgeConfig struct {
	Redirect redirect.Config
	Source   redirect.SourceConfig
	Ingest   ingest.Config
	Geo      geo.Config
	Secret   []byte // content of the cluster secret file
}

// An edge is one node: geo databases, the road to ClickHouse, the public listener, and the source of its table, started in
// that order and stopped in reverse.
type edge struct {
	places *geo.DB
	ingest *ingest.Ingest
	server *redirect.Server
	source *redirect.Source
}

func newEdge(c edgeConfig, reg prometheus.Registerer, log *slog.Logger) (*edge, error) {
	sealer, err := redirect.NewSealer(c.Secret)
	if err != nil {
		return nil, err
	}
	e := &edge{}
	if e.places, err = geo.New(c.Geo); err != nil {
		return nil, err
	}
	if e.ingest, err = ingest.New(c.Ingest, e.places, reg, log); err != nil {
		return nil, err
	}
	if e.server, err = redirect.NewServer(c.Redirect, e.ingest, reg, log); err != nil {
		return nil, err
	}
	e.server.RaiseClock(e.ingest.HighWater())
	if e.source, err = redirect.NewSource(c.Source, sealer, e.server, reg, log); err != nil {
		return nil, err
	}
	metric.Gauge(reg, "carom_geo_database_age_seconds", "Time since the oldest geo database in use was published.", nil,
		func() float64 { return e.places.Age(time.Now()).Seconds() })
	return e, nil
}

// start serves. The listener answers 503 until the table is loaded; with a snapshot that is before it listens.
func (e *edge) start(ctx context.Context) error {
	if err := e.places.Start(ctx); err != nil {
		return err
	}
	e.ingest.Start()
	e.source.Restore()
	if err := e.server.Start(); err != nil {
		return errors.Join(err, e.ingest.Stop(ctx))
	}
	e.source.Start()
	return nil
}

// stop ends the node without losing what it has accepted: requests under way are answered, then clicks are delivered.
func (e *edge) stop(ctx context.Context) error {
	err := errors.Join(e.server.Stop(ctx), e.source.Stop(), e.ingest.Stop(ctx))
	e.places.Stop()
	return err
}

// ready says why the node should get no traffic, or nil.
func (e *edge) ready() error {
	if !e.server.Table().Ready() {
		return errors.New("the link table is not loaded")
	}
	return nil
}

// about is what /readyz tells of the table: a node that lost sight of ClickHouse goes on answering, and shows for how long.
func (e *edge) about() map[string]any {
	proof := e.source.Proof()
	about := map[string]any{
		"table_age_seconds": int(e.server.Age().Seconds()), "links": e.server.Table().Links(),
		"table_complete": proof.Complete, "table_checksum": fmt.Sprintf("%016x", proof.Checksum), "table_orphans": proof.Orphans,
	}
	if !proof.Since.IsZero() {
		about["proof_age_seconds"] = int(time.Since(proof.Since).Seconds())
	}
	if age, kept := e.source.SnapshotAge(); kept {
		about["snapshot_age_seconds"] = int(age.Seconds())
	}
	return about
}

// waitReady returns once the table is loaded.
func (e *edge) waitReady(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for e.ready() != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait %v for the edge: %w", limit, e.ready())
		case <-tick.C:
		}
	}
	return nil
}
