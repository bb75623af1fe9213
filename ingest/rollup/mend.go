package rollup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A target is a rollup that a view fills from a raw table.
type target struct {
	database string
	source   string
	rollup   string
	query    string   // of the view, as the server runs it for each insert
	week     string   // partition key of the raw table, which is a week
	columns  []column // that the query makes
}

// A column of a rollup.
type column struct {
	name string
	sum  string // type of its values when they add up; empty where adding twice is adding once (keys, min, max, uniq)
}

// targets lists the rollups of a raw table that mark their batches.
func (k *Keeper) targets(ctx context.Context, source string) ([]target, error) {
	const query = `
		SELECT v.database, extract(v.create_table_query, ' TO [^ .]+\\.` + "`?([^ `]+)" + `') AS rollup, v.as_select, raw.partition_key,
			c.columns
		FROM system.tables AS v
		INNER JOIN (SELECT database, partition_key, arrayJoin(dependencies_table) AS view
			FROM system.tables WHERE database = currentDatabase() AND name = {source:String}) AS raw
			ON raw.database = v.database AND raw.view = v.name
		INNER JOIN (SELECT table, groupArrayIf((name, extract(type, '^SimpleAggregateFunction\\(sum, (.+)\\)$')), name != 'batches') AS columns
			FROM (SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position)
			GROUP BY table HAVING countIf(name = 'batches') > 0) AS c
			ON c.table = rollup
		ORDER BY rollup`
	rows, err := k.config.Conn.Query(withParameters(ctx, clickhouse.Parameters{"source": source}), query)
	if err != nil {
		return nil, fmt.Errorf("list the rollups of %s: %w", source, err)
	}
	defer rows.Close()
	var targets []target
	for rows.Next() {
		t := target{source: source}
		var columns [][]any
		if err := rows.Scan(&t.database, &t.rollup, &t.query, &t.week, &columns); err != nil {
			return nil, fmt.Errorf("list the rollups of %s: %w", source, err)
		}
		for _, c := range columns {
			t.columns = append(t.columns, column{name: c[0].(string), sum: c[1].(string)})
		}
		targets = append(targets, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the rollups of %s: %w", source, err)
	}
	return targets, nil
}

// mend makes the rollup hold the batch once and returns how many times it held it.
func (k *Keeper) mend(ctx context.Context, t target, b batch) (was int64, err error) {
	if was, err = k.held(ctx, t, b); err != nil || was == 1 {
		return was, err
	}
	// The statement counts again and does nothing where the rollup is right, and the server runs no two of one id at a time: so
	// a mend that was cut off, or runs elsewhere, is never done twice. A deduplication token could not promise that, for a
	// server killed at the wrong moment remembers one without its rows.
	insert := clickhouse.Context(ctx,
		clickhouse.WithQueryID(strings.Join([]string{"carom-mend", t.database, t.rollup, b.Name}, "-")),
		clickhouse.WithParameters(b.parameters()),
		clickhouse.WithSettings(clickhouse.Settings{
			"additional_table_filters": fmt.Sprintf("{'%s.%s': 'batch_id = \\'%s\\' AND %s = \\'%s\\''}",
				t.database, t.source, b.Name, t.week, b.Week.Format(time.DateOnly)),
			"async_insert": 0, "insert_deduplicate": 0,
			// One block, so that it is there as a whole or not at all.
			"max_insert_threads": 1, "min_insert_block_size_rows": 10_000_000, "min_insert_block_size_bytes": 0,
		}))
	if err := k.config.Conn.Exec(insert, t.statement()); err != nil {
		return was, err
	}
	now, err := k.held(ctx, t, b)
	if err == nil && now != 1 {
		err = fmt.Errorf("it is held %d times where raw has it; is it still in %s?", now, t.source)
	}
	return was, err
}

// held counts how many times the rollup holds the batch: marks less marks that take one back.
const held = `
	SELECT toInt64(sum(countEqual(batches, xxh3({batch:String})))) - toInt64(sum(countEqual(batches, bitNot(xxh3({batch:String})))))
	FROM %s WHERE _partition_id = {week:String}`

func (k *Keeper) held(ctx context.Context, t target, b batch) (times int64, err error) {
	row := k.config.Conn.QueryRow(withParameters(ctx, b.parameters()), fmt.Sprintf(held, quote(t.rollup)))
	if err := row.Scan(&times); err != nil {
		return 0, fmt.Errorf("count the marks: %w", err)
	}
	return times, nil
}

// statement adds what the view makes of the batch, or takes back what is too much of it: a sum of unsigned integers is one
// modulo 2^64, so it is the right one again when all rows of the group are added up.
func (t target) statement() string {
	var names, values []string
	for _, c := range t.columns {
		name := quote(c.name)
		names = append(names, name)
		if c.sum != "" {
			name = fmt.Sprintf("CAST(%s * missing AS %s)", name, c.sum)
		}
		values = append(values, name)
	}
	return fmt.Sprintf(`
		INSERT INTO %[1]s (%[2]s, batches)
		WITH 1 - assumeNotNull((%[3]s)) AS missing
		SELECT %[4]s, if(rowNumberInAllBlocks() = 0,
			arrayWithConstant(abs(missing), if(missing > 0, xxh3({batch:String}), bitNot(xxh3({batch:String})))), [])
		FROM (%[5]s)
		WHERE missing != 0`,
		quote(t.rollup), strings.Join(names, ", "), fmt.Sprintf(held, quote(t.rollup)), strings.Join(values, ", "), t.query)
}

func (b batch) parameters() clickhouse.Parameters {
	return clickhouse.Parameters{"batch": b.Name, "week": b.Week.Format("20060102")}
}

// quote makes an identifier of any string.
func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}
