package ingest

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/rollup"
)

// keepRollups does what the control process does about batches that were in doubt.
func keepRollups(t *testing.T, db *chtest.DB) (checked int) {
	t.Helper()
	c := rollup.Default()
	c.Conn, c.Registerer, c.Settle = db.Conn, prometheus.NewRegistry(), 0
	checked, err := rollup.New(c).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return checked
}

// An insert ends between raw and the last of its rollups and ClickHouse forgets its token before the node, started again,
// asks: the batch is taken for stored, and the rollup gets it from raw.
func TestRollupMissedBeyondTheWindow(t *testing.T) {
	db := chtest.New(t)
	rememberTen(t, db)
	exec := func(statement string) {
		t.Helper()
		if err := db.Conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	config := func(c *Config) { c.Spool, c.DedupWindow = dir, 10 }
	exec("ALTER TABLE clicks_by_utm_hourly ADD CONSTRAINT broken CHECK 0 = 1")
	in, _ := testIngest(t, db.DSN(engine.Edge), config)
	all := put(t, in, 0, 50)
	faults.Await(t, "the rows to be in raw", func() bool { return count(t, db, "SELECT count() FROM clicks") == 50 })
	abandonIngest(t, in)
	exec("ALTER TABLE clicks_by_utm_hourly DROP CONSTRAINT broken")
	for i := range overflow(t, db) {
		all = append(all, 1_000_000+i)
	}
	in, _ = testIngest(t, db.DSN(engine.Edge), config)
	stopIngest(t, in)
	if n := db.Rollups(t)["clicks_by_utm_hourly"]; n == len(all) {
		t.Errorf("the rollup has all %d clicks before anybody looked: nothing was tested", n)
	}
	if n := keepRollups(t, db); n != 1 {
		t.Errorf("%d batches were in doubt, want 1", n)
	}
	checkOnce(t, db, all)
}

// Answers that get lost while all else is well put batches in doubt that need nothing.
func TestDoubtWithoutHarm(t *testing.T) {
	db := chtest.New(t)
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.LoseAnswers(true)
	in, _ := testIngest(t, viaProxy(db.DSN(engine.Edge), db.Addr, proxy.Addr), spoolIn(t.TempDir()))
	all := put(t, in, 0, 50)
	faults.Await(t, "an answer to be lost", func() bool { return proxy.Lost() >= 1 })
	proxy.LoseAnswers(false)
	stopIngest(t, in)
	if n := keepRollups(t, db); n != 1 {
		t.Errorf("%d batches were in doubt, want 1", n)
	}
	if n := count(t, db, "SELECT countIf(notEmpty(mended)) FROM doubtful_batches FINAL"); n != 0 {
		t.Errorf("%d batches were mended that were in step", n)
	}
	checkOnce(t, db, all)
}
