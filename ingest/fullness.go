package ingest

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
	"carom/ingest/ring"
)

// A fullness tells operators why a ring takes no more: a log line when it begins, then at most once a minute while it lasts. The
// collector owns it.
type fullness struct {
	log  *slog.Logger
	told time.Time // when the last line was written
	full uint64    // refusals that were told, or happened in earlier processes
}

// registerBudget exports how much may wait.
func (m *flushMetrics) registerBudget(r prometheus.Registerer, bytes int) {
	metric.Gauge(r, m.name("spool_budget_bytes"), "Bytes of buffer that "+m.table+" may fill; beyond them the newest are dropped.", nil,
		func() float64 { return float64(bytes) })
}

// look tells of records refused since the last line, and of a disk that gives the ring no further file.
func (f *fullness) look(st ring.Stats, table string, now time.Time) {
	if st.Full == f.full && st.Err == nil || now.Sub(f.told) < tellEvery {
		return
	}
	about := []any{"table", table, "dropped", st.Full - f.full, "bytes", st.Bytes}
	if st.Err != nil {
		f.log.Error("the spool gets no more room on its disk: once what it has is full, the newest records are dropped and counted",
			append(about, "error", st.Err, "advice", "make room on the disk or make it writable: the node goes on by itself")...)
	} else {
		f.log.Error("the buffer has no room: the newest records are dropped and counted",
			append(about, "advice", "near the budget bring ClickHouse back, a larger --spool-budget, without a spool --buffer-bytes, lasts longer; "+
				"far below it the machine is too busy to make room in time")...)
	}
	f.told, f.full = now, st.Full
}
