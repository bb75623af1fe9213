package control

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/control/lease"
)

const (
	// insertTimeout bounds one attempt to write a chunk.
	insertTimeout = 30 * time.Second
	// insertAttempts and insertBackoff say how long a write is tried before its caller is told: 0.2 + 0.4 + 0.8 s.
	insertAttempts = 4
	insertBackoff  = 200 * time.Millisecond
)

// errEncode marks rows that never left for ClickHouse because they do not fit its types, which is a bug of ours.
var errEncode = errors.New("rows do not encode")

// A store reads and writes the reference tables.
type store struct {
	conn driver.Conn
	// fence is asked when ClickHouse has begun an insert and before it gets the rows: lease.ErrLost of a process that writes no more.
	fence func(context.Context) error
}

// max returns the highest value of an integer column, 0 for an empty table. Deleted rows count.
func (s store) max(ctx context.Context, table, column string) (highest uint64, err error) {
	err = s.conn.QueryRow(ctx, fmt.Sprintf("SELECT toUInt64(max(%s)) FROM %s", column, table)).Scan(&highest)
	return highest, err
}

// selectRows reads the newest rows of table; R lists its columns in `ch` tags. where may hold ? for args.
func selectRows[R any](ctx context.Context, s store, table, where string, args ...any) ([]R, error) {
	var rows []R
	query := "SELECT " + columnList[R]() + " FROM " + table + " FINAL WHERE " + where
	if err := s.conn.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	return rows, nil
}

// columnList names the columns that R holds, those of embedded structs included.
func columnList[R any]() string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[R]()) {
		if name := f.Tag.Get("ch"); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// withTable gives the queries under ctx a temporary table of rows, which carries many values where a list in the query
// would be too long.
func withTable(ctx context.Context, table *ext.Table) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithExternalTable(table))
}

// An insert writes one frozen block of rows. Called again after a failure it writes the same bytes, which a
// ReplacingMergeTree takes as the same rows.
type insert func(ctx context.Context, s store) error

// insertRows freezes rows for table. token is the deduplication token of a table that only appends, otherwise empty.
func insertRows[R any](table, token string, rows []R) insert {
	settings := clickhouse.Settings{"async_insert": 0}
	if token != "" {
		settings["insert_deduplicate"] = 1
		settings["insert_deduplication_token"] = token
		settings["deduplicate_blocks_in_dependent_materialized_views"] = 1
		settings["materialized_views_ignore_errors"] = 0
	}
	return func(ctx context.Context, s store) error {
		ctx, cancel := context.WithTimeout(ctx, insertTimeout)
		defer cancel()
		inserting := clickhouse.Context(lease.Announce(ctx), clickhouse.WithSettings(settings))
		batch, err := s.conn.PrepareBatch(inserting, "INSERT INTO "+table+" ("+columnList[R]()+")")
		if err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
		defer batch.Close()
		for i := range rows {
			if err := batch.AppendStruct(&rows[i]); err != nil {
				return fmt.Errorf("insert into %s: %w: %w", table, errEncode, err)
			}
		}
		if err := s.fence(ctx); err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
		if err := batch.Send(); err != nil {
			return fmt.Errorf("insert %d rows into %s: %w", len(rows), table, err)
		}
		return nil
	}
}

// persist runs in until it succeeds or its attempts are used up. It goes on when the caller of ctx has left: a
// write that has begun must end one way or the other.
func (in insert) persist(ctx context.Context, s store) error {
	ctx = context.WithoutCancel(ctx)
	var err error
	for attempt := range insertAttempts {
		if attempt > 0 {
			time.Sleep(insertBackoff << (attempt - 1))
		}
		err = in(ctx, s)
		switch {
		case err == nil, errors.Is(err, errEncode):
			return err
		case errors.Is(err, lease.ErrLost) && attempt > 0:
			return fmt.Errorf("%w: %w", ErrUnconfirmed, err) // an attempt before may have been stored
		case errors.Is(err, lease.ErrLost):
			return err
		}
	}
	return err
}

// A write is one change of the reference data: blocks that become visible in order, all of one version, and what the
// catalogue learns once they are stored.
type write struct {
	inserts []insert
	learn   func(*catalog)
}
