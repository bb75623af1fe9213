package chtest

import (
	"fmt"
	"testing"
)

// Found is what a database holds, compared with the click ids that clients were given.
type Found struct {
	Rows    int      // of the raw table
	Missing []string // ids that were given to a client and are not stored
	Doubled int      // ids that are stored more than once
	Others  int      // stored ids that no client was given: something died with the answer under way
	Dropped int      // clicks that the ledger knows not to be stored

	Disagreements []string // of rollups with the raw table, and of the ledger with both
}

func (f Found) String() string {
	s := fmt.Sprintf("%d rows, %d clicks missing, %d doubled, %d never answered, %d counted as dropped",
		f.Rows, len(f.Missing), f.Doubled, f.Others, f.Dropped)
	for _, d := range f.Disagreements {
		s += "; " + d
	}
	return s
}

// Exact reports whether the database holds what it must: each click once or counted as dropped, the same everywhere. At most
// unanswered clicks may be stored, or dropped, that no client knows of.
func (f Found) Exact(unanswered int) bool {
	uncounted := len(f.Missing) - f.Dropped
	return len(f.Disagreements) == 0 && f.Doubled == 0 && uncounted <= 0 && f.Others-uncounted <= unanswered
}

// rollups are what views make of clicks, each with the column that adds up to the rows of the raw table.
var rollups = [...]struct{ table, column string }{
	{"clicks_by_influencer_daily", "gross"},
	{"clicks_by_utm_hourly", "gross"},
	{"clicks_by_geo_daily", "gross"},
	{"clicks_by_device_daily", "gross"},
	{"clicks_by_batch", "rows"},
}

// Find compares the database, once everything has been delivered to it, with the ids that clients were given, all different.
func (db *DB) Find(t testing.TB, given []string) (f Found) {
	t.Helper()
	stored := db.clickIDs(t)
	for _, id := range given {
		if stored[id] == 0 {
			f.Missing = append(f.Missing, id)
		}
	}
	for _, n := range stored {
		f.Rows += n
		if n > 1 {
			f.Doubled++
		}
	}
	f.Others = len(stored) - (len(given) - len(f.Missing))
	for table, n := range db.Rollups(t) {
		if n != f.Rows {
			f.Disagreements = append(f.Disagreements, fmt.Sprintf("%s has %d", table, n))
		}
	}
	f.Dropped = db.number(t, "sum(dropped)", "report_ledger")
	for what, want := range map[string]int{"accepted": f.Rows + f.Dropped, "stored": f.Rows, "waiting": 0, "NOT balanced": 0} {
		if n := db.number(t, "sum("+what+")", "report_ledger"); n != want {
			f.Disagreements = append(f.Disagreements, fmt.Sprintf("the ledger says %d %s instead of %d", n, what, want))
		}
	}
	return f
}

// Rollups are the clicks in each table that a view makes of them.
func (db *DB) Rollups(t testing.TB) map[string]int {
	t.Helper()
	clicks := map[string]int{}
	for _, r := range rollups {
		clicks[r.table] = db.number(t, "sum("+r.column+")", r.table)
	}
	return clicks
}

// clickIDs counts the rows of each id.
func (db *DB) clickIDs(t testing.TB) map[string]int {
	t.Helper()
	rows, err := db.Conn.Query(t.Context(), "SELECT toString(click_id), count() FROM clicks GROUP BY click_id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]int{}
	for rows.Next() {
		var id string
		var n uint64
		if err := rows.Scan(&id, &n); err != nil {
			t.Fatal(err)
		}
		stored[id] = int(n)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return stored
}

// number is one number of a table.
func (db *DB) number(t testing.TB, expression, table string) int {
	t.Helper()
	var n int64
	if err := db.Conn.QueryRow(t.Context(), "SELECT toInt64("+expression+") FROM "+table).Scan(&n); err != nil {
		t.Fatalf("%s of %s: %v", expression, table, err)
	}
	return int(n)
}
