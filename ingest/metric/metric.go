// Package metric exports to Prometheus what other packages keep in atomics and structs of their own: who counts never waits for who
// reads. Each function registers one metric, and panics where its name and labels are taken.
package metric

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Counter exports n, which must only grow.
func Counter(reg prometheus.Registerer, name, help string, labels prometheus.Labels, n *atomic.Uint64) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(n.Load()) }))
}

// Gauge exports what value says whenever Prometheus asks, from any goroutine.
func Gauge(reg prometheus.Registerer, name, help string, labels prometheus.Labels, value func() float64) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// Flag exports a gauge that is 1 while holds reports true and 0 otherwise; holds is called from any goroutine.
func Flag(reg prometheus.Registerer, name, help string, labels prometheus.Labels, holds func() bool) {
	Gauge(reg, name, help, labels, func() float64 {
		if holds() {
			return 1
		}
		return 0
	})
}
