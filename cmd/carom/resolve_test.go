package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"carom/redirect"
)

// Whoever reads only the answer also reads how old the snapshot is that it comes from, unless that is of this moment.
func TestResolveTellsTheAgeOfTheSnapshot(t *testing.T) {
	t.Parallel()
	taken := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]string{
		-time.Second:     "", // another machine's clock
		0:                "",
		freshSnapshot:    "",
		90 * time.Second: "as of 2026-03-10T12:00:00Z, 1m30s before now",
		49 * time.Hour:   "as of 2026-03-10T12:00:00Z, 49h0m0s before now",
	} {
		var out strings.Builder
		if err := printExplanation(&console{Out: &out, Err: io.Discard}, redirect.Explanation{Status: 302, Taken: taken}, taken.Add(age)); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(out.String(), "as of"); told != (want != "") || !strings.Contains(out.String(), want) {
			t.Errorf("%s old:\n%swant %q", age, out.String(), want)
		}
	}
}
