package ingest

import (
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"carom/ingest/ring"
)

func testLedger(t *testing.T, before account) *ledger {
	t.Helper()
	c := Default()
	c.ClickHouse = unreachable
	l, err := newLedger(c, newSpoolID(), before, 0, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What earlier processes counted as refused stays so where the ring's own count is lost or behind, and only what it refuses from
// then on is added, in the hour when it does.
func TestRefusalsForgotten(t *testing.T) {
	now := time.Now()
	this, before := hourOf(now.UnixMilli()), hourOf(now.UnixMilli())-secondsPerHour
	for _, test := range []struct {
		name    string
		counts  []uint64 // of the ring, from the start on
		refused uint64   // in this hour
	}{
		{"the count goes on", []uint64{10, 12}, 2},
		{"the power went before the last refusals were on the disk", []uint64{9, 9, 10}, 1},
		{"the count begins again", []uint64{0, 0, 3, 5}, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			known := account{Full: 10, Current: before}
			known.drop(before, dropFull, 10)
			l := testLedger(t, known)
			for _, full := range test.counts {
				l.observe(ring.Stats{Full: full}, 0, now)
			}
			earlier, later := l.account.Hours[before].Dropped[dropFull], l.account.Hours[this].Dropped[dropFull]
			if earlier != 10 || later != test.refused {
				t.Errorf("refused %d before and %d in this hour, want 10 and %d", earlier, later, test.refused)
			}
		})
	}
}

// A start tells again of every hour of which the process before may have told more than its last state says: it did so from the
// state's hour on, until it died. After a rest of any length those are few hours.
func TestHoursToldAgain(t *testing.T) {
	open := int64(ledgerOpen.Seconds())
	now := hourOf(time.Now().UnixMilli())
	for _, test := range []struct {
		name  string
		rest  int64 // hours
		hours int
	}{{"none", 0, 1}, {"a night", 8, 9}, {"two days", 48, 49}, {"a month", 30 * 24, 2*48 + 1}, {"since 1970", now / secondsPerHour, 2*48 + 1}} {
		t.Run(test.name, func(t *testing.T) {
			last := now - test.rest*secondsPerHour
			l := testLedger(t, account{Current: max(last, 1)})
			told := slices.Sorted(maps.Keys(l.changed))
			if len(told) < test.hours || len(told) > test.hours+1 { // the hour may have changed
				t.Errorf("%d hours are told again, want %d", len(told), test.hours)
			}
			for _, h := range []int64{max(last, 1), min(last+open/2, now)} {
				if test.rest < 100_000 && !l.changed[h] {
					t.Errorf("hour %v is not told again", time.Unix(h, 0).UTC())
				}
			}
		})
	}
}
