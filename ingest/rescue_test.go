package ingest

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
)

// rescueSpool rescues as the command does.
func rescueSpool(ctx context.Context, t *testing.T, dsn, dir string, adopt bool) (RescueReport, error) {
	t.Helper()
	return watchedRescue(ctx, t, dsn, dir, adopt, func(RescueProgress) {})
}

func watchedRescue(
	ctx context.Context, t *testing.T, dsn, dir string, adopt bool, watch func(RescueProgress),
) (RescueReport, error) {
	t.Helper()
	c := Default()
	c.ClickHouse, c.Spool, c.BatchRows, c.Ring.SegmentBytes = dsn, dir, 300, 64<<10
	return Rescue(ctx, c, adopt, noPlaces(t), watch, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// damageStates makes the spool forget what it has sent.
func damageStates(t *testing.T, dir string) {
	t.Helper()
	for _, kind := range []string{clicksDir, conversionsDir} {
		path := filepath.Join(dir, kind, stateFile)
		if _, err := os.Stat(path); err == nil {
			flipByte(t, path, stateHeader+1)
		}
	}
}

// A killed node's spool, some of it delivered, does not know any more what it has sent: what is missing is delivered, though the
// rescue is interrupted and repeated, and once more from a copy; what was there stays as it is, in every table.
func TestRescue(t *testing.T) {
	db := chtest.New(t)
	dir, told := killedSpool(t, db)
	damageStates(t, dir)
	other := dir + ".other"
	copyDir(t, dir, other)
	dsn := db.DSN(engine.Admin)
	held := count(t, db, "SELECT count() FROM clicks")
	if held == 0 || held == doomedClicks {
		t.Fatalf("ClickHouse holds %d clicks: some, not all, are wanted", held)
	}
	if _, err := replaySpool(t.Context(), t, dsn, dir, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "say --by-id") {
		t.Errorf("without a state: %v", err)
	}

	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.LoseAnswers(true) // so that it does not come further than its first batch
	short, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := watchedRescue(short, t, viaProxy(dsn, db.Addr, proxy.Addr), dir, false, func(RescueProgress) {
		if proxy.Lost() > 1 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while answers get lost: %v", err)
	}
	faults.Await(t, "the insert that was under way to end", func() bool {
		return count(t, db, "SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND current_database = currentDatabase()") == 0
	})
	part := count(t, db, "SELECT count() FROM clicks")
	if part == held || part == doomedClicks {
		t.Fatalf("the interrupted rescue delivered %d clicks: some, not all, are wanted", part-held)
	}
	r, err := rescueSpool(t.Context(), t, dsn, other, true)
	if err != nil || r.Held != part || r.Missing != doomedClicks-part || r.Damaged+r.Expired+r.Refused > 0 || r.Node != 7 {
		t.Errorf("from a copy: %+v, %v; %d were there", r, err, part)
	}
	keepRollups(t, db)
	checkOnce(t, db, told)
	again, err := rescueSpool(t.Context(), t, dsn, other, false)
	if err != nil || again != r {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	for spool, says := range map[string]string{other: "was delivered by id", dir: "finish that with --by-id"} {
		if _, err := replaySpool(t.Context(), t, dsn, spool, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), says) {
			t.Errorf("a replay after a rescue: %v, want %q", err, says)
		}
	}
	checkOnce(t, db, told)
}

// A spool whose state file is gone would deliver everything again: its node holds back, and a rescue delivers the rest, with the
// conversions.
func TestRescueForgotten(t *testing.T) {
	db := chtest.New(t)
	dir := t.TempDir()
	in, _ := testIngest(t, db.DSN(engine.Edge), spoolIn(dir))
	all := put(t, in, 0, 100)
	sale := func(txid string) *Conversion {
		return &Conversion{
			Received: time.Now().UnixMilli(), Millis: time.Now().UnixMilli(), Event: "sale", TxID: txid, Amount: 49_9000, Currency: "EUR",
			Status: Approved, Source: FromPostback, Signed: true, Brand: 1, ClickID: "c",
		}
	}
	for _, txid := range []string{"T-1", "T-2"} {
		if !in.PutConversion(sale(txid)) {
			t.Fatal("conversion refused")
		}
	}
	stopIngest(t, in)
	in, _ = testIngest(t, unreachable, spoolIn(dir))
	all = append(all, put(t, in, 100, 150)...)
	for _, txid := range []string{"T-2", "T-3"} { // T-2 comes again: another message
		if !in.PutConversion(sale(txid)) {
			t.Fatal("conversion refused")
		}
	}
	abandonIngest(t, in)
	for _, kind := range []string{clicksDir, conversionsDir} {
		if err := os.Remove(filepath.Join(dir, kind, stateFile)); err != nil {
			t.Fatal(err)
		}
	}
	dsn := db.DSN(engine.Admin)
	if _, err := replaySpool(t.Context(), t, dsn, dir, false); !errors.Is(err, errCopyDelivered) || !strings.Contains(err.Error(), "--by-id") {
		t.Errorf("replay: %v", err)
	}
	r, err := rescueSpool(t.Context(), t, dsn, dir, false)
	if err != nil || r.Missing < 50+2 || r.Held+r.Missing < 50+2 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := tryIngest(t, dsn, prometheus.NewRegistry(), spoolIn(dir)); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "move the directory away") {
		t.Errorf("its node starts with it again: %v", err)
	}
	keepRollups(t, db)
	checkOnce(t, db, all)
	if n := count(t, db, "SELECT count() * 10 + uniqExact(txid) FROM conversions"); n != 43 {
		t.Errorf("%d: want 4 messages of 3 sales", n)
	}
	if n := count(t, db, "SELECT sum(messages) FROM conversions_by_influencer_daily"); n != 4 {
		t.Errorf("the rollup has %d messages", n)
	}
}

// A batch is not acknowledged when its node starts again, twice, and then its bytes are lost with the state file: the segments it was
// read from are there still. Once it is acknowledged they go.
func TestSegmentsOutliveTheirBatch(t *testing.T) {
	db := chtest.New(t)
	dir := filepath.Join(t.TempDir(), "spool")
	config := func(c *Config) {
		c.Spool, c.Ring.Lanes, c.Ring.SegmentBytes, c.BatchAge = dir, 1, 64<<10, 500*time.Millisecond
	}
	first := filepath.Join(clicksDir, "0-00000000.seg")
	alter(t, db, "ALTER TABLE clicks MODIFY SETTING table_readonly = 1")
	in, _ := testIngest(t, db.DSN(engine.Edge), config)
	var all []int
	for n := range 1000 {
		faults.Await(t, "a segment", func() bool { return in.PutClick(0, testClick(n, time.Now())) })
		all = append(all, n)
	}
	faults.Await(t, "a batch to be frozen", func() bool {
		s, err := loadState(filepath.Join(dir, clicksDir))
		return err == nil && len(s.Parts) > 0
	})
	abandonIngest(t, in)
	for range 2 {
		in, _ = testIngest(t, unreachable, config)
		abandonIngest(t, in)
	}
	alter(t, db, "ALTER TABLE clicks RESET SETTING table_readonly")
	other := dir + ".other"
	copyDir(t, dir, other)
	damageStates(t, dir)
	r, err := rescueSpool(t.Context(), t, db.DSN(engine.Admin), dir, false)
	if err != nil || r.Held != 0 || r.Missing != uint64(len(all)) {
		t.Errorf("%+v, %v", r, err)
	}
	checkOnce(t, db, all)

	alter(t, db, "TRUNCATE TABLE clicks")
	alter(t, db, "TRUNCATE TABLE node_ledger") // as if nothing had been rescued
	if _, err := replaySpool(t.Context(), t, db.DSN(engine.Edge), other, true); err != nil {
		t.Error(err)
	}
	if n := count(t, db, "SELECT count() FROM clicks"); n != uint64(len(all)) {
		t.Errorf("%d of %d clicks are delivered of what the state held", n, len(all))
	}
	if _, err := os.Stat(filepath.Join(other, first)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first segment after the acknowledgement: %v", err)
	}
}

// A node ends while a batch that ClickHouse refuses is cut up, and the file that says into what is damaged: nothing tells any more which
// pieces were stored. A rescue delivers the others, and what was set aside is tried again.
func TestRescueOfPieces(t *testing.T) {
	db := chtest.New(t)
	dir := t.TempDir()
	refuse(t, db, "visitor <= 60")
	in, reg := testIngest(t, db.DSN(engine.Edge), inOneBatch(dir))
	all := put(t, in, 0, 100)
	faults.Await(t, "the refusals to be more than single rows'", func() bool { return metrictest.Sum(t, reg, "carom_flush_blocked", "kind", "refused") == 1 })
	abandonIngest(t, in)
	held, aside := count(t, db, "SELECT count() FROM clicks"), len(quarantined(t, dir))
	if held == 0 || held > 40 || aside == 0 {
		t.Fatalf("ClickHouse holds %d clicks and %d are set aside: some of 40, and some, are wanted", held, aside)
	}
	flipByte(t, filepath.Join(dir, clicksDir, splitFile), stateHeader+1)
	mend(t, db)
	dsn := db.DSN(engine.Admin)
	if _, err := replaySpool(t.Context(), t, dsn, dir, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "say --by-id") {
		t.Errorf("a replay without the pieces: %v", err)
	}
	r, err := rescueSpool(t.Context(), t, dsn, dir, false)
	if err != nil || r.Held != held || r.Missing != uint64(len(all))-held || r.Damaged+r.Refused > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	checkOnce(t, db, all)
}

// What is damaged is counted as dropped; what is older than the table keeps rows is left alone and said; a constraint's bad row
// is set aside.
func TestRescueCounts(t *testing.T) {
	db := chtest.New(t)
	dir := t.TempDir()
	in := newTestIngest(t, unreachable, func(c *Config) { c.Spool, c.Ring.Lanes = dir, 1 })
	in.Start()
	all := put(t, in, 0, 40)
	for n := 40; n < 43; n++ {
		in.PutClick(0, testClick(n, time.Now().AddDate(-2, 0, 0)))
	}
	abandonIngest(t, in)
	damageStates(t, dir)
	flipByte(t, filepath.Join(dir, clicksDir, "0-00000000.seg"), 64+20) // of the first click
	refuse(t, db, "visitor = 12")
	r, err := rescueSpool(t.Context(), t, db.DSN(engine.Admin), dir, false)
	if err != nil || r.Held != 0 || r.Missing != 39 || r.Damaged != 1 || r.Expired != 3 || r.Refused != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if found := db.Find(t, clickIDs(all)); !found.Exact(0) || found.Rows != 38 || found.Dropped != 2 {
		t.Error(found)
	}
}

// A spool that knows what it has sent is left as it is, to a replay, whether it has sent something or not.
func TestRescueOfASoundSpool(t *testing.T) {
	db := chtest.New(t)
	dir := t.TempDir()
	dsn := db.DSN(engine.Admin)
	var all []int
	for n, clickhouse := range []string{unreachable, db.DSN(engine.Edge), unreachable} {
		in := newTestIngest(t, clickhouse, spoolIn(dir))
		in.Start()
		all = append(all, put(t, in, 50*n, 50*n+50)...)
		if clickhouse != unreachable {
			stopIngest(t, in)
			continue
		}
		abandonIngest(t, in)
		before := contents(t, dir)
		if _, err := rescueSpool(t.Context(), t, dsn, dir, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "without --by-id") {
			t.Errorf("with %d clicks: %v", len(all), err)
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Errorf("the refusal has changed the spool (-before +after):\n%s", diff)
		}
	}
	if _, err := replaySpool(t.Context(), t, dsn, dir, false); err != nil {
		t.Errorf("replay: %v", err)
	}
	checkOnce(t, db, all)
}

// contents are the checksums of all files below a directory.
func contents(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	sums := map[string]uint64{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		sums[path] = xxhash.Sum64(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// Nothing is looked up while somebody may be sending.
func TestRescueRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	in := newTestIngest(t, unreachable, spoolIn(dir))
	in.Start()
	if _, err := rescueSpool(t.Context(), t, unreachable, dir, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a spool in use: %v", err)
	}
	put(t, in, 0, 1)
	abandonIngest(t, in)
	copyDir(t, dir, dir+".copy")
	if _, err := rescueSpool(t.Context(), t, unreachable, dir+".copy", false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "say --adopt-copy") {
		t.Errorf("a copy: %v", err)
	}
	if _, err := rescueSpool(t.Context(), t, unreachable, dir, false); !errors.Is(err, errConnect) {
		t.Errorf("without ClickHouse: %v", err)
	}
}
