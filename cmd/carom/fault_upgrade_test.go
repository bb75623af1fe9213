package main

import (
	"maps"
	"slices"
	"testing"
	"time"

	"carom/ingest/faults"
)

// A node is replaced under load by the next one on its spool. No request fails but on connections that nobody takes between the
// two, every click of an answer is stored, and there is no row without an answer.
func TestFaultUpgrade(t *testing.T) {
	t.Parallel()
	const followers = 40
	const linger = 4 * pause // some taps of everybody
	s := newSite(t, "--linger="+linger.String())
	s.start()
	crowd := newCrowd(t, s.listen, s.link, followers)
	goOn := func() {
		t.Helper()
		more := crowd.taps() + 10*followers
		faults.Await(t, "the crowd taps", func() bool { return crowd.taps() > more })
	}
	end := func() {
		t.Helper()
		began := time.Now()
		if code := s.node.terminate(); code != exitDone {
			t.Errorf("SIGTERM: exit code %d", code)
		}
		if took := time.Since(began); took < linger {
			t.Errorf("the node ended after %v and should have lingered for %v", took, linger)
		}
	}
	for range faults.Rounds(2, 100) {
		goOn()
		end()
		s.start()
	}
	goOn()
	crowd.disperse()
	end()
	for _, failure := range crowd.failures {
		t.Error(failure)
	}
	found := s.clickhouse.DB().Find(t, slices.Collect(maps.Keys(crowd.answered)))
	t.Logf("%d taps answered, %d before a table was there, %d connections refused: %v", len(crowd.answered), crowd.early, crowd.refused, found)
	if found.Dropped > 0 || !found.Exact(0) {
		t.Errorf("not each click once: %v", found)
	}
}
