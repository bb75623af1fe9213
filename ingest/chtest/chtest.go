// Package chtest gives tests a real ClickHouse: one engine per test process, a fresh database with the whole schema per
// test. There is no mock of it and no skipping: the engine installs itself.
//
//	func TestMain(m *testing.M) { chtest.Main(m) }
//
//	func TestInsert(t *testing.T) {
//		db := chtest.New(t)
//		db.Conn.Exec(t.Context(), "INSERT INTO clicks …")
//	}
//
// The environment variable CAROM_TEST_CLICKHOUSE names a server to use instead, by the DSN of a user who may do
// everything; users and grants are then those of the server.
package chtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"carom/deploy/engine"
)

// serverVariable names a server to use instead of an own engine.
const serverVariable = "CAROM_TEST_CLICKHOUSE"

// stopTimeout is how long an engine may take to put everything on disk.
const stopTimeout = 20 * time.Second

// Main runs the tests of a package that uses [New] or [Start]; it is the whole of TestMain. The test binary is also the
// program that engines run in.
func Main(m *testing.M) {
	if engine.IsChild(os.Args) {
		if err := engine.Run(os.Args); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "chtest:", err)
	}
}

// Config is an engine's configuration for a test: a data directory that vanishes with the test, free ports, the log in
// the test's output.
func Config(t testing.TB) engine.Config {
	t.Helper()
	cfg, err := config(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	return cfg
}

// Start runs an engine of the test's own, to be killed, stopped and started again at will; what still runs at the end of
// the test is stopped. It holds no database yet.
func Start(t testing.TB, cfg engine.Config) *engine.Engine {
	t.Helper()
	e, err := engine.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(e); err != nil {
			t.Error(err)
		}
	})
	return e
}

func config(ctx context.Context, dir string) (engine.Config, error) {
	assets, err := engine.Install(ctx, os.Stderr)
	if err != nil {
		return engine.Config{}, err
	}
	return engine.Default(assets, dir)
}

func stop(e *engine.Engine) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return e.Stop(ctx)
}
