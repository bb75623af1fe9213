package main

import (
	"testing"
	"time"

	"carom/ingest/faults"
)

// roomy is for accidents that come so often that on a busy machine hardly anything is delivered between them.
const roomy = "--spool-budget=8589934592"

// The node is killed at random moments under load, again and again on the same spool.
func TestFaultNodeKilled(t *testing.T) {
	t.Parallel()
	random := faults.Random(t)
	s := newSite(t, roomy)
	s.start()
	s.people()
	rounds := faults.Rounds(30, 1000)
	for round := range rounds {
		time.Sleep(time.Duration(20+random.IntN(400)) * time.Millisecond)
		s.node.kill()
		s.start()
		progress(t, round+1, rounds)
	}
	s.endExact()
	t.Logf("%d kills", rounds)
}

// ClickHouse is killed at random moments during inserts and comes back on the same data.
func TestFaultClickHouseKilled(t *testing.T) {
	t.Parallel()
	random := faults.Random(t)
	s := newSite(t, roomy)
	s.start()
	s.people()
	s.bounded("with ClickHouse")
	rounds := faults.Rounds(10, 200)
	for round := range rounds {
		time.Sleep(time.Duration(50+random.IntN(500)) * time.Millisecond)
		s.clickhouse.Kill()
		progress(t, round+1, rounds)
	}
	s.bounded("while ClickHouse is killed and comes back")
	s.endExact()
	t.Logf("%d kills", rounds)
}

// progress says now and then how far a long form is.
func progress(t *testing.T, round, rounds int) {
	if faults.Long() && round%20 == 0 {
		t.Logf("%s: round %d of %d", time.Now().Format(time.TimeOnly), round, rounds)
	}
}
