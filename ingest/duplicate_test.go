package ingest

import (
	"testing"
	"time"
)

func TestRepeat(t *testing.T) {
	const window = 30 * time.Minute
	began := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	type click struct {
		visitor uint64
		link    uint32
		after   time.Duration
		repeat  bool
	}
	for name, clicks := range map[string][]click{
		"once":                    {{1, 1, 0, false}},
		"twice":                   {{1, 1, 0, false}, {1, 1, time.Second, true}},
		"at the window's end":     {{1, 1, 0, false}, {1, 1, window, true}},
		"after the window":        {{1, 1, 0, false}, {1, 1, window + time.Second, false}},
		"each click begins anew":  {{1, 1, 0, false}, {1, 1, window - time.Second, true}, {1, 1, 2*window - 2*time.Second, true}},
		"another link":            {{1, 1, 0, false}, {1, 2, time.Second, false}},
		"another visitor":         {{1, 1, 0, false}, {2, 1, time.Second, false}},
		"lanes are read in turns": {{1, 1, time.Second, false}, {1, 1, 0, true}},
		"hash of zero":            {{0, 0, 0, false}, {0, 0, time.Second, true}},
		"a full set forgets the oldest": {
			{1, 0, 0, false},
			{2, 0, 1 * time.Second, false},
			{3, 0, 2 * time.Second, false},
			{4, 0, 3 * time.Second, false},
			{5, 0, 4 * time.Second, false},
			{6, 0, 5 * time.Second, false},
			{7, 0, 6 * time.Second, false},
			{8, 0, 7 * time.Second, false},
			{1, 0, 8 * time.Second, true},  // all eight are known, and 2 is now the oldest
			{9, 0, 9 * time.Second, false}, // takes its place
			{1, 0, 10 * time.Second, true},
			{3, 0, 11 * time.Second, true},
			{2, 0, 12 * time.Second, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDuplicates(window)
			for i, c := range clicks {
				if got := d.repeat(c.visitor, c.link, began.Add(c.after).UnixMilli()); got != c.repeat {
					t.Errorf("click %d, visitor %d on link %d after %s: repeat is %t", i, c.visitor, c.link, c.after, got)
				}
			}
		})
	}
}
