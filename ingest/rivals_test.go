package ingest

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
)

// What looks at the ledger find, and what they mean.
func TestRivals(t *testing.T) {
	type look struct {
		others, newest int64
		after          time.Duration
		conflict       bool
	}
	for _, test := range []struct {
		what  string
		looks []look
	}{
		{"nobody else", []look{{0, 0, 0, false}, {0, 5, 1, false}, {0, 9, 1, false}}},
		{"a process that ended before", []look{{500, 0, 0, false}, {500, 0, 1, false}, {500, 0, 1, false}}},
		{"a replay: one rise, then rows move to older hours", []look{{500, 0, 0, false}, {540, 0, 1, false}, {520, 0, 1, false}, {520, 0, 1, false}}},
		{"a node of the same number", []look{{500, 0, 0, false}, {510, 0, 1, false}, {520, 0, 1, true}, {530, 0, 1, true}}},
		{"a node of the same number, seldom clicked", []look{{0, 0, 0, false}, {1, 0, 1, false}, {1, 0, 5, false}, {2, 0, 1, true}}},
		{"one that was stopped", []look{{1, 0, 0, false}, {2, 0, 1, false}, {3, 0, 1, true}, {3, 0, 5, true}, {3, 0, 6, false}}},
		{"an hour that leaves the window", []look{{900, 0, 0, false}, {100, 0, 1, false}, {110, 0, 1, false}}},
		{"a copy of the spool", []look{{0, 10, 0, false}, {0, 11, 1, true}, {0, 11, 1, true}}},
	} {
		t.Run(test.what, func(t *testing.T) {
			var log strings.Builder
			r := &rivals{sent: 10, log: slog.New(slog.NewTextHandler(&log, nil))}
			now := time.Now()
			for i, l := range test.looks {
				now = now.Add(l.after * time.Minute)
				if r.sent = 10; test.what == "nobody else" {
					r.sent += uint64(i)
				}
				r.judge(l.others, l.newest, now)
				if r.conflict.Load() != l.conflict {
					t.Errorf("look %d: conflict %v", i, r.conflict.Load())
				}
			}
			last := test.looks[len(test.looks)-1].conflict
			if lines := strings.Count(log.String(), "\n"); last && lines != 1 || lines > 1 {
				t.Errorf("%d lines:\n%s", lines, log.String())
			}
		})
	}
}

// Two nodes of one number notice each other in ClickHouse, and a node alone does not cry wolf.
func TestNodeConflict(t *testing.T) {
	db := chtest.New(t)
	quick := func(c *Config) { c.LookEvery, c.LedgerEvery = 50*time.Millisecond, 10*time.Millisecond }
	first, reg := testIngest(t, db.DSN(engine.Edge), quick)
	for n := range 20 {
		put(t, first, n, n+1)
		time.Sleep(20 * time.Millisecond)
	}
	if v := metrictest.Sum(t, reg, "carom_node_conflict"); v != 0 {
		t.Errorf("carom_node_conflict is %v of a node alone", v)
	}
	second, _ := testIngest(t, db.DSN(engine.Edge), quick)
	n := 100
	faults.Await(t, "carom_node_conflict to be 1", func() bool {
		put(t, second, n, n+1)
		n++
		return metrictest.Sum(t, reg, "carom_node_conflict") == 1
	})
	stopIngest(t, second)
	stopIngest(t, first)
}
