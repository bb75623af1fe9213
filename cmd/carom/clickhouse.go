package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"carom/deploy/engine"
)

// engineStopTimeout is how long the engine may take to put everything on disk; it needs a fraction of a second.
const engineStopTimeout = 30 * time.Second

// clickhouseCommand runs the embedded engine alone.
type clickhouseCommand struct {
	Data string `required:"" type:"path" placeholder:"DIR" env:"CAROM_DATA" help:"Directory of the tables, made when missing."`

	enginePorts
}

// enginePorts are the flags of every command that starts the engine.
type enginePorts struct {
	NativePort int `name:"clickhouse-native-port" default:"9000" env:"CAROM_CLICKHOUSE_NATIVE_PORT" help:"Port of the native protocol on 127.0.0.1, 0 for a free one."`
	HTTPPort   int `name:"clickhouse-http-port" default:"8123" env:"CAROM_CLICKHOUSE_HTTP_PORT" help:"Port of the HTTP interface on 127.0.0.1, 0 for a free one."`
}

// Run returns when the context ends, after a clean stop, or when the engine dies.
func (c *clickhouseCommand) Run(ctx context.Context, log *slog.Logger, terminal *console) error {
	assets, err := engine.Install(ctx, terminal.Err)
	if err != nil {
		return err
	}
	e, err := startEngine(ctx, assets, c.Data, c.enginePorts, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(terminal.Out, `ClickHouse runs in %s
  native    %s
  http      %s (query page at /play)
  users     %s, %s, %s; passwords in %s
Ctrl-C stops it.
`, e.Dir(), e.Addr(), e.HTTPURL(), engine.Admin, engine.Edge, engine.Analyst, filepath.Join(e.Dir(), engine.UsersFile))

	select {
	case <-e.Done():
		return e.Err()
	case <-ctx.Done():
		return stopEngine(e)
	}
}

// startEngine starts the installed engine in dir.
func startEngine(ctx context.Context, assets engine.Assets, dir string, ports enginePorts, log *slog.Logger) (*engine.Engine, error) {
	cfg, err := engine.Default(assets, dir)
	if err != nil {
		return nil, err
	}
	cfg.NativePort, cfg.HTTPPort, cfg.Log = ports.NativePort, ports.HTTPPort, log
	return engine.Start(ctx, cfg)
}

func stopEngine(e *engine.Engine) error {
	ctx, cancel := context.WithTimeout(context.Background(), engineStopTimeout)
	defer cancel()
	return e.Stop(ctx)
}
