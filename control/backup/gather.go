package backup

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// gather inserts what the source knows of a table into the table's double, under new versions.
func (r *restore) gather(ctx context.Context, t table, versions rebase) error {
	target, err := r.columns(ctx, t)
	if err != nil {
		return fmt.Errorf("gather rows of %s: %w", t.name, err)
	}
	known, of := r.from.Has(t.name)
	for _, column := range known {
		if !slices.ContainsFunc(target, func(c driver.ColumnType) bool { return c.Name() == column }) {
			return fmt.Errorf("%w: this schema has no column %s.%s", ErrNewer, t.name, column)
		}
	}
	in := &inserter{
		restore: r, table: t, of: of, statement: "INSERT INTO " + r.gathered(t) + " (" + strings.Join(known, ", ") + ")",
	}
	defer in.close()
	var version []int // field of the rows, all of one type
	err = r.from.Each(t.name, target, func(row reflect.Value) error {
		if t.versioned {
			if version == nil {
				version = fieldOf(row.Type().Elem(), "version")
			}
			field := row.Elem().FieldByIndex(version)
			renewed, err := versions.version(field.Uint())
			if err != nil {
				return err
			}
			field.SetUint(renewed)
		}
		return in.add(ctx, row)
	})
	if err == nil {
		err = in.flush()
	}
	if err != nil {
		return fmt.Errorf("gather rows of %s: %w", t.name, err)
	}
	r.summary.Rows[t.name] = in.rows
	return nil
}

// columns are those of a table.
func (r *restore) columns(ctx context.Context, t table) ([]driver.ColumnType, error) {
	rows, err := r.Conn.Query(ctx, "SELECT * FROM "+r.gathered(t)+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.ColumnTypes(), rows.Err()
}

// An inserter inserts rows of one table in batches.
type inserter struct {
	restore   *restore
	table     table
	statement string
	batch     driver.Batch // nil before the first row
	rows, of  uint64
}

func (in *inserter) add(ctx context.Context, row reflect.Value) (err error) {
	if in.batch == nil {
		whole := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}))
		if in.batch, err = in.restore.Conn.PrepareBatch(whole, in.statement); err != nil {
			return err
		}
	}
	if err := in.batch.AppendStruct(row.Interface()); err != nil {
		return err
	}
	if in.rows++; in.rows%batchRows == 0 {
		return in.flush()
	}
	return ctx.Err()
}

// flush sends what was added.
func (in *inserter) flush() error {
	if in.batch == nil {
		return nil
	}
	err := in.batch.Send()
	in.batch = nil
	in.restore.Progress(Progress{in.table.name, in.rows, in.of})
	return err
}

// close gives up what was not sent.
func (in *inserter) close() {
	if in.batch != nil {
		_ = in.batch.Abort() // the error before it tells
	}
}
