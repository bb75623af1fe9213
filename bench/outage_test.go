package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// anOutage is one of three seconds at 100 clicks a second. ClickHouse answers again after second 6 and has its first rows in second 8.
func anOutage() *outageResult {
	r := &outageResult{}
	for _, p := range []struct {
		name   string
		p99    []float64
		stored []uint64
	}{
		{phaseBefore, []float64{10, 30}, []uint64{80, 190}},
		{phaseAway, []float64{11, 90, 12}, []uint64{190, 190, 190}},
		{phaseStarting, []float64{20}, []uint64{190}},
		{phaseBack, []float64{50, 40, 30}, []uint64{190, 590, 890}},
	} {
		r.Phases = append(r.Phases, outagePhase{Name: p.name})
		for i, p99 := range p.p99 {
			n := uint64(len(r.Seconds) + 1)
			r.Seconds = append(r.Seconds, outageSecond{
				latencies: latencies{Answered: 100, P50: p99 / 2, P99: p99}, Phase: p.name, At: float64(n),
				Accepted: 100 * n, Stored: p.stored[i], Waiting: 100*n - p.stored[i], SpoolBytes: 1000 * n, Anon: 50 + n, Resident: 90 - n,
			})
		}
	}
	return r
}

func TestOutageAddsUp(t *testing.T) {
	r := anOutage()
	r.summarize()
	want := outagePhase{
		Name: phaseAway, Seconds: 3, PerSecond: 100, P50: 6, P99: 12, WorstP99: 90, OfBefore: 0.6,
		AnonFirst: 53, AnonLast: 55, AnonMost: 55, ResidentMost: 87, Waiting: 310, SpoolBytes: 5000,
	}
	if got := r.phase(phaseAway); got != want {
		t.Errorf("while ClickHouse was gone:\n%s", cmp.Diff(want, got))
	}
	if got := r.phase(phaseBefore); got.Seconds != 2 || got.PerSecond != 100 || got.OfBefore != 1 {
		t.Errorf("before: %+v", got)
	}
	// 700 rows from second 7, after which ClickHouse took some, to second 9.
	if want := (catchUp{FirstAfter: 2, Took: 3, PerSecond: 350, OfArrival: 3.5}); r.CatchUp != want {
		t.Errorf("catching up:\n%s", cmp.Diff(want, r.CatchUp))
	}
	if most := r.mostWaiting(phaseBefore); most != 20 {
		t.Errorf("at most %d clicks waited before, want 20", most)
	}
}

func TestOutageReport(t *testing.T) {
	r := anOutage()
	r.summarize()
	whole := result{Options: options{Outage: 3 * time.Second, Rate: 100}, Outage: r, Clicks: clickAccount{Answered: 900, Stored: 900}}
	var out strings.Builder
	whole.print(&out)
	for _, want := range [][]string{
		{"before", "2", "100", "10", "20", "1.00", "30"},
		{"ClickHouse gone", "3", "100", "6", "12", "0.60", "90"},
		{"p99 while ClickHouse was gone", "0.60", "1.2"},
		{"Caught up", "3 s", "2 s", "350 rows/s", "3.5", "3"},
		{"Clicks", "900", "900", "0 dropped"},
	} {
		if !hasRow(out.String(), want) {
			t.Errorf("no row with %q in that order in\n%s", want, out.String())
		}
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"p99_of_before":0.6`, `"of_arrival":3.5`, `"p99_us":90`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestOutageNeedsRoomOnTheDisk(t *testing.T) {
	if err := checkDisk(t.TempDir(), 1); err != nil {
		t.Errorf("a byte does not fit: %v", err)
	}
	if err := checkDisk(t.TempDir(), 1<<60); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("an exabyte fits: %v", err)
	}
}
