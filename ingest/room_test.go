package ingest

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/faults"
)

// A budget that the disk cannot hold is told at the start.
func TestBudgetBeyondDisk(t *testing.T) {
	dir := faults.Tmpfs(t, 8<<20, faults.AnyFiles)
	for budget, want := range map[int]bool{2 << 20: false, 64 << 20: true} {
		var log bytes.Buffer
		c := Default()
		smallSpool(filepath.Join(dir, "spool"))(&c)
		c.ClickHouse, c.Ring.SegmentBytes, c.SpoolBytes = unreachable, 64<<10, budget
		in, err := New(c, noPlaces(t), prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		in.Start()
		abandonIngest(t, in)
		if told := strings.Contains(log.String(), "less room than the spool's budget"); told != want {
			t.Errorf("a budget of %d bytes: told %v, want %v: %s", budget, told, want, log.String())
		}
	}
}
