package redirect

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
)

// A wallClock is what the node takes for the time: the machine's clock, put right where it is known to be wrong. A machine without
// a clock of its own begins in 1970: clicks of that time would be older than ClickHouse keeps rows, and deleted as they arrive.
type wallClock struct {
	offset atomic.Int64 // milliseconds added to the machine's clock; the source stores, handlers load once a request
	behind atomic.Int64 // milliseconds that the machine's clock was last seen behind ClickHouse's; for Prometheus
	told   bool         // source only: the log has the difference
}

const (
	// clockTold is a difference that an operator should know of: far more than time servers leave.
	clockTold = 5 * time.Second
	// clockWrong is a difference that is put right. Below it nobody can say which of two clocks errs, and rows that are dated so far
	// off are kept, reported and attributed all the same.
	clockWrong = 24 * time.Hour
	// clockFar: ClickHouse's clock is believed up to so far ahead of the newest reference data, and click ids up to so far ahead of the
	// time. It is as far as a visitor key is carried on.
	clockFar = maxRatchet * 24 * time.Hour
)

// correct returns what to add to the machine's clock, given ClickHouse's and the moment at which control, perhaps on a third
// machine, last wrote reference data: now cannot be before that. Where ClickHouse's clock does not agree with that, the machine's stays.
func correct(machine, server, written time.Time) time.Duration {
	difference := server.Sub(machine)
	if difference.Abs() < clockWrong || server.Before(written.Add(-clockWrong)) || server.After(written.Add(clockFar)) {
		return 0
	}
	return difference
}

// now is the node's time when the machine's clock says machine.
func (c *wallClock) now(machine time.Time) time.Time {
	if offset := c.offset.Load(); offset != 0 {
		return machine.Add(time.Duration(offset) * time.Millisecond)
	}
	return machine
}

// look takes what a look at ClickHouse's clock has found.
func (c *wallClock) look(machine, server, written time.Time, log *slog.Logger) {
	behind, offset := server.Sub(machine), correct(machine, server, written)
	c.behind.Store(behind.Milliseconds())
	c.offset.Store(offset.Milliseconds())
	if off := behind.Abs() >= clockTold; off == c.told {
		return
	}
	if c.told = !c.told; !c.told {
		log.Info("the machine's clock and ClickHouse's agree again")
		return
	}
	log.Error("the machine's clock and ClickHouse's differ: set them by time servers, reports and attribution go by them",
		"machine", machine.UTC().Format(time.RFC3339), "clickhouse", server.UTC().Format(time.RFC3339), "behind", behind.Round(time.Second),
		"newest_reference_data", written.UTC().Format(time.RFC3339), "put_right", offset != 0)
}

// restored takes the moment of a snapshot: now cannot be before it.
func (c *wallClock) restored(machine, taken time.Time, log *slog.Logger) {
	behind := taken.Sub(machine)
	if behind < clockTold {
		return
	}
	c.offset.Store(behind.Milliseconds())
	log.Error("the machine's clock is before the time of the snapshot: that time is taken until ClickHouse answers",
		"machine", machine.UTC().Format(time.RFC3339), "snapshot", taken.UTC().Format(time.RFC3339))
}

// register exports how wrong the clocks are.
func (c *wallClock) register(reg prometheus.Registerer, ids *clickClock) {
	metric.Gauge(reg, "carom_clock_behind_seconds", "How far the machine's clock was last seen behind ClickHouse's; negative: ahead.",
		nil, func() float64 { return time.Duration(c.behind.Load() * int64(time.Millisecond)).Seconds() })
	metric.Gauge(reg, "carom_click_id_ahead_seconds", "How far click ids are ahead of the clock, as after it was set back; 0 where they are not.",
		nil, func() float64 { return ids.ahead(c.now(time.Now())).Seconds() })
}

// clockEvery is how often ClickHouse's clock is looked at. An answer that took longer than clockTrip says too little about when it was
// true.
const (
	clockEvery = 10 * time.Second
	clockTrip  = 3 * time.Second
)

// lookAtClock compares the clocks. Nothing else is read before it has succeeded for the first time, since click ids are made by the
// clock.
func (s *Source) lookAtClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	began := time.Now()
	var server, written time.Time
	err := s.conn.QueryRow(ctx, "SELECT now64(3, 'UTC'), greatest((SELECT max(updated) FROM brands), (SELECT max(updated) FROM domains), "+
		"(SELECT max(updated) FROM campaigns), (SELECT max(updated) FROM keys))").Scan(&server, &written)
	if err != nil {
		return fmt.Errorf("look at ClickHouse's clock: %w", err)
	}
	s.clockLooked = time.Now()
	if trip := s.clockLooked.Sub(began); trip < clockTrip {
		s.server.setClock(began.Add(trip/2), server, written)
	}
	return nil
}

// setClock takes what the clocks say.
func (s *Server) setClock(machine, server, written time.Time) {
	s.wall.look(machine, server, written, s.log)
	now := s.wall.now(machine)
	if now.Sub(server).Abs() < clockWrong && now.After(written.Add(-clockWrong)) { // nobody says otherwise
		s.clock.mend(now)
	}
}
