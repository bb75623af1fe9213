package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
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

// labelled is the value of a metric with that label.
func labelled(t *testing.T, reg *prometheus.Registry, name, label, value string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && l.GetValue() == value {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
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
		if v := metricValue(t, reg, metric); v != want {
			t.Errorf("%s = %v, want %v", metric, v, want)
		}
	}
	if v := labelled(t, reg, "carom_clicks_dropped_total", "reason", "quarantined"); v != float64(aside) {
		t.Errorf("carom_clicks_dropped_total{reason=\"quarantined\"} = %v, want %d", v, aside)
	}
	accepted, said := metricValue(t, reg, "carom_clicks_accepted_total"), metricValue(t, reg, "carom_clicks_stored_total")
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
func TestOneRowRefused(t *testing.T) {
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
			waitDelivered(t, reg)
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
			in, reg := testIngest(t, db.DSN(engine.Edge), func(c *Config) { c.BatchAge, c.Spool = time.Second, dir })
			put(t, in, 0, test.put)
			waitDelivered(t, reg)
			stopIngest(t, in)
			checkBalance(t, db, reg, test.put, test.aside)
			if n := len(quarantined(t, dir)); n != test.aside {
				t.Errorf("%d rows in the quarantine, want %d", n, test.aside)
			}
		})
	}
}

// Trouble that is no row's fault: nothing is set aside, one metric says what is wrong, and when it is mended all is stored.
func TestTroubleHeals(t *testing.T) {
	set := func(setting string) (string, string) {
		return "ALTER TABLE clicks MODIFY SETTING " + setting + " = 1", "ALTER TABLE clicks RESET SETTING " + setting
	}
	readonlyOn, readonlyOff := set("table_readonly")
	tests := []struct {
		name, harm, mend string
		kind             string
	}{
		{"a constraint that nobody satisfies", "ALTER TABLE clicks ADD CONSTRAINT picky CHECK node = 99", "ALTER TABLE clicks DROP CONSTRAINT picky", "refused"},
		{"a column of another type",
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
			in, reg := testIngest(t, db.DSN(engine.Edge), func(c *Config) { c.BatchAge, c.Spool = 200*time.Millisecond, dir })
			put(t, in, 0, 100)
			waitDelivered(t, reg)
			alter(t, db, test.harm)
			put(t, in, 100, 600)
			waitLong(t, "the trouble to show", func() bool { return labelled(t, reg, "carom_flush_blocked", "kind", test.kind) == 1 })
			put(t, in, 600, 700)
			if n := metricValue(t, reg, "carom_flush_blocked"); n != 1 {
				t.Errorf("%v kinds of trouble at the same time", n)
			}
			alter(t, db, test.mend)
			waitDelivered(t, reg)
			stopIngest(t, in)
			checkBalance(t, db, reg, 700, 0)
		})
	}
}

func waitDelivered(t *testing.T, reg *prometheus.Registry) {
	t.Helper()
	waitLong(t, "everything to be stored or set aside", func() bool { return metricValue(t, reg, "carom_clicks_waiting") == 0 })
}

// waitLong waits as long as many attempts on a busy machine take.
func waitLong(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited two minutes for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
