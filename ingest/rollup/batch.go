package rollup

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A batch is one insert into a raw table.
type batch struct {
	Source string    `ch:"source"` // the raw table
	Name   string    `ch:"batch_id"`
	Week   time.Time `ch:"week"` // Monday of its partition
}

// batchName is what names look like: an edge writes them, and they become part of statements.
const batchName = "^[0-9A-Za-z]+-[0-9A-Za-z]+$"

// reported lists the batches to look at: the report has settled, and every insert has ended that ran when it was made, the one in
// doubt included.
func (k *Keeper) reported(ctx context.Context) ([]batch, error) {
	const query = `
		SELECT toString(source) AS source, batch_id, week
		FROM doubtful_batches FINAL
		WHERE NOT checked
			AND match(batch_id, {name:String})
			AND told <= now64(3) - toIntervalMillisecond({settle:Int64})
			AND told < (SELECT ifNull(minOrNull(now64(3) - toIntervalMillisecond(toInt64(elapsed * 1000))), now64(3))
				FROM system.processes WHERE query_kind = 'Insert' AND current_database = currentDatabase())
		ORDER BY source, batch_id`
	var batches []batch
	ctx = withParameters(ctx, clickhouse.Parameters{
		"settle": strconv.FormatInt(k.config.Settle.Milliseconds(), 10), "name": batchName,
	})
	if err := k.config.Conn.Select(ctx, &batches, query); err != nil {
		return nil, fmt.Errorf("read doubtful_batches: %w", err)
	}
	return batches, nil
}

// done notes that every rollup holds the batch once.
func (k *Keeper) done(ctx context.Context, b batch, mended []string) error {
	const statement = "INSERT INTO doubtful_batches (source, batch_id, week, checked, mended) SELECT ?, ?, ?, true, ?"
	if err := k.config.Conn.Exec(ctx, statement, b.Source, b.Name, b.Week.Format(time.DateOnly), mended); err != nil {
		return fmt.Errorf("note that batch %s of %s is in every rollup: %w", b.Name, b.Source, err)
	}
	return nil
}

// Report looks through the weeks from one day to another, both included, for batches that some rollup holds not exactly
// once, reports them to be checked, and returns how many reports wait. Batches of inserts that are under way may be
// among them.
func (k *Keeper) Report(ctx context.Context, from, to time.Time) (waiting uint64, err error) {
	for _, source := range []string{"clicks", "conversions"} {
		targets, err := k.targets(ctx, source)
		if err != nil {
			return 0, err
		}
		for _, t := range targets {
			if err := k.compare(ctx, t, from, to); err != nil {
				return 0, fmt.Errorf("compare the batches of %s with rollup %s: %w", source, t.rollup, err)
			}
		}
	}
	const open = "SELECT count() FROM doubtful_batches FINAL WHERE NOT checked"
	if err := k.config.Conn.QueryRow(ctx, open).Scan(&waiting); err != nil {
		return 0, fmt.Errorf("read doubtful_batches: %w", err)
	}
	return waiting, nil
}

// compare reports the batches of raw that the rollup holds not exactly once.
func (k *Keeper) compare(ctx context.Context, t target, from, to time.Time) error {
	statement := fmt.Sprintf(`
		INSERT INTO doubtful_batches (source, batch_id, week)
		SELECT {source:String}, raw.batch_id, raw.week
		FROM (SELECT DISTINCT toString(batch_id) AS batch_id, %[1]s AS week FROM %[2]s
			WHERE %[1]s BETWEEN toMonday({from:Date}) AND {to:Date}) AS raw
		LEFT JOIN (SELECT arrayJoin(batches) AS mark, count() AS times FROM %[3]s GROUP BY mark) AS plus
			ON plus.mark = xxh3(raw.batch_id)
		LEFT JOIN (SELECT bitNot(arrayJoin(batches)) AS mark, count() AS times FROM %[3]s GROUP BY mark) AS minus
			ON minus.mark = xxh3(raw.batch_id)
		WHERE toInt64(plus.times) - toInt64(minus.times) != 1`, t.week, quote(t.source), quote(t.rollup))
	return k.config.Conn.Exec(withParameters(ctx, clickhouse.Parameters{
		"source": t.source, "from": from.Format(time.DateOnly), "to": to.Format(time.DateOnly),
	}), statement)
}

func withParameters(ctx context.Context, p clickhouse.Parameters) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithParameters(p))
}
