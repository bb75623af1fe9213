package redirect

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
)

// An outcome is how a request on the public listener ended: the label of carom_redirects_total.
type outcome int

const (
	outcomeRedirect outcome = iota // 302 to the link's destination
	outcomeExpired
	outcomeDisabled
	outcomeUnknown
	outcomePage       // home page, robots.txt and the like
	outcomeBadRequest // no usable host or target
	outcomeMethod     // 405, and 204 to OPTIONS
	outcomeNotReady   // no table yet
	outcomeFailed     // a handler panicked
	outcomes
)

func (o outcome) String() string {
	return [...]string{
		"redirect", "expired", "disabled", "unknown", "page", "bad_request", "method", "not_ready", "failed",
	}[o]
}

// A conversionOutcome is how a conversion message ended: the label of carom_conversions_total.
type conversionOutcome int

const (
	conversionAccepted     conversionOutcome = iota
	conversionBadSignature                   // missing, wrong or stale
	conversionBadField                       // amount, currency, status or another field; missing txid of a refund
	conversionBadClick                       // a click id that no key made, of the future or of no known link
	conversionBadCoupon                      // a coupon of no link of the brand, without a click id
	conversionForeign                        // another brand's click id
	conversionTooOld                         // beyond the attribution window
	conversionDropped                        // no room in the buffer; the sender was told to try again
	conversionOutcomes
)

func (o conversionOutcome) String() string {
	return [...]string{"accepted", "bad_signature", "bad_field", "bad_click_id", "bad_coupon", "foreign", "too_old", "dropped"}[o]
}

// sampleEvery is how many redirects pass between two that are timed: the clock and the histogram cost more than a lookup.
const sampleEvery = 64

// metrics are the numbers of the public listener. Handlers add to atomics; Prometheus reads them.
type metrics struct {
	redirects   [outcomes]paddedCounter
	conversions [conversionOutcomes]paddedCounter
	accepts     atomic.Uint64 // failed accepts
	duration    prometheus.Histogram
}

// paddedCounter has a cache line to itself.
type paddedCounter struct {
	n atomic.Uint64
	_ [56]byte
}

func (m *metrics) count(o outcome) uint64              { return m.redirects[o].n.Add(1) }
func (m *metrics) countConversion(o conversionOutcome) { m.conversions[o].n.Add(1) }

func newMetrics(reg prometheus.Registerer, s *Server) *metrics {
	m := &metrics{duration: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "carom_redirect_duration_seconds",
		Help:    "Time from the parsed request to the prepared answer, of one redirect in 64.",
		Buckets: prometheus.ExponentialBuckets(0.5e-6, 2, 20),
	})}
	reg.MustRegister(m.duration)
	for o := range outcomes {
		metric.Counter(reg, "carom_redirects_total", "Requests on the public listener by outcome.",
			prometheus.Labels{"outcome": o.String()}, &m.redirects[o].n)
	}
	for o := range conversionOutcomes {
		metric.Counter(reg, "carom_conversions_total", "Conversion messages by outcome; repeats count as accepted here, once in reports.",
			prometheus.Labels{"outcome": o.String()}, &m.conversions[o].n)
	}
	metric.Counter(reg, "carom_accept_errors_total", "Connections that could not be accepted.", nil, &m.accepts)
	metric.Gauge(reg, "carom_links", "Links in the table.", nil, func() float64 { return float64(s.Table().Links()) })
	metric.Gauge(reg, "carom_link_table_age_seconds", "Time since the table was last known to be what ClickHouse holds.",
		nil, func() float64 { return s.Age().Seconds() })
	return m
}
