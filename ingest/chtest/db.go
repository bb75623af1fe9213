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

// DB is a test's own database.
type DB struct {
	// Name of the database; Carom calls its own carom.
	Name string
	// Conn is connected as the user carom_admin and closed with the test.
	Conn driver.Conn
	// Addr is host:port of the native protocol, for a proxy in between.
	Addr string
}

// New makes a database with the whole schema; it is dropped with the test.
func New(t testing.TB) *DB {
	t.Helper()
	db := NewEmpty(t)
	if _, err := schema.Apply(t.Context(), schema.Files, db.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	return db
}

// NewEmpty makes a database without any table; it is dropped with the test.
func NewEmpty(t testing.TB) *DB {
	t.Helper()
	name, err := shared.take(t.Context())
	if err != nil {
		t.Fatalf("start ClickHouse for tests: %v", err)
	}
	t.Cleanup(func() { drop(t, name) })
	create(t, name)
	db := &DB{Name: name, Addr: shared.addr()}
	db.Conn = Open(t, db.DSN(engine.Admin))
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

func create(t testing.TB, name string) {
	t.Helper()
	if err := Open(t, serverDSN()).Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
}

// drop runs in a cleanup, when the test's own context has ended.
func drop(t testing.TB, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	if err := Open(t, serverDSN()).Exec(ctx, "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil {
		t.Error(err)
		return
	}
	shared.giveBack(name)
}

// serverDSN connects to no test's database.
func serverDSN() string { return shared.userDSN(engine.Admin, "system") }

// Goroutines are what the shared engine leaves running between tests, for goleak to ignore.
func Goroutines() goleak.Option {
	return goleak.IgnoreAnyFunction("carom/deploy/engine.(*Engine).watch")
}

// Use makes the schema in the first database of a server of the test's own.
func Use(t testing.TB, e *engine.Engine) *DB {
	t.Helper()
	dsn := e.DSN(engine.Admin)
	if _, err := schema.Apply(t.Context(), schema.Files, dsn, nil); err != nil {
		t.Fatal(err)
	}
	return &DB{Name: "carom", Conn: Open(t, dsn), Addr: e.Addr()}
}
