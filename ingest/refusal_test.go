package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
)

// alter changes something in the test's database as its administrator.
func alter(t *testing.T, db *chtest.DB, query string) {
	t.Helper()
	if err := db.Conn.Exec(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// refuse makes the raw table refuse some clicks.
func refuse(t *testing.T, db *chtest.DB, condition string) {
	t.Helper()
	alter(t, db, "ALTER TABLE clicks ADD CONSTRAINT picky CHECK NOT ("+condition+")")
}

func mend(t *testing.T, db *chtest.DB) {
	t.Helper()
	alter(t, db, "ALTER TABLE clicks DROP CONSTRAINT IF EXISTS picky")
}

// inOneBatch is a small spool that sends together what is put within half a second.
func inOneBatch(dir string) func(*Config) {
	return func(c *Config) {
		smallSpool(dir)(c)
		c.BatchAge = 500 * time.Millisecond
	}
}

// quarantined reads the quarantine of a spool's clicks.
func quarantined(t *testing.T, spool string) (rows []refusedRow) {
	t.Helper()
	if err := newQuarantine(filepath.Join(spool, clicksDir)).each(func(r refusedRow) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	return rows
}

// checkBalance fails unless of put clicks so many are quarantined and the others stored once, in the raw table and in the
// rollups, and the metrics and the ledger say so.
func checkBalance(t *testing.T, db *chtest.DB, reg *prometheus.Registry, put, aside int) {
	t.Helper()
	stored := uint64(put - aside)
	for _, q := range []string{"SELECT count() FROM clicks", "SELECT uniqExact(click_id) FROM clicks"} {
		if n := count(t, db, q); n != stored {
			t.Errorf("%s = %d, want %d", q, n, stored)
		}
	}
	checkRollups(t, db, stored)
	for metric, want := range map[string]float64{
		"carom_clicks_waiting": 0, "carom_clicks_dropped_total": float64(aside), "carom_flush_blocked": 0, "carom_spool_failing": 0,
	} {
		if v := metrictest.Sum(t, reg, metric); v != want {
			t.Errorf("%s = %v, want %v", metric, v, want)
		}
	}
	if v := metrictest.Sum(t, reg, "carom_clicks_dropped_total", "reason", "quarantined"); v != float64(aside) {
		t.Errorf("carom_clicks_dropped_total{reason=\"quarantined\"} = %v, want %d", v, aside)
	}
	accepted, said := metrictest.Sum(t, reg, "carom_clicks_accepted_total"), metrictest.Sum(t, reg, "carom_clicks_stored_total")
	if accepted != said+float64(aside) {
		t.Errorf("accepted %v, stored %v, set aside %d", accepted, said, aside)
	}
	checkLedger(t, db, uint64(put), uint64(aside))
}

func checkLedger(t *testing.T, db *chtest.DB, accepted, aside uint64) {
	t.Helper()
	var balanced bool
	var took, stored, dropped uint64
	if err := db.Conn.QueryRow(t.Context(), `SELECT min(balanced) = 1, toUInt64(sum(accepted)), toUInt64(sum(stored)),
		toUInt64(sum(dropped_reasons['quarantined'])) FROM report_ledger`).Scan(&balanced, &took, &stored, &dropped); err != nil {
		t.Fatal(err)
	}
	if !balanced || took != accepted || stored != accepted-aside || dropped != aside {
		t.Errorf("ledger: accepted %d, stored %d, quarantined %d, balanced %v; want %d, %d, %d", took, stored, dropped, balanced,
			accepted, accepted-aside, aside)
	}
}

// One row of ten thousand that a constraint refuses is set aside with ClickHouse's words; the others are stored once.
func TestFaultOneRowRefused(t *testing.T) {
	for _, spooled := range []bool{true, false} {
		t.Run(fmt.Sprintf("spool=%v", spooled), func(t *testing.T) {
			db := chtest.New(t)
			refuse(t, db, "visitor = 7001")
			dir := ""
			if spooled {
				dir = t.TempDir()
			}
			in, reg := testIngest(t, db.DSN(engine.Edge), func(c *Config) { c.BatchAge, c.Spool = time.Second, dir })
			put(t, in, 0, 10_000)
			waitDelivered(t, reg, 10_000)
			stopIngest(t, in)
			checkBalance(t, db, reg, 10_000, 1)
			if !spooled {
				return
			}
			rows := quarantined(t, dir)
			if len(rows) != 1 {
				t.Fatalf("%d rows in the quarantine, want 1", len(rows))
			}
			row := rows[0]
			if row.Row["visitor"] != "7001" || row.Row["sub5"] != "é" || row.Row["ip_prefix"] != "::ffff:203.0.113.0" ||
				row.Table != "clicks" || !strings.Contains(row.Error, "picky") {
				t.Errorf("quarantine: %+v", row)
			}
			if _, err := os.Stat(filepath.Join(dir, clicksDir, splitFile)); err == nil {
				t.Error("the split file is still there")
			}
			// The file holds what is needed to store the row after all.
			mend(t, db)
			insertAgain(t, db, row)
			if n := count(t, db, "SELECT count() FROM clicks WHERE visitor = 7001 AND sub5 = 'é' AND tier = 'micro' AND node = 7"); n != 1 {
				t.Errorf("%d rows inserted from the quarantine, want 1", n)
			}
		})
	}
}

// insertAgain stores a row of the quarantine as FORMAT.md says.
func insertAgain(t *testing.T, db *chtest.DB, r refusedRow) {
	t.Helper()
	text, err := json.Marshal(r.Row)
	if err != nil {
		t.Fatal(err)
	}
	alter(t, db, "INSERT INTO clicks FORMAT JSONEachRow "+string(text))
}

// Bad rows in a crowd, alone, and in a batch of their own.
func TestRowsRefused(t *testing.T) {
	tests := []struct {
		name, condition string
		put, aside      int
	}{
		{"one in a hundred", "visitor % 100 = 3", 1000, 10},
		{"a crowd side by side", "visitor BETWEEN 501 AND 560", 1000, 60},
		{"first and last", "visitor IN (1, 500)", 500, 2},
		{"the only row", "visitor = 1", 1, 1},
		{"a few and no other", "visitor < 100", 9, 9},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			db := chtest.New(t)
			refuse(t, db, test.condition)
			dir := t.TempDir()
			in, reg := testIngest(t, db.DSN(engine.Edge), inOneBatch(dir))
			put(t, in, 0, test.put)
			waitDelivered(t, reg, test.put)
			stopIngest(t, in)
			checkBalance(t, db, reg, test.put, test.aside)
			if n := len(quarantined(t, dir)); n != test.aside {
				t.Errorf("%d rows in the quarantine, want %d", n, test.aside)
			}
		})
	}
}

// Trouble that is no row's fault: nothing is set aside, one metric says what is wrong, and when it is mended all is stored.
func TestFaultTroubleHeals(t *testing.T) {
	set := func(setting string) (string, string) {
		return "ALTER TABLE clicks MODIFY SETTING " + setting + " = 1", "ALTER TABLE clicks RESET SETTING " + setting
	}
	readonlyOn, readonlyOff := set("table_readonly")
	tests := []struct {
		name, harm, mend string
		kind             string
	}{
		{"a constraint that nobody satisfies", "ALTER TABLE clicks ADD CONSTRAINT picky CHECK node = 99", "ALTER TABLE clicks DROP CONSTRAINT picky", "refused"},
		{
			"a column of another type",
			"ALTER TABLE clicks DROP COLUMN sub5, ADD COLUMN sub5 UInt32 AFTER sub4", "ALTER TABLE clicks MODIFY COLUMN sub5 String", "refused",
		},
		{"a column gone", "ALTER TABLE clicks DROP COLUMN sub5", "ALTER TABLE clicks ADD COLUMN sub5 String AFTER sub4", "schema"},
		{"a table gone", "RENAME TABLE clicks TO clicks_away", "RENAME TABLE clicks_away TO clicks", "schema"},
		{"a read-only table", readonlyOn, readonlyOff, "readonly"},
		{"too many parts", "ALTER TABLE clicks MODIFY SETTING parts_to_throw_insert = 1", "ALTER TABLE clicks RESET SETTING parts_to_throw_insert", "busy"},
		{
			"a view that fails",
			"CREATE MATERIALIZED VIEW bad_mv ENGINE = Memory DEFINER = CURRENT_USER SQL SECURITY DEFINER AS SELECT throwIf(visitor > 0) AS x FROM clicks",
			"DROP VIEW bad_mv",
			"view",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			db := chtest.New(t)
			dir := t.TempDir()
			in, reg := testIngest(t, db.DSN(engine.Edge), smallSpool(dir))
			put(t, in, 0, 100)
			waitDelivered(t, reg, 100)
			alter(t, db, test.harm)
			put(t, in, 100, 600)
			faults.Await(t, "the trouble to show", func() bool { return metrictest.Sum(t, reg, "carom_flush_blocked", "kind", test.kind) == 1 })
			put(t, in, 600, 700)
			if n := metrictest.Sum(t, reg, "carom_flush_blocked"); n != 1 {
				t.Errorf("%v kinds of trouble at the same time", n)
			}
			alter(t, db, test.mend)
			waitDelivered(t, reg, 700)
			stopIngest(t, in)
			checkBalance(t, db, reg, 700, 0)
		})
	}
}

// waitDelivered waits until all of so many clicks are stored or set aside.
func waitDelivered(t *testing.T, reg *prometheus.Registry, clicks int) {
	t.Helper()
	faults.Await(t, "everything to be stored or set aside", func() bool {
		return metrictest.Sum(t, reg, "carom_clicks_accepted_total") == float64(clicks) && metrictest.Sum(t, reg, "carom_clicks_waiting") == 0
	})
}

// The edge has no right to insert for as long as an operator forgot it. Users of the embedded engine are written when it
// starts.
func TestGrantForgotten(t *testing.T) {
	cfg := chtest.Config(t)
	start := func(database string) *engine.Engine {
		cfg.Databases = []string{database}
		return chtest.Start(t, cfg)
	}
	server := start("carom")
	db := chtest.Use(t, server)
	_, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.NativePort, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	again := func(database string) {
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		server = start(database)
	}
	in, reg := testIngest(t, server.DSN(engine.Edge), smallSpool(t.TempDir()))
	put(t, in, 0, 100)
	waitDelivered(t, reg, 100)
	again("elsewhere")
	put(t, in, 100, 200)
	faults.Await(t, "the missing grant to show", func() bool { return metrictest.Sum(t, reg, "carom_flush_blocked", "kind", "denied") == 1 })
	again("carom")
	waitDelivered(t, reg, 200)
	stopIngest(t, in)
	checkBalance(t, db, reg, 200, 0)
}

// What a failure is taken for decides whether rows may be blamed.
func TestTroubleOf(t *testing.T) {
	said := func(code proto.Error) error { return fmt.Errorf("insert 5 rows: %w", &ch.Exception{Code: code}) }
	tests := []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: %w", errConnect, errors.New("connection refused")), "network"},
		{errors.New("EOF"), "network"},
		{fmt.Errorf("insert: %w", context.DeadlineExceeded), "timeout"},
		{fmt.Errorf("read: %w", os.ErrDeadlineExceeded), "timeout"},
		{said(proto.ErrTooManyParts), "busy"},
		{said(proto.ErrMemoryLimitExceeded), "busy"},
		{said(proto.ErrQuotaExceeded), "busy"},
		{said(proto.ErrCannotWriteToFileDescriptor), "busy"},
		{said(proto.ErrTableIsReadOnly), "readonly"},
		{said(proto.ErrKeeperException), "readonly"},
		{fmt.Errorf("%w: %w", errConnect, said(proto.ErrAuthenticationFailed)), "denied"},
		{said(proto.ErrAccessDenied), "denied"},
		{said(proto.ErrSettingConstraintViolation), "denied"},
		{said(proto.ErrUnknownTable), "schema"},
		{said(proto.ErrNoSuchColumnInTable), "schema"},
		{said(proto.ErrViolatedConstraint), "refused"},
		{said(proto.ErrCannotParseText), "refused"},
		{fmt.Errorf("%w: %w", errView, said(proto.ErrViolatedConstraint)), "view"},
		{said(proto.ErrLogicalError), "other"},
		{said(99_999), "other"},
		{fmt.Errorf("%w: %w", errJournal, syscall.ENOSPC), "spool"},
	}
	for _, test := range tests {
		if got := troubleOf(test.err).String(); got != test.want {
			t.Errorf("troubleOf(%v) = %s, want %s", test.err, got, test.want)
		}
	}
}

// Conversions keep the same promise, under names of their own.
func TestConversionRefused(t *testing.T) {
	db := chtest.New(t)
	alter(t, db, "ALTER TABLE conversions ADD CONSTRAINT picky CHECK txid != 'T-3'")
	dir := t.TempDir()
	in, reg := testIngest(t, db.DSN(engine.Edge), inOneBatch(dir))
	now := time.Now().UnixMilli()
	for i := range 8 {
		if !in.PutConversion(&Conversion{
			Received: now, Millis: now, ClickTime: now, Amount: 49_9000, Status: Approved, Source: FromPixel,
			ClickID: "c\xff", Event: "sale", TxID: fmt.Sprintf("T-%d", i), Currency: "EUR",
		}) {
			t.Fatal("refused by the ring")
		}
	}
	faults.Await(t, "the conversions", func() bool {
		return metrictest.Sum(t, reg, "carom_conversions_waiting") == 0 && metrictest.Sum(t, reg, "carom_conversions_accepted_total") == 8
	})
	stopIngest(t, in)
	if stored, aside := metrictest.Sum(t, reg, "carom_conversions_stored_total"),
		metrictest.Sum(t, reg, "carom_conversions_dropped_total", "reason", "quarantined"); stored != 7 || aside != 1 {
		t.Errorf("%v stored, %v set aside, want 7 and 1", stored, aside)
	}
	if n := count(t, db, "SELECT uniqExact(txid) FROM conversions"); n != 7 {
		t.Errorf("%d conversions in ClickHouse, want 7", n)
	}
	var rows []refusedRow
	if err := newQuarantine(filepath.Join(dir, conversionsDir)).each(func(r refusedRow) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Row["txid"] != "T-3" || rows[0].Row["amount"] != "49.9000" || rows[0].Row["signed"] != false ||
		fmt.Sprint(rows[0].Row["click_id"]) != "map[base64:Y/8=]" {
		t.Errorf("quarantine: %+v", rows)
	}
}

// A row that is only in the log does not say where it came from, and a flood of them is one line a minute.
func TestTeller(t *testing.T) {
	var log bytes.Buffer
	now := time.Now()
	l := &teller{log: slog.New(slog.NewTextHandler(&log, nil)), metrics: newFlushMetrics(clicksDir)}
	row := func() refusedRow {
		return refusedRow{Table: "clicks", Batch: "b-1", Error: "bad\nrow", Row: map[string]any{"ip_prefix": "203.0.113.0", "slug": "a\"\nb"}}
	}
	for range 1000 {
		l.setAside(row(), true, now)
	}
	l.setAside(row(), true, now.Add(tellEvery))
	for range 1000 {
		l.failed(errConnect, now)
		l.failed(errView, now)
	}
	l.over(now.Add(time.Second))
	l.failed(errConnect, now.Add(tellEvery))
	text := log.String()
	if n := strings.Count(text, "\n"); n != 6 {
		t.Errorf("%d lines, want 2 of rows, 2 of trouble, 1 that it is over, 1 of trouble again:\n%s", n, text)
	}
	if strings.Contains(text, "203.0.113") || !strings.Contains(text, "hidden=999") || !strings.Contains(text, "hidden=1998") {
		t.Error(text)
	}
}
