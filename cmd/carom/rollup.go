package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/rollup"
)

// startRollups keeps the rollups in step with raw, until it is stopped; conn is of carom_admin.
func startRollups(conn driver.Conn, reg prometheus.Registerer, log *slog.Logger) *rollup.Keeper {
	config := rollup.Default()
	config.Conn, config.Registerer, config.Log = conn, reg, log
	keeper := rollup.New(config)
	keeper.Start()
	return keeper
}

// schemaMendCommand is for what no edge reports: a rollup that was emptied, a view that was away.
type schemaMendCommand struct {
	clickhouseDSN

	From time.Time `default:"2024-01-01" format:"2006-01-02" placeholder:"DAY" help:"Look at the week of this day, UTC, and later ones (${default})."`
	To   time.Time `default:"2149-06-06" format:"2006-01-02" placeholder:"DAY" help:"Look at the week of this day, UTC, and earlier ones (${default})."`
}

// Run reports the batches to the control process, which waits for inserts that are under way.
func (c *schemaMendCommand) Run(ctx context.Context, log *slog.Logger, terminal *console) (err error) {
	config := rollup.Default()
	config.Registerer, config.Log = prometheus.NewRegistry(), log
	if config.Conn, err = openClickHouse(c.DSN); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, config.Conn.Close()) }()
	waiting, err := rollup.New(config).Report(ctx, c.From, c.To)
	if err != nil {
		return err
	}
	if waiting == 0 {
		fmt.Fprintln(terminal.Out, "every rollup holds every batch once")
		return nil
	}
	fmt.Fprintf(terminal.Out, "%d batches are reported in doubtful_batches; the control process looks at them within a minute\n", waiting)
	return nil
}
