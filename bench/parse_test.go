package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseStat(t *testing.T) {
	own, children, err := parseStat([]byte("12 (a) b) S 1 12 12 0 -1 4194560 9 0 0 0 250 125 30 5 20 0 7 0 99 1 2"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (usage{User: 2.5, System: 1.25}); own != want {
		t.Errorf("the process used %v, want %v", own, want)
	}
	if want := (usage{User: 0.3, System: 0.05}); children != want {
		t.Errorf("its children used %v, want %v", children, want)
	}
	for _, bad := range []string{"", "12 (x) S 1 2", "12 (x) S 1 12 12 0 -1 4194560 9 0 0 0 many 125 30 5 20"} {
		if _, _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a stat line", bad)
		}
	}
}

func TestParseIdle(t *testing.T) {
	const stat = "cpu  5 0 5 700 30 0 0 0 0 0\ncpu0 1 0 1 100 20 0 0 0 0 0\ncpu1 4 0 4 600 10 0 0 0 0 0\nintr 1\n"
	for cpu, want := range []float64{1.2, 6.1} {
		if got, err := parseIdle(stat, cpu); err != nil || got != want {
			t.Errorf("CPU %d was idle for %v (%v), want %v", cpu, got, err, want)
		}
	}
	if _, err := parseIdle(stat, 2); err == nil {
		t.Error("there is no CPU 2, and no error")
	}
}

func TestParseMemory(t *testing.T) {
	got, err := parseMemory("Name:\tcarom\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nRssAnon:\t    512 kB\nRssFile:\t    512 kB\n")
	if want := (resident{now: 1 << 20, peak: 2 << 20, anon: 512 << 10}); err != nil || got != want {
		t.Errorf("memory is %+v (%v), want %+v", got, err, want)
	}
}

func TestParseWrk(t *testing.T) {
	const table = "Running 1s test @ http://127.0.0.1:1\n  Thread Stats …\n"
	got, err := parseWrk(table + `{"requests":120,"microseconds":1500000,"refused":0,"failed":0}` + "\n")
	if want := (load{requests: 120, took: 1500 * time.Millisecond}); err != nil || got != want {
		t.Errorf("the load was %v (%v), want %v", got, err, want)
	}
	for _, bad := range []string{
		table,
		table + `{"requests":0,"microseconds":1500000,"refused":0,"failed":0}`,
		table + `{"requests":9,"microseconds":1500000,"refused":1,"failed":0}`,
		table + `{"requests":9,"microseconds":1500000,"refused":0,"failed":1}`,
	} {
		if got, err := parseWrk(bad); err == nil {
			t.Errorf("%q was taken for a clean load %v", bad, got)
		}
	}
}

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics(strings.NewReader(`# HELP carom_links Links in the table.
carom_links 1e+05
carom_clicks_dropped_total{reason="buffer_full"} 2
carom_clicks_dropped_total{reason="shut down"} 3
`))
	want := map[string]float64{"carom_links": 100_000, "carom_clicks_dropped_total": 5}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("metrics are %v (%v), want %v", got, err, want)
	}
	for _, bad := range []string{"carom_links\n", "carom_links many\n"} {
		if _, err := parseMetrics(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken for a metric", bad)
		}
	}
}

func TestIsRedirect(t *testing.T) {
	for _, c := range []struct {
		answer string
		whole  bool
	}{
		{"", false},
		{"HTTP/1.1 302 Found\r\nContent-Len", false},
		{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", true},
		{"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /\r\n\r\n", true},
		{"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", true},
		{"HTTP/1.1 302 Moved\r\nContent-Length: 12\r\n\r\nhello", false},
		{"HTTP/1.1 302 Moved\r\nContent-Length: 12\r\n\r\nhello, world", true},
	} {
		if whole, err := isRedirect([]byte(c.answer)); err != nil || whole != c.whole {
			t.Errorf("%q: whole is %v (%v), want %v", c.answer, whole, err, c.whole)
		}
	}
	if _, err := isRedirect([]byte("HTTP/1.1 404 Not Found\r\n")); err == nil {
		t.Error("a 404 was taken for a redirect")
	}
}
