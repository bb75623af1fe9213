package main

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/rollup"
)

// keepRollups does at once what the control process does within a minute.
func keepRollups(t *testing.T, db *chtest.DB) {
	t.Helper()
	config := rollup.Default()
	config.Conn, config.Registerer, config.Settle = db.Conn, prometheus.NewRegistry(), 0
	if _, err := rollup.New(config).Check(t.Context()); err != nil {
		t.Error(err)
	}
	var doubtful, mended uint64
	const query = "SELECT count(), countIf(notEmpty(mended)) FROM doubtful_batches FINAL"
	if err := db.Conn.QueryRow(t.Context(), query).Scan(&doubtful, &mended); err != nil {
		t.Error(err)
	}
	t.Logf("%d batches were in doubt, %d not in every rollup once", doubtful, mended)
}

func TestSchemaMend(t *testing.T) {
	db := chtest.New(t)
	const (
		click   = "INSERT INTO clicks (ts, click_id, batch_id) SELECT '2026-07-06 12:00:00.000', repeat('0', 22), 'a-1' SETTINGS insert_deduplication_token = 'a-1-x'"
		inStep  = "every rollup holds every batch once"
		differs = "1 batches are reported"
	)
	for _, step := range []struct{ before, flags, out string }{
		{click, "", inStep},
		{"TRUNCATE TABLE clicks_by_utm_hourly", "--from 2026-07-13", inStep},
		{"SELECT 1", "--to 2026-07-05", inStep},
		{"SELECT 1", "--from 2026-07-12 --to 2026-07-12", differs},
		{"SELECT 1", "", differs},
	} {
		if err := db.Conn.Exec(t.Context(), step.before); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"schema", "mend", "--clickhouse", db.DSN(engine.Admin)}, strings.Fields(step.flags)...)
		if got := carom(args...); got.code != exitDone || !strings.Contains(got.out, step.out) {
			t.Errorf("schema mend %s after %s: %+v, want %q", step.flags, step.before, got, step.out)
		}
	}
}
