// Package metrictest reads in tests what Prometheus would be told.
package metrictest

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// All are the values of all metrics by name and labels, such as carom_redirects_total{outcome="redirect"}, each label in braces of its
// own; of a histogram the count.
func All(t testing.TB, from prometheus.Gatherer) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	for _, s := range read(t, from) {
		values[s.name+s.braces] = s.value
	}
	return values
}

// Sum adds up the values of a metric whatever its labels are, or of those with the labels given: a name, its value, and so on. It
// ends the test where the metric is not exported at all.
func Sum(t testing.TB, from prometheus.Gatherer, name string, labels ...string) (sum float64) {
	t.Helper()
	exported := false
	for _, s := range read(t, from) {
		if s.name != name {
			continue
		}
		exported = true
		if s.has(labels) {
			sum += s.value
		}
	}
	if !exported {
		t.Fatalf("no metric %s", name)
	}
	return sum
}

// A sample is one value of a metric.
type sample struct {
	name, braces string
	labels       map[string]string
	value        float64
}

// has reports whether the sample has these labels, among others.
func (s sample) has(labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		if value, named := s.labels[labels[i]]; !named || value != labels[i+1] {
			return false
		}
	}
	return true
}

func read(t testing.TB, from prometheus.Gatherer) (samples []sample) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s := sample{name: f.GetName(), labels: map[string]string{}}
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = l.GetValue()
				s.braces += fmt.Sprintf("{%s=%q}", l.GetName(), l.GetValue())
			}
			// A metric is one of the three.
			s.value = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			samples = append(samples, s)
		}
	}
	return samples
}
