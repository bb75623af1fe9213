package ingest

import (
	"context"
	"errors"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// ClickHouse falls silent, with connections open, in the middle of whatever the node asks: a stop takes no longer than it may, and
// what is left is delivered, once, by the next start.
func TestStopWhileClickHouseIsSilent(t *testing.T) {
	db := chtest.New(t)
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	dsn, spool := viaProxy(db.DSN(engine.Edge), db.Addr, proxy.Addr), t.TempDir()
	const attempt = time.Minute // far longer than stops may take
	in, _ := testIngest(t, dsn, func(c *Config) { c.Spool, c.InsertTimeout, c.LookEvery = spool, attempt, time.Millisecond })
	all := put(t, in, 0, 50)
	faults.Await(t, "the first clicks", func() bool { return count(t, db, "SELECT count() FROM clicks") == 50 })
	proxy.Delay(2 * attempt)
	all = append(all, put(t, in, 50, 100)...)
	time.Sleep(200 * time.Millisecond) // the silence has begun for the flusher and for the ledger
	began := time.Now()
	abandonIngest(t, in)
	if took := time.Since(began); took > attempt/2 {
		t.Errorf("the stop took %v", took)
	}
	in, _ = testIngest(t, db.DSN(engine.Edge), spoolIn(spool))
	stopIngest(t, in)
	checkOnce(t, db, all)
}

// A question that ClickHouse does not answer ends with its time, and says so.
func TestSilenceIsATimeout(t *testing.T) {
	db := chtest.New(t)
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	w, err := newWriter(viaProxy(db.DSN(engine.Edge), db.Addr, proxy.Addr), 2*time.Second, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if n, err := w.number(t.Context(), "SELECT toInt64(7)"); n != 7 || err != nil {
		t.Fatal(n, err)
	}
	proxy.Delay(time.Minute)
	if _, err := w.number(t.Context(), "SELECT toInt64(7)"); !errors.Is(err, context.DeadlineExceeded) || troubleOf(err) != troubleTimeout {
		t.Errorf("a silent server: %v, which is trouble %v", err, troubleOf(err))
	}
	proxy.Delay(0)
	if n, err := w.number(t.Context(), "SELECT toInt64(7)"); n != 7 || err != nil {
		t.Errorf("once it speaks again: %d, %v", n, err)
	}
}
