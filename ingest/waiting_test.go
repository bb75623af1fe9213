package ingest

import (
	"context"
	"testing"
	"time"
)

// While ClickHouse cannot be reached, nothing is frozen either: the age of what waits is told all the same, and by the moment of the
// oldest click, not of when it was read.
func TestOldestIsToldWithoutClickHouse(t *testing.T) {
	in, _ := testIngest(t, "clickhouse://u:p@127.0.0.1:1/carom", nil)
	clicked := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	in.PutClick(0, testClick(0, clicked.Add(time.Minute)))
	in.PutClick(0, testClick(1, clicked))
	oldest := &in.clickFlusher.metrics.oldest
	for began := time.Now(); oldest.Load() == 0 && time.Since(began) < time.Minute; {
		time.Sleep(10 * time.Millisecond)
	}
	if got := time.Unix(0, oldest.Load()); !got.Equal(clicked) {
		t.Errorf("the oldest click waits since %v, want %v", got, clicked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := in.Stop(ctx); err == nil {
		t.Error("Stop reports nothing although clicks were not delivered")
	}
	if got := oldest.Load(); got != 0 {
		t.Errorf("nothing waits any more, and the oldest since %v", time.Unix(0, got))
	}
}
