package ingest

import (
	"encoding/base64"
	"testing"
	"time"

	"carom/ingest/chtest"
)

// checkOnce fails unless each click of these numbers is in the raw table once, no other is, every rollup agrees with it, and the
// ledger balances.
func checkOnce(t *testing.T, db *chtest.DB, told []int) {
	t.Helper()
	if found := db.Find(t, clickIDs(told)); found.Dropped > 0 || !found.Exact(0) {
		t.Errorf("%d clicks, not each once: %v", len(told), found)
	}
}

// clickIDs are the ids of testClicks.
func clickIDs(told []int) []string {
	ids := make([]string, len(told))
	for i, n := range told {
		c := testClick(n, time.Time{})
		ids[i] = base64.RawURLEncoding.EncodeToString(c.ID[:])
	}
	return ids
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
