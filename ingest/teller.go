package ingest

import (
	"encoding/json"
	"log/slog"
	"time"
)

// A teller tells operators what holds up delivery: a gauge while it lasts, a log line at most once a minute for each kind
// of trouble, and one when it is over. The sender owns it.
type teller struct {
	log     *slog.Logger
	metrics *flushMetrics

	blocked bool
	kind    trouble
	since   time.Time           // when delivery came to a halt
	logged  bool                // something was written since
	told    [troubles]time.Time // when the last line was written
	hidden  int                 // failures without a line since the last one

	toldRow    time.Time // when the last line about a row that was set aside was written
	hiddenRows int       // set aside without a line since
}

// tellEvery is the least time between two lines about the same kind of trouble.
const tellEvery = time.Minute

// failed tells about a failure; more are attributes of the log line.
func (t *teller) failed(err error, now time.Time, more ...any) {
	kind := troubleOf(err)
	t.metrics.errors[kind].Inc()
	if !t.blocked {
		t.since, t.logged = now, false
	}
	t.metrics.blocked[t.kind].Store(false)
	t.metrics.blocked[kind].Store(true)
	t.blocked, t.kind = true, kind
	if now.Sub(t.told[kind]) < tellEvery {
		t.hidden++
		return
	}
	t.log.Warn("delivery is held up and tried again", append([]any{
		"kind", kind.String(), "error", err, "advice", kind.advice(), "for", now.Sub(t.since).Round(time.Second), "hidden", t.hidden,
	}, more...)...)
	t.told[kind], t.hidden, t.logged = now, 0, true
}

// over tells that delivery goes on.
func (t *teller) over(now time.Time) {
	if !t.blocked {
		return
	}
	t.metrics.blocked[t.kind].Store(false)
	t.blocked = false
	if t.logged {
		t.log.Info("delivery goes on", "after", now.Sub(t.since).Round(time.Millisecond), "kind", t.kind.String())
	}
}

// setAside tells of a row that will not be stored, at most once a minute. With whole the line holds the row itself, without its
// address: where there is no quarantine nothing else is left of it.
func (t *teller) setAside(r refusedRow, whole bool, now time.Time) {
	if now.Sub(t.toldRow) < tellEvery {
		t.hiddenRows++
		return
	}
	about := []any{"table", r.Table, "batch", r.Batch, "error", r.Error, "hidden", t.hiddenRows}
	if whole {
		delete(r.Row, addressColumn)
		if text, err := json.Marshal(r.Row); err == nil { // else it came from no row
			about = append(about, "row", string(text))
		}
	}
	t.log.Error("ClickHouse refuses a row and takes others: it is set aside and counted as dropped", about...)
	t.toldRow, t.hiddenRows = now, 0
}

// addressColumn is the column that says most of where a client is; it stays out of logs.
const addressColumn = "ip_prefix"
