package ingest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
	"carom/ingest/ring"
)

// fillUp puts clicks from one on until the node refuses one for a while, and returns those it took.
func fillUp(t *testing.T, in *Ingest, from int) (all []int) {
	t.Helper()
	n, refused := from, time.Time{}
	for refused.IsZero() || time.Since(refused) < 300*time.Millisecond {
		switch {
		case in.PutClick(0, testClick(n, time.Now())):
			all = append(all, n)
			n++
			refused = time.Time{}
		case refused.IsZero():
			refused = time.Now()
		default:
			time.Sleep(time.Millisecond)
		}
	}
	return all
}

// A spool is moved away under its node, and another node makes its own in that place: neither touches what is the other's, the first says
// so and ends with an error, and each click is stored once from where it is.
func TestSpoolMoved(t *testing.T) {
	db := chtest.New(t)
	dir := filepath.Join(t.TempDir(), "spool")
	config := func(c *Config) {
		c.Spool, c.Ring.Lanes, c.Ring.SegmentBytes, c.SpoolBytes = dir, 1, 64<<10, 1<<20
	}
	first, reg := testIngest(t, unreachable, config)
	all := put(t, first, 0, 100)
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	second, _ := testIngest(t, unreachable, config)
	all = append(all, put(t, second, 10_000, 10_100)...)
	all = append(all, fillUp(t, first, 100)...)
	all = append(all, fillUp(t, second, 10_100)...)
	if !failing(t, reg, "segment") {
		t.Error("carom_spool_failing does not say that the spool is elsewhere")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := first.Stop(ctx); !errors.Is(err, ring.ErrMoved) {
		t.Errorf("Stop: %v, want ErrMoved", err)
	}
	abandonIngest(t, second)
	for _, spool := range []string{moved, dir} {
		if _, err := replaySpool(t.Context(), t, db.DSN(engine.Edge), spool, false); err != nil {
			t.Errorf("replay of %s: %v", spool, err)
		}
	}
	if found := db.Find(t, clickIDs(all)); found.Rows != len(all) || len(found.Missing)+found.Doubled+found.Others > 0 {
		t.Errorf("%d clicks, not each once: %v", len(all), found)
	}
}

// A spool that comes back to its place goes on; one that was removed is gone, and its node says so.
func TestSpoolMovedBack(t *testing.T) {
	db := chtest.New(t)
	dir := filepath.Join(t.TempDir(), "spool")
	in, reg := testIngest(t, db.DSN(engine.Edge), func(c *Config) {
		c.Spool, c.Ring.Lanes, c.Ring.SegmentBytes, c.SpoolBytes = dir, 1, 64<<10, 1<<20
	})
	if err := os.Rename(dir, dir+".moved"); err != nil {
		t.Fatal(err)
	}
	all := fillUp(t, in, 0)
	if n := count(t, db, "SELECT count() FROM clicks"); n != 0 {
		t.Errorf("%d clicks were sent and could not be noted as sent", n)
	}
	if err := os.Rename(dir+".moved", dir); err != nil {
		t.Fatal(err)
	}
	faults.Await(t, "everything to be stored", func() bool { return metrictest.Sum(t, reg, "carom_clicks_waiting") == 0 })
	if found := db.Find(t, clickIDs(all)); found.Rows != len(all) || len(found.Missing)+found.Doubled+found.Others > 0 {
		t.Errorf("%d clicks, not each once: %v", len(all), found)
	}

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	fillUp(t, in, len(all))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := in.Stop(ctx); !errors.Is(err, ring.ErrMoved) {
		t.Errorf("Stop: %v, want ErrMoved", err)
	}
}
