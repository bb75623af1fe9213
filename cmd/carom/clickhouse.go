package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"carom/deploy/engine"
)

// clickhouseCommand runs the embedded engine alone.
type clickhouseCommand struct {
	Data string `required:"" type:"path" placeholder:"DIR" help:"Directory of the tables, made when missing; that of a carom up is clickhouse in its own."`

	enginePorts
}

// enginePorts are the flags of every command that starts the engine.
type enginePorts struct {
	NativePort int `name:"clickhouse-native-port" default:"9000" env:"CAROM_CLICKHOUSE_NATIVE_PORT" help:"Port of the native protocol on 127.0.0.1, 0 for a free one."`
	HTTPPort   int `name:"clickhouse-http-port" default:"8123" env:"CAROM_CLICKHOUSE_HTTP_PORT" help:"Port of the HTTP interface on 127.0.0.1, 0 for a free one."`
}

// Run returns when the context ends, after a clean stop, or when the engine cannot be kept running.
func (c *clickhouseCommand) Run(ctx context.Context, log *slog.Logger, terminal *console) error {
	assets, err := engine.Install(ctx, terminal.Err)
	if err != nil {
		return err
	}
	kept, err := startEngine(ctx, assets, c.Data, c.enginePorts, log)
	if err != nil {
		return err
	}
	e := kept.engine()
	fmt.Fprintf(terminal.Out, `ClickHouse runs in %s
  native    %s
  http      %s (query page at /play)
  users     %s, %s, %s; passwords in %s
Ctrl-C stops it.
`, e.Dir(), e.Addr(), e.HTTPURL(), engine.Admin, engine.Edge, engine.Analyst, filepath.Join(e.Dir(), engine.UsersFile))

	select {
	case <-kept.done:
		return kept.err
	case <-ctx.Done():
		return kept.stop()
	}
}
