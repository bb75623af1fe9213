package ingest

import (
	"encoding/base64"
	"flag"
	"testing"
	"time"

	"carom/ingest/chtest"
)

var long = flag.Bool("long", false, "run the fault tests in their long form")

// checkOnce fails unless each click of these numbers is in the raw table once, at most extra others are, every rollup agrees with
// it, and the ledger balances.
func checkOnce(t *testing.T, db *chtest.DB, told []int, extra int) {
	t.Helper()
	ids := make([]string, len(told))
	for i, n := range told {
		c := testClick(n, time.Time{})
		ids[i] = base64.RawURLEncoding.EncodeToString(c.ID[:])
	}
	if found := db.Find(t, ids); found.Dropped > 0 || !found.Exact(extra) {
		t.Errorf("%d clicks, not each once: %v", len(told), found)
	}
}

// checkRollups fails unless each rollup has so many clicks.
func checkRollups(t *testing.T, db *chtest.DB, total uint64) {
	t.Helper()
	for table, n := range db.Rollups(t) {
		if n != int(total) {
			t.Errorf("%s has %d clicks, the raw table %d", table, n, total)
		}
	}
}
