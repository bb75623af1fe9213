package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
	"carom/ingest/ring"
)

// unreachable is a DSN where nobody listens.
const unreachable = "clickhouse://u:p@127.0.0.1:1/carom"

// abandonIngest ends an ingest that cannot deliver, as soon as it has tried.
func abandonIngest(t *testing.T, in *Ingest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Errorf("Stop with a spool: %v; what is left stays there", err)
	}
}

func put(t *testing.T, in *Ingest, from, to int) (all []int) {
	t.Helper()
	for n := from; n < to; n++ {
		if !in.PutClick(uint64(n), testClick(n, time.Now())) {
			t.Fatalf("click %d was refused", n)
		}
		all = append(all, n)
	}
	return all
}

func spoolIn(dir string) func(*Config) { return func(c *Config) { c.Spool = dir } }

// What could not be delivered before a stop is delivered by the next start, once, conversions too, and batch numbers go
// on under the same identity.
func TestSpoolGoesOn(t *testing.T) {
	db := chtest.New(t)
	dir := t.TempDir()
	in, _ := testIngest(t, db.DSN(engine.Edge), spoolIn(dir))
	all := put(t, in, 0, 100)
	stopIngest(t, in)

	in, reg := testIngest(t, unreachable, spoolIn(dir))
	all = append(all, put(t, in, 100, 250)...)
	if !in.PutConversion(&Conversion{Received: time.Now().UnixMilli(), Millis: time.Now().UnixMilli(), ClickID: "c", Event: "sale", TxID: "T-1"}) {
		t.Fatal("conversion refused")
	}
	abandonIngest(t, in)
	if waiting := metrictest.Sum(t, reg, "carom_clicks_waiting"); waiting != 150 {
		t.Errorf("carom_clicks_waiting is %v after the stop, want 150", waiting)
	}
	if dropped := metrictest.Sum(t, reg, "carom_clicks_dropped_total"); dropped != 0 {
		t.Errorf("%v clicks are counted as dropped; they are in the spool", dropped)
	}

	in, reg = testIngest(t, db.DSN(engine.Edge), spoolIn(dir))
	newest := testClick(0, time.Now()).Millis
	if high := in.HighWater(); high > newest || high < newest-60_000 {
		t.Errorf("HighWater is %d, the clicks are of %d", high, newest)
	}
	all = append(all, put(t, in, 250, 300)...)
	stopIngest(t, in)
	checkOnce(t, db, all)
	if n := count(t, db, "SELECT count() FROM conversions"); n != 1 {
		t.Errorf("%d conversions, want 1", n)
	}
	if n := count(t, db, "SELECT uniqExact(substring(batch_id, 1, 16)) FROM clicks"); n != 1 {
		t.Errorf("batches of %d spools, want 1", n)
	}
	if accepted := metrictest.Sum(t, reg, "carom_clicks_accepted_total"); accepted != 200 {
		t.Errorf("carom_clicks_accepted_total is %v, want the 150 left and 50 new", accepted)
	}
}

// viaProxy is a DSN with another address.
func viaProxy(dsn, from, to string) string { return strings.Replace(dsn, from, to, 1) }

// The answer to an insert is lost after the commit, again and again: the rows are stored once.
func TestAnswerLost(t *testing.T) {
	db := chtest.New(t)
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.LoseAnswers(true)
	in, _ := testIngest(t, viaProxy(db.DSN(engine.Edge), db.Addr, proxy.Addr), spoolIn(t.TempDir()))
	all := put(t, in, 0, 200)
	faults.Await(t, "two answers to be lost", func() bool { return proxy.Lost() >= 2 })
	proxy.LoseAnswers(false)
	stopIngest(t, in)
	checkOnce(t, db, all)
}

// rememberTen makes the tables of clicks forget a token after ten later inserts.
func rememberTen(t *testing.T, db *chtest.DB) { rememberBlocks(t, db, 10) }

// rememberBlocks makes the tables of clicks forget a token after so many later inserts.
func rememberBlocks(t *testing.T, db *chtest.DB, blocks int) {
	t.Helper()
	for _, table := range []string{
		"clicks", "clicks_by_influencer_daily", "clicks_by_utm_hourly", "clicks_by_geo_daily", "clicks_by_device_daily", "clicks_by_batch",
	} {
		if err := db.Conn.Exec(t.Context(), fmt.Sprintf("ALTER TABLE %s MODIFY SETTING non_replicated_deduplication_window = %d", table, blocks)); err != nil {
			t.Fatal(err)
		}
	}
}

// overflow makes ClickHouse forget: other writers insert more batches than it remembers.
func overflow(t *testing.T, db *chtest.DB) (others int) {
	t.Helper()
	in, _ := testIngest(t, db.DSN(engine.Edge), func(c *Config) { c.BatchRows, c.BatchAge = 10, time.Millisecond })
	for i := range 25 {
		put(t, in, 1_000_000+10*i, 1_000_010+10*i)
		time.Sleep(5 * time.Millisecond)
	}
	stopIngest(t, in)
	return 250
}

// lostAndForgotten has a batch stored, its answer lost, and its token forgotten before the node, started again, sends it
// again. change may weaken the node.
func lostAndForgotten(t *testing.T, change func(*chtest.DB, *Ingest)) (db *chtest.DB, all []int) {
	t.Helper()
	db = chtest.New(t)
	rememberTen(t, db)
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.LoseAnswers(true)
	dir := t.TempDir()
	config := func(c *Config) { c.Spool, c.DedupWindow = dir, 10 }
	in, _ := testIngest(t, viaProxy(db.DSN(engine.Edge), db.Addr, proxy.Addr), config)
	all = put(t, in, 0, 50)
	faults.Await(t, "an answer to be lost", func() bool { return proxy.Lost() >= 1 })
	abandonIngest(t, in)
	n := overflow(t, db)
	for i := range n {
		all = append(all, 1_000_000+i)
	}
	in = newTestIngest(t, db.DSN(engine.Edge), config)
	change(db, in)
	in.Start()
	stopIngest(t, in)
	return db, all
}

func TestFaultDeduplicationWindowOverflown(t *testing.T) {
	db, all := lostAndForgotten(t, func(*chtest.DB, *Ingest) {})
	checkOnce(t, db, all)
}

// The test before would notice: where the token is trusted beyond the window, the same accident doubles clicks.
func TestFaultDeduplicationWindowIgnored(t *testing.T) {
	db, all := lostAndForgotten(t, func(db *chtest.DB, in *Ingest) {
		in.clickFlusher.config.DedupWindow = 1 << 30
		rememberBlocks(t, db, 1<<30)
	})
	if n := count(t, db, "SELECT count() FROM clicks"); n == uint64(len(all)) {
		t.Errorf("%d rows: a batch sent again after its token was forgotten was not stored twice", n)
	}
}

// Somebody made the tables forget at once, and after the accident set back what the schema has: a batch whose answer was lost is
// looked for, as its token may never have been noted.
func TestFaultDeduplicationWindowAltered(t *testing.T) {
	for _, test := range []struct {
		name   string
		mended bool // before the batch is sent again
	}{{"and left so", false}, {"and set back", true}} {
		t.Run(test.name, func(t *testing.T) {
			db := chtest.New(t)
			rememberBlocks(t, db, 0)
			proxy := faults.NewProxy(t, db.Addr, "clicks")
			proxy.LoseAnswers(true)
			in, _ := testIngest(t, viaProxy(db.DSN(engine.Edge), db.Addr, proxy.Addr), spoolIn(t.TempDir()))
			all := put(t, in, 0, 50)
			faults.Await(t, "an answer to be lost", func() bool { return proxy.Lost() >= 1 })
			if test.mended {
				rememberBlocks(t, db, Default().DedupWindow)
			}
			proxy.LoseAnswers(false)
			stopIngest(t, in)
			checkOnce(t, db, all)
		})
	}
}

// newTestIngest makes an ingest as testIngest does and does not start it.
func newTestIngest(t *testing.T, dsn string, change func(*Config)) *Ingest {
	t.Helper()
	in, err := tryIngest(t, dsn, prometheus.NewRegistry(), change)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func tryIngest(t *testing.T, dsn string, reg *prometheus.Registry, change func(*Config)) (*Ingest, error) {
	t.Helper()
	c := Default()
	c.ClickHouse, c.Node, c.BatchAge = dsn, 7, 50*time.Millisecond
	change(&c)
	return New(c, noPlaces(t), reg, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// A spool that is in use, was copied, or belongs to another node is refused with words that help.
func TestSpoolRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	in := newTestIngest(t, unreachable, spoolIn(dir))
	in.Start()
	if _, err := tryIngest(t, unreachable, prometheus.NewRegistry(), spoolIn(dir)); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a spool in use: %v", err)
	}
	abandonIngest(t, in)
	if _, err := tryIngest(t, unreachable, prometheus.NewRegistry(), func(c *Config) { c.Spool, c.Node = dir, 8 }); !errors.Is(err, ErrSpool) ||
		!strings.Contains(err.Error(), "belongs to node 7") {
		t.Errorf("a spool of another node: %v", err)
	}
	if out, err := exec.Command("cp", "-a", dir, dir+".copy").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if _, err := tryIngest(t, unreachable, prometheus.NewRegistry(), spoolIn(dir+".copy")); !errors.Is(err, ErrSpool) ||
		!strings.Contains(err.Error(), "is a copy") {
		t.Errorf("a copied spool: %v", err)
	}
	if err := os.Rename(dir, dir+".moved"); err != nil {
		t.Fatal(err)
	}
	in = newTestIngest(t, unreachable, spoolIn(dir+".moved"))
	in.Start()
	abandonIngest(t, in)
}

// Where the spool cannot be made, the node serves from memory and says so.
func TestSpoolDegraded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db := chtest.New(t)
	reg := prometheus.NewRegistry()
	in, err := tryIngest(t, db.DSN(engine.Edge), reg, spoolIn(filepath.Join(file, "spool")))
	if err != nil {
		t.Fatal(err)
	}
	if v := metrictest.Sum(t, reg, "carom_spool_degraded"); v != 1 {
		t.Errorf("carom_spool_degraded = %v, want 1", v)
	}
	in.Start()
	put(t, in, 0, 10)
	stopIngest(t, in)
	if n := count(t, db, "SELECT count() FROM clicks"); n != 10 {
		t.Errorf("%d rows, want 10", n)
	}
}

// Frozen bytes are what a typed block sends, a state is read back as it was written, and a damaged one is refused.
func TestState(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	p := newPart(conversionTable{7})
	p.begin(weekOf(now))
	(&batchNamer{spool: newSpoolID()}).name(p)
	r, err := ring.New(Default().ConversionRing)
	if err != nil {
		t.Fatal(err)
	}
	(&Conversion{Received: now, Millis: now, ClickID: "c", Event: "sale", TxID: "T-1", Currency: "EUR"}).Put(r, 0)
	r.Read(1, func(record []byte) {
		if err := p.append(record, now); err != nil {
			t.Error(err)
		}
	})
	if p.frozen, err = p.rows.data().freeze(new(proto.Buffer), p.name, nil); err != nil {
		t.Fatal(err)
	}
	p.stamp = stampOf(p.name, p.frozen.digest(nil))
	if err := j.keep(&flight{whole: []*part{p}, rows: 1, mark: r.Mark(nil)}, p.number, 0, nil); err != nil {
		t.Fatal(err)
	}
	s, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	fl, err := (&journal{dir: dir, state: s}).recovered()
	if err != nil {
		t.Fatal(err)
	}
	if len(fl.parts) != 1 || fl.parts[0].token() != p.token() || fl.rows != 1 || fl.parts[0].week != p.week {
		t.Errorf("recovered %+v, frozen %+v", fl.parts[0], p)
	}
	for i, c := range fl.parts[0].block().columns {
		want := p.frozen.columns[i]
		if c.Name != want.Name || !bytes.Equal(c.Data.(frozenColumn).bytes, want.Data.(frozenColumn).bytes) || c.Data.Type() != want.Data.Type() {
			t.Errorf("column %d: %s differs from %s", i, c.Name, want.Name)
		}
	}
	whole, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0xff
		if _, err := parseState(damaged); !errors.Is(err, errState) {
			t.Fatalf("byte %d flipped: %v, want errState", at, err)
		}
		if _, err := parseState(whole[:at]); !errors.Is(err, errState) {
			t.Fatalf("cut to %d bytes: %v, want errState", at, err)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"parts":[{"rows":1,"columns":[{"name":"a","type":"UInt8","bytes":1}]}]}`), []byte{1})
	f.Fuzz(func(t *testing.T, text, data []byte) {
		dir := t.TempDir()
		if err := replaceFile(filepath.Join(dir, stateFile), stateBytes(nil, text, data)...); err != nil {
			t.Fatal(err)
		}
		if _, err := loadState(dir); err != nil && !errors.Is(err, errState) {
			t.Fatal(err)
		}
	})
}

// The high water mark only grows, but for one that a broken clock left and that newer records show to be given up.
func TestHighWaterRaised(t *testing.T) {
	now := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct{ mark, newest, want time.Time }{
		"newer":           {now, now.Add(time.Second), now.Add(time.Second)},
		"older":           {now, now.Add(-time.Hour), now},
		"of 2093, mended": {now.AddDate(67, 0, 0), now, now},
		"into 2093":       {now, now.AddDate(67, 0, 0), now.AddDate(67, 0, 0)},
		"nothing new":     {now, time.UnixMilli(0), now},
	} {
		if got := raised(test.mark.UnixMilli(), test.newest.UnixMilli()); got != test.want.UnixMilli() {
			t.Errorf("%s: %v, want %v", name, time.UnixMilli(got).UTC(), test.want)
		}
	}
}

// A budget in small segments is not more files than a process can map.
func TestSpoolBudget(t *testing.T) {
	for _, test := range []struct{ budget, segment, want int }{
		{8 << 30, 4 << 20, 8 << 30},
		{64 << 20, 64 << 10, 64 << 20},
		{8 << 30, 64 << 10, 2 << 30},
		{1 << 40, 4 << 20, 128 << 30},
	} {
		c := Default()
		c.SpoolBytes, c.Ring.SegmentBytes = test.budget, test.segment
		if got := c.spoolBudget(); got != test.want {
			t.Errorf("%d bytes in segments of %d: %d are taken, want %d", test.budget, test.segment, got, test.want)
		}
	}
}
