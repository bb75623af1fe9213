package main

import (
	"fmt"
	"io"
	"slices"
)

// Targets of the outage.
const (
	mostOfBefore   = 1.2 // p99 while ClickHouse is gone, of that before
	leastOfArrival = 3   // clicks stored while catching up, of those that arrive
)

// An outageResult is every second of an outage and what follows from them.
type outageResult struct {
	Phases  []outagePhase  `json:"phases"`
	CatchUp catchUp        `json:"catch_up"`
	Seconds []outageSecond `json:"seconds"`
}

// An outageSecond is the requests that were due in one second, and the node right after it.
type outageSecond struct {
	latencies

	Phase      string  `json:"phase"`
	At         float64 `json:"at_s"` // since the load began
	Anon       uint64  `json:"rss_anon_bytes"`
	Resident   uint64  `json:"rss_bytes"` // the mapped files of the spool included
	Accepted   uint64  `json:"accepted"`  // so far
	Stored     uint64  `json:"stored"`    // so far
	Waiting    uint64  `json:"waiting"`
	SpoolBytes uint64  `json:"spool_bytes"`
}

func (s outageSecond) p50() float64 { return s.P50 }

// An outagePhase sums up the seconds of a phase. Latencies are in microseconds.
type outagePhase struct {
	Name         string  `json:"name"`
	Seconds      float64 `json:"seconds"`
	PerSecond    float64 `json:"redirects_per_second"`
	P50          float64 `json:"p50_us"`        // median of the seconds
	P99          float64 `json:"p99_us"`        // median of the seconds
	WorstP99     float64 `json:"worst_p99_us"`  // of a second
	OfBefore     float64 `json:"p99_of_before"` // ratio of the medians
	AnonFirst    uint64  `json:"rss_anon_first_bytes"`
	AnonLast     uint64  `json:"rss_anon_last_bytes"`
	AnonMost     uint64  `json:"rss_anon_most_bytes"`
	ResidentMost uint64  `json:"rss_most_bytes"`
	Waiting      uint64  `json:"waiting"`     // at its end
	SpoolBytes   uint64  `json:"spool_bytes"` // at its end
	Others       float64 `json:"others"`      // what other processes used meanwhile, as a share of one CPU
}

// catchUp is how the clicks of an outage get into ClickHouse. Times are exact to a second.
type catchUp struct {
	FirstAfter float64 `json:"first_row_after_s"` // from when ClickHouse answered
	Took       float64 `json:"took_s"`            // from when ClickHouse answered until no more clicks waited than before the outage
	PerSecond  float64 `json:"rows_per_second"`   // from just before the first row on
	OfArrival  float64 `json:"of_arrival"`        // of the clicks that came meanwhile
}

func (r *outageResult) of(phase string) []outageSecond {
	return slices.DeleteFunc(slices.Clone(r.Seconds), func(s outageSecond) bool { return s.Phase != phase })
}

func (r *outageResult) mostWaiting(phase string) uint64 {
	return most(r.of(phase), func(s outageSecond) uint64 { return s.Waiting })
}

// summarize computes the phases, each of which has a second at least, and the catching up.
func (r *outageResult) summarize() {
	basis := median(figures(r.of(phaseBefore), outageSecond.p99))
	var end outageSecond // of the phase before
	for i := range r.Phases {
		p := &r.Phases[i]
		seconds := r.of(p.Name)
		first, last := seconds[0], seconds[len(seconds)-1]
		p.Seconds = last.At - end.At
		p.PerSecond = float64(last.Accepted-end.Accepted) / p.Seconds
		p.P50, p.P99 = median(figures(seconds, outageSecond.p50)), median(figures(seconds, outageSecond.p99))
		p.WorstP99 = slices.Max(figures(seconds, outageSecond.p99))
		p.OfBefore = p.P99 / basis
		p.AnonFirst, p.AnonLast = first.Anon, last.Anon
		p.AnonMost = most(seconds, func(s outageSecond) uint64 { return s.Anon })
		p.ResidentMost = most(seconds, func(s outageSecond) uint64 { return s.Resident })
		p.Waiting, p.SpoolBytes = last.Waiting, last.SpoolBytes
		end = last
	}
	r.CatchUp = r.catchUp()
}

// catchUp measures from the last second in which nothing more was stored: how long a node waits until it tries again is told apart.
func (r *outageResult) catchUp() catchUp {
	gone := lastOf(r.of(phaseAway))
	back := lastOf(r.of(phaseStarting)) // when ClickHouse answered
	end := lastOf(r.Seconds)
	first := slices.IndexFunc(r.Seconds, func(s outageSecond) bool { return s.Stored > gone.Stored })
	if first < 0 {
		return catchUp{}
	}
	begin := r.Seconds[first-1]
	stored, arrived := float64(end.Stored-begin.Stored), float64(end.Accepted-begin.Accepted)
	return catchUp{
		FirstAfter: max(0, r.Seconds[first].At-back.At), Took: end.At - back.At,
		PerSecond: stored / (end.At - begin.At), OfArrival: stored / arrived,
	}
}

func lastOf(seconds []outageSecond) outageSecond { return seconds[len(seconds)-1] }

func figures(seconds []outageSecond, figure func(outageSecond) float64) []float64 {
	var all []float64
	for _, s := range seconds {
		all = append(all, figure(s))
	}
	return all
}

func most(seconds []outageSecond, figure func(outageSecond) uint64) (m uint64) {
	for _, s := range seconds {
		m = max(m, figure(s))
	}
	return m
}

// print writes the figures for people.
func (r *outageResult) print(w io.Writer, o options) {
	fmt.Fprintf(w, "ClickHouse killed for %s under an open loop of %d requests/s, %d links, %d connections, batches of %d; spool on disk\n",
		o.Outage, o.Rate, o.Links, o.Conns, o.BatchRows)
	fmt.Fprintf(w, "Latencies in µs from when each request was due, medians of seconds\n\n")
	t := newTable(w, "", "s", "redirects/s", "p50", "p99", "of before", "worst p99", "RssAnon first", "last", "most", "RSS most",
		"clicks waiting", "in spool", "others' CPU")
	for _, p := range r.Phases {
		t.row(p.Name, "%.0f", p.Seconds, "%.0f", p.PerSecond, "%.0f", p.P50, "%.0f", p.P99, "%.2f", p.OfBefore, "%.0f", p.WorstP99,
			"%s", mega(p.AnonFirst), "%s", mega(p.AnonLast), "%s", mega(p.AnonMost), "%s", mega(p.ResidentMost),
			"%d", p.Waiting, "%s", mega(p.SpoolBytes), "%.0f %%", 100*p.Others)
	}
	t.Flush()
	c := r.CatchUp
	fmt.Fprintf(w, "\np99 while ClickHouse was gone: %.2f of that before (target: at most %.1f)\n", r.phase(phaseAway).OfBefore, mostOfBefore)
	fmt.Fprintf(w, "Caught up %.0f s after ClickHouse answered, the first row after %.0f s; %.0f rows/s, %.1f of the arrival rate (target: at least %d)\n",
		c.Took, c.FirstAfter, c.PerSecond, c.OfArrival, leastOfArrival)
}

func (r *outageResult) phase(name string) outagePhase {
	i := slices.IndexFunc(r.Phases, func(p outagePhase) bool { return p.Name == name })
	return r.Phases[i]
}
