package chtest

import (
	"context"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/goleak"

	"carom/deploy/engine"
	"carom/ingest/schema"
)

// dropTimeout bounds the drop of one database.
const dropTimeout = 10 * time.Second

// DB is a test's own database, with the whole schema and no rows.
type DB struct {
	// Name of the database; Carom calls its own carom.
	Name string
	// Conn is open, as the user carom_admin, and closed with the test.
	Conn driver.Conn
	// Addr is host:port of the native protocol, for a proxy in between.
	Addr string
}

// New makes a database with the whole schema; it is dropped with the test.
func New(t testing.TB) *DB {
	t.Helper()
	ctx := t.Context()
	name, err := shared.take(ctx)
	if err != nil {
		t.Fatalf("start ClickHouse for tests: %v", err)
	}
	db := &DB{Name: name, Addr: shared.addr()}
	if _, err := schema.Apply(ctx, schema.Files, db.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	db.Conn = Open(t, db.DSN(engine.Admin))
	t.Cleanup(func() { drop(t, name) })
	return db
}

// DSN connects one of the engine's users to the database.
func (db *DB) DSN(user string) string { return shared.userDSN(user, db.Name) }

// Open connects by a DSN until the end of the test.
func Open(t testing.TB, dsn string) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// drop runs in a cleanup, when the test's own context has ended.
func drop(t testing.TB, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	conn := Open(t, shared.userDSN(engine.Admin, "system"))
	if err := conn.Exec(ctx, "DROP DATABASE "+name+" SYNC"); err != nil {
		t.Error(err)
		return
	}
	shared.giveBack(name)
}

// Goroutines are what the shared engine leaves running between tests, for goleak to ignore.
func Goroutines() goleak.Option {
	return goleak.IgnoreAnyFunction("carom/deploy/engine.(*Engine).watch")
}
