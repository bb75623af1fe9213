package metric_test

import (
	"maps"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
	"carom/ingest/metric/metrictest"
)

func TestWhatIsExportedFollowsItsSource(t *testing.T) {
	reg := prometheus.NewRegistry()
	var taken, left atomic.Uint64
	var held atomic.Bool
	level := 1.5
	metric.Counter(reg, "moved_total", "Moved.", prometheus.Labels{"way": "taken"}, &taken)
	metric.Counter(reg, "moved_total", "Moved.", prometheus.Labels{"way": "left"}, &left)
	metric.Gauge(reg, "level", "Level.", nil, func() float64 { return level })
	metric.Flag(reg, "held", "Held.", nil, held.Load)
	expect := func(want map[string]float64) {
		t.Helper()
		if got := metrictest.All(t, reg); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	expect(map[string]float64{`moved_total{way="taken"}`: 0, `moved_total{way="left"}`: 0, "level": 1.5, "held": 0})
	taken.Add(3)
	left.Add(1)
	held.Store(true)
	level = -2
	expect(map[string]float64{`moved_total{way="taken"}`: 3, `moved_total{way="left"}`: 1, "level": -2, "held": 1})
	if all, some := metrictest.Sum(t, reg, "moved_total"), metrictest.Sum(t, reg, "moved_total", "way", "left"); all != 4 || some != 1 {
		t.Errorf("in all %v, of one label %v, want 4 and 1", all, some)
	}
}
