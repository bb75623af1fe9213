package ingest

import (
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// The disk of the spool holds no more files while ClickHouse is away: what finds no room is counted, and files are left for sending
// the rest, also after a restart.
func TestNoFilesLeft(t *testing.T) {
	db := chtest.New(t)
	dir := faults.Tmpfs(t, 64<<20, 40)
	config := func(c *Config) {
		c.Spool, c.Ring.Lanes, c.Ring.SegmentBytes = dir, 2, 64<<10
		c.ConversionRing.SegmentBytes, c.ConversionRing.BudgetBytes = 64<<10, 192<<10
		c.BatchBytes = 64 << 10
	}
	in, reg := testIngest(t, unreachable, config)
	var all []int
	refused := 0
	for short := false; !short; {
		n := len(all)
		if !in.PutClick(uint64(n), testClick(n, time.Now())) {
			refused++
			short = failing(t, reg, "segment")
			time.Sleep(time.Millisecond)
		}
		all = append(all, n)
	}
	abandonIngest(t, in)
	in, _ = testIngest(t, db.DSN(engine.Edge), config)
	stopIngest(t, in)
	if found := db.Find(t, clickIDs(all)); !found.Exact(0) || found.Dropped != refused {
		t.Errorf("%d clicks, %d of them refused: %v", len(all), refused, found)
	}
}
