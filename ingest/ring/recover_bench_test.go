package ring

import (
	"testing"
	"time"
)

// BenchmarkOpen is how long a ring in files needs to find its place in what a killed process left: a quarter of a GiB of records of
// the size of a click. The metric is seconds for a GiB.
func BenchmarkOpen(b *testing.B) {
	const left = 256 << 20
	c := Default()
	c.Lanes, c.BudgetBytes, c.Dir = 1, 2*left, b.TempDir()
	r, _, err := Open(c, nil, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, 400)
	pushed := uint64(0)
	for bytes := uint64(0); bytes < left; bytes += recordSize(len(payload)) {
		for !push(r, 0, payload) {
			r.Refill()
			time.Sleep(100 * time.Microsecond)
		}
		pushed++
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		seen := uint64(0)
		r, found, err := Open(c, nil, nil, func([]byte) { seen++ })
		if err != nil || found.Records != pushed || seen != pushed || found.Lost != 0 {
			b.Fatalf("found %+v and saw %d of %d records: %v", found, seen, pushed, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*float64(1<<30)/left, "s/GiB")
}
