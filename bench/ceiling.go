package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A ceiling is how fast the server takes rows that it makes itself, into the same tables with the same views and the
// settings of Carom's inserts (ingest/clickhouse.go).
type ceiling struct {
	conn     driver.Conn
	pid      int // of the engine
	rows     int // of an insert
	inserted int
}

// ceilingInserts are timed together.
const ceilingInserts = 3

// made inserts rows that the server makes from numbers, alike to a stream's in what the views group by.
//
//go:embed ceiling.sql
var madeRows string

// copied inserts one of Carom's own batches once more, out of memory: nothing has to be made.
const copiedRows = "INSERT INTO clicks SELECT * REPLACE (toUInt16(0) AS node, '{batch}' AS batch_id) FROM ceiling_rows"

// measureMade is the ceiling with rows for a number of links.
func (c *ceiling) measureMade(ctx context.Context, links int) (flush, error) {
	return c.measure(ctx, strings.NewReplacer("{links}", fmt.Sprint(links), "{rows}", fmt.Sprint(c.rows)).Replace(madeRows))
}

// measureCopied is the ceiling with the rows of the newest full batch of Carom's, in the order in which they came.
func (c *ceiling) measureCopied(ctx context.Context) (flush, error) {
	for _, statement := range []string{
		"DROP TABLE IF EXISTS ceiling_rows",
		"CREATE TABLE ceiling_rows AS clicks ENGINE = Memory",
		`INSERT INTO ceiling_rows SELECT * FROM clicks WHERE batch_id =
			(SELECT batch_id FROM clicks WHERE node = ? GROUP BY batch_id HAVING count() = ? ORDER BY max(ts) DESC LIMIT 1)
		ORDER BY ts`,
	} {
		args := []any{memoryNode, c.rows}[:strings.Count(statement, "?")]
		if err := c.conn.Exec(ctx, statement, args...); err != nil {
			return flush{}, fmt.Errorf("keep a batch of Carom's rows: %w", err)
		}
	}
	var rows uint64
	if err := c.conn.QueryRow(ctx, "SELECT count() FROM ceiling_rows").Scan(&rows); err != nil || rows == 0 {
		return flush{}, err
	}
	return c.measure(ctx, copiedRows)
}

func (c *ceiling) measure(ctx context.Context, statement string) (flush, error) {
	before, err := usageOf([]int{c.pid})
	if err != nil {
		return flush{}, err
	}
	began := time.Now()
	for range ceilingInserts {
		c.inserted++
		batch := fmt.Sprintf("ceiling-%d", c.inserted)
		settings := clickhouse.Settings{
			"async_insert": 0, "insert_deduplicate": 1, "deduplicate_blocks_in_dependent_materialized_views": 1,
			"materialized_views_ignore_errors": 0, "optimize_on_insert": 0, "insert_deduplication_token": batch,
			// One block, as Carom sends it.
			"max_block_size": c.rows, "min_insert_block_size_rows": c.rows, "max_insert_block_size": c.rows,
		}
		err := c.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), strings.ReplaceAll(statement, "{batch}", batch))
		if err != nil {
			return flush{}, fmt.Errorf("insert rows that the server makes: %w", err)
		}
	}
	took := time.Since(began)
	after, err := usageOf([]int{c.pid})
	return flush{ceilingInserts * c.rows, took.Seconds(), after.minus(before)}, err
}
