package ingest

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
	"carom/ingest/ring"
)

// A dropReason says why an accepted record will never be stored.
type dropReason uint8

const (
	dropFull        dropReason = iota // the ring's budget was used up
	dropShutdown                      // ClickHouse did not take it before the node had to end
	dropDamaged                       // its bytes changed in the ring
	dropQuarantined                   // ClickHouse refuses it and takes others
	dropReasons
)

func (r dropReason) String() string {
	return [...]string{"buffer_full", "shutdown", "damaged", "quarantined"}[r]
}

// A spoolStep is something that needs the disk of the spool: the label step of carom_spool_failing.
type spoolStep uint8

const (
	spoolSegment    spoolStep = iota // another file for records, and writing them to the disk
	spoolState                       // what is sent, before it is
	spoolQuarantine                  // rows set aside
	spoolSteps
)

func (s spoolStep) String() string {
	return [...]string{"segment", "state", "quarantine"}[s]
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
	blocked  [troubles]atomic.Bool   // what delivery waits for
	failing  [spoolSteps]atomic.Bool // the newest attempt failed
	flagged  [32]atomic.Uint64       // by bit of Reasons

	table    string // clicks or conversions
	duration prometheus.Histogram
	rows     prometheus.Counter
	errors   [troubles]prometheus.Counter
}

// newFlushMetrics makes the numbers of the flusher of a table. product.md names those of clicks; those of conversions have
// names of their own.
func newFlushMetrics(table string) *flushMetrics {
	m := &flushMetrics{table: table}
	m.duration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: m.name("flush_duration_seconds"), Help: "Time of one acknowledged insert of " + table + ".",
		Buckets: prometheus.ExponentialBuckets(0.005, 2, 13),
	})
	m.rows = prometheus.NewCounter(prometheus.CounterOpts{
		Name: m.name("flush_rows_total"), Help: "Rows of " + table + " in acknowledged inserts.",
	})
	for kind := range troubles {
		m.errors[kind] = prometheus.NewCounter(prometheus.CounterOpts{
			Name: m.name("flush_errors_total"), Help: "Failed attempts to deliver " + table + " by kind; each was followed by another.",
			ConstLabels: prometheus.Labels{"kind": kind.String()},
		})
	}
	return m
}

// name is the full name of a metric of the flusher and the spool.
func (m *flushMetrics) name(suffix string) string {
	if m.table == clicksDir {
		return "carom_" + suffix
	}
	return "carom_" + m.table + "_" + suffix
}

// register exports the numbers.
func (m *flushMetrics) register(r prometheus.Registerer) {
	records := "carom_" + m.table
	metric.Counter(r, records+"_accepted_total", "Accepted "+m.table+": stored, waiting or dropped.", nil, &m.accepted)
	metric.Counter(r, records+"_stored_total", "Those of the "+m.table+" that ClickHouse has acknowledged.", nil, &m.stored)
	for reason := range dropReasons {
		metric.Counter(r, records+"_dropped_total", "Those of the "+m.table+" that will never be stored, by reason.",
			prometheus.Labels{"reason": reason.String()}, &m.dropped[reason])
	}
	metric.Gauge(r, records+"_waiting", "Those of the "+m.table+" that ClickHouse has not acknowledged yet.", nil,
		func() float64 { return float64(m.waiting.Load()) })
	metric.Gauge(r, m.name("spool_bytes"), "Bytes of buffer that hold "+m.table+" not yet acknowledged, whole segments.", nil,
		func() float64 { return float64(m.bytes.Load()) })
	metric.Gauge(r, m.name("spool_oldest_unflushed_seconds"), "Age of the oldest batch of "+m.table+" that is not acknowledged.", nil,
		func() float64 {
			if t := m.oldest.Load(); t != 0 {
				return time.Since(time.Unix(0, t)).Seconds()
			}
			return 0
		})
	for kind := range troubles {
		metric.Flag(r, "carom_flush_blocked", "1 while batches of the table wait for this kind of trouble to end.",
			prometheus.Labels{"table": m.table, "kind": kind.String()}, m.blocked[kind].Load)
	}
	for step := range spoolSteps {
		metric.Flag(r, "carom_spool_failing", "1 while the disk of the spool refuses this step for the table.",
			prometheus.Labels{"table": m.table, "step": step.String()}, m.failing[step].Load)
	}
	r.MustRegister(m.duration, m.rows)
	for _, c := range m.errors {
		r.MustRegister(c)
	}
}

// registerClicks exports what only the flusher of clicks knows, and what is so for the whole spool.
func (m *flushMetrics) registerClicks(r prometheus.Registerer) {
	for bit, name := range reasonNames {
		metric.Counter(r, "carom_clicks_flagged_total", "Click rows by the reason that keeps them from being billable.",
			prometheus.Labels{"reason": name}, &m.flagged[bit])
	}
	metric.Flag(r, "carom_spool_degraded", "1 while records are kept in memory because the spool cannot be used.", nil, m.degraded.Load)
}

// observe publishes the state of the ring and of the flights at one moment: read records were taken from the ring so far,
// flying of them are in flights; the ring refused so many in earlier processes, which Prometheus knows already.
func (m *flushMetrics) observe(st ring.Stats, refusedBefore, read uint64, flying int) {
	refused := st.Full - refusedBefore
	m.dropped[dropFull].Store(refused)
	m.accepted.Store(read + st.Waiting + refused)
	m.waiting.Store(st.Waiting + uint64(flying))
	m.bytes.Store(st.Bytes)
	m.failing[spoolSegment].Store(st.Err != nil)
}

// settle counts the rows of a part whose fate is known.
func (m *flushMetrics) settle(p *part) {
	rows := uint64(p.length())
	if stored, reason := p.fate(); stored {
		m.stored.Add(rows)
	} else {
		m.dropped[reason].Add(rows)
	}
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
