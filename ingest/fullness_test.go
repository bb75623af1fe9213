package ingest

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carom/ingest/ring"
)

func TestFullSpoolIsTold(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	f := &fullness{log: slog.New(slog.NewTextHandler(&log, nil)), full: 7}
	noRoom := errors.New("no space left on device")
	for _, step := range []struct {
		name string
		st   ring.Stats
		at   time.Duration
		want []string // parts of the line; none: there is no line
	}{
		{"refusals of an earlier process", ring.Stats{Full: 7}, 0, nil},
		{"the first refusals", ring.Stats{Full: 10, Bytes: 64}, time.Second, []string{"buffer has no room", "table=clicks", "dropped=3", "bytes=64", "--spool-budget"}},
		{"more within the minute", ring.Stats{Full: 12}, 30 * time.Second, nil},
		{"a minute later", ring.Stats{Full: 15}, 61 * time.Second, []string{"buffer has no room", "dropped=5"}},
		{"no more since", ring.Stats{Full: 15}, 3 * time.Minute, nil},
		{"a disk that is full, before anything is lost", ring.Stats{Full: 15, Err: noRoom}, 4 * time.Minute, []string{"disk", "dropped=0", "no space left"}},
		{"room again", ring.Stats{Full: 15}, 6 * time.Minute, nil},
	} {
		log.Reset()
		f.look(step.st, "clicks", began.Add(step.at))
		if (log.Len() > 0) != (len(step.want) > 0) {
			t.Errorf("%s: told %q", step.name, log.String())
		}
		for _, part := range step.want {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: told %q, want %q in it", step.name, log.String(), part)
			}
		}
	}
}
