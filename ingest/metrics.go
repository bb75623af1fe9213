package ingest

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/ring"
)

// A dropReason says why an accepted record will never be stored.
type dropReason uint8

const (
	dropFull     dropReason = iota // the ring's budget was used up
	dropShutdown                   // ClickHouse did not take it before the node had to end
	dropDamaged                    // its bytes changed in the ring
	dropReasons
)

func (r dropReason) String() string {
	return [...]string{"buffer_full", "shutdown", "damaged"}[r]
}

// flushMetrics are the numbers of one flusher. The collector and the sender write them, Prometheus reads.
type flushMetrics struct {
	accepted atomic.Uint64 // records that were to be stored
	stored   atomic.Uint64 // records acknowledged
	waiting  atomic.Uint64 // records in the ring and in flights
	bytes    atomic.Uint64 // of ring segments in use
	degraded atomic.Bool   // memory stands in for a spool
	oldest   atomic.Int64  // Unix nanoseconds when the oldest record being sent was read; 0 = nothing is being sent
	dropped  [dropReasons]atomic.Uint64
	flagged  [32]atomic.Uint64 // by bit of Reasons

	duration prometheus.Histogram
	rows     prometheus.Counter
	errors   map[string]prometheus.Counter
}

func newFlushMetrics() *flushMetrics {
	m := &flushMetrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "carom_flush_duration_seconds", Help: "Time of one acknowledged insert of clicks.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 13),
		}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_flush_rows_total", Help: "Click rows in acknowledged inserts.",
		}),
		errors: map[string]prometheus.Counter{},
	}
	for _, kind := range errorKinds {
		m.errors[kind] = prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_flush_errors_total", Help: "Failed inserts of clicks by kind; each was tried again.",
			ConstLabels: prometheus.Labels{"kind": kind},
		})
	}
	return m
}

// register exports the numbers of the click flusher under the names of product.md.
func (m *flushMetrics) register(r prometheus.Registerer) {
	counter := func(name, help string, labels prometheus.Labels, value func() uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value()) }))
	}
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	counter("carom_clicks_accepted_total", "Clicks that were to be recorded: stored, waiting or dropped.", nil, m.accepted.Load)
	counter("carom_clicks_stored_total", "Clicks that ClickHouse has acknowledged.", nil, m.stored.Load)
	for reason := range dropReasons {
		counter("carom_clicks_dropped_total", "Clicks that will never be stored, by reason.",
			prometheus.Labels{"reason": reason.String()}, m.dropped[reason].Load)
	}
	for bit, name := range reasonNames {
		counter("carom_clicks_flagged_total", "Click rows by the reason that keeps them from being billable.",
			prometheus.Labels{"reason": name}, m.flagged[bit].Load)
	}
	gauge("carom_clicks_waiting", "Clicks accepted and not yet acknowledged by ClickHouse.",
		func() float64 { return float64(m.waiting.Load()) })
	gauge("carom_spool_bytes", "Bytes of buffer that hold clicks not yet acknowledged, whole segments.",
		func() float64 { return float64(m.bytes.Load()) })
	gauge("carom_spool_degraded", "1 while clicks are kept in memory because the spool cannot be used.",
		func() float64 {
			if m.degraded.Load() {
				return 1
			}
			return 0
		})
	gauge("carom_spool_oldest_unflushed_seconds", "Age of the oldest batch that is not acknowledged.",
		func() float64 {
			if t := m.oldest.Load(); t != 0 {
				return time.Since(time.Unix(0, t)).Seconds()
			}
			return 0
		})
	r.MustRegister(m.duration, m.rows)
	for _, c := range m.errors {
		r.MustRegister(c)
	}
}

// observe publishes the state of the ring and of the flights at one moment: read records were taken from the ring so far,
// flying of them are in flights; the ring refused so many in earlier processes, which Prometheus knows already.
func (m *flushMetrics) observe(st ring.Stats, refusedBefore, read uint64, flying int) {
	refused := st.Full - refusedBefore
	m.dropped[dropFull].Store(refused)
	m.accepted.Store(read + st.Waiting + refused)
	m.waiting.Store(st.Waiting + uint64(flying))
	m.bytes.Store(st.Bytes)
}

// sending notes when the oldest record of the flight under way was read, or the zero time when there is none.
func (m *flushMetrics) sending(oldest time.Time) {
	if oldest.IsZero() {
		m.oldest.Store(0)
		return
	}
	m.oldest.Store(oldest.UnixNano())
}

func (m *flushMetrics) inserted(rows int, took time.Duration) {
	m.duration.Observe(took.Seconds())
	m.rows.Add(float64(rows))
}

// flag counts the reasons of one click row.
func (m *flushMetrics) flag(r Reasons) {
	for ; r != 0; r &= r - 1 {
		m.flagged[bits.TrailingZeros32(uint32(r))].Add(1)
	}
}

func (m *flushMetrics) failed(err error) { m.errors[errorKind(err)].Inc() }
