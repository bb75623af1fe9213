package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twoRounds is a run in which Carom answers 8 of 10 requests of bare fasthttp's, and one measurement was disturbed.
func twoRounds() *result {
	r := &result{Options: options{Rounds: 2, Only: []string{streamHot}, Hot: 10, BatchRows: 1000}}
	for round := range 2 {
		bare, carom := sampleOf(round, streamHot, targetBare, 1000), sampleOf(round, streamHot, targetAlone, 800)
		bare.CPU, carom.CPU = usage{User: 0.004, System: 0.004}, usage{User: 0.004, System: 0.004}
		if round == 1 {
			carom.Requests, carom.Others = 1, 1
		}
		r.Loads = append(r.Loads, bare, carom)
	}
	r.Flushes = []flushSample{{place{Stream: streamHot, Name: writerCarom}, flush{Rows: 1000, Seconds: 2, CPU: usage{User: 0.003}}}}
	return r
}

func TestReport(t *testing.T) {
	var out strings.Builder
	twoRounds().print(&out)
	for _, want := range [][]string{
		{"bare fasthttp", "1000", "1.00", "–", "8.00", "+0.00", "2"},
		{"Carom, edge alone", "800", "0.80", "–", "10.00", "+2.00", "1"},
		{"Carom, whole", "–", "–", "–", "–", "–", "0"},
		{"Carom's writer", "500", "1.00", "3.00", "3.00", "0.00", "1", "Carom"},
	} {
		if !hasRow(out.String(), want) {
			t.Errorf("no row with %q in that order in\n%s", want, out.String())
		}
	}
	if !strings.Contains(out.String(), "1 of 5 measurements left out") {
		t.Errorf("the disturbed measurement is not told of:\n%s", out.String())
	}
}

// Of a scale, nodes are compared turn by turn, and what was disturbed does not count.
func TestReportOfScale(t *testing.T) {
	r := &result{
		Options: options{Rounds: 1, Seconds: 3, Only: []string{partScale}},
		Scale:   &scaleResult{Few: tableMemory{Links: 100, Anon: 20e6}, Many: tableMemory{Links: 9000, Anon: 300e6}},
	}
	for turn, many := range []uint64{950, 970, 1} {
		for name, requests := range map[string]uint64{targetFew: 1000, targetMany: many} {
			s := sampleOf(0, partScale, name, requests)
			if s.Turn = turn; requests == 1 {
				s.Others = 1
			}
			r.Loads = append(r.Loads, s)
		}
	}
	var out strings.Builder
	r.print(&out)
	for _, want := range [][]string{
		{targetFew, "100", "20 MB", "1000", "3"},
		{targetMany, "9000", "300 MB", "960", "2"},
		{"Rate among 9000 links, of that among 100: 0.960", "median of 2", "0.95"},
		{"1 rounds of 3 s", "100 links", "1 of 6 measurements left out"},
	} {
		if !hasRow(out.String(), want) {
			t.Errorf("no row with %q in that order in\n%s", want, out.String())
		}
	}
}

// hasRow reports whether a line holds the cells, in their order.
func hasRow(text string, cells []string) bool {
	for line := range strings.Lines(text) {
		found := strings.HasPrefix(strings.TrimSpace(line), cells[0])
		for _, cell := range cells {
			var ok bool
			_, line, ok = strings.Cut(line, cell)
			found = found && ok
		}
		if found {
			return true
		}
	}
	return false
}

func TestResultAsJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	if err := twoRounds().writeJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ClosedLoop []struct {
			Round    int
			Stream   string
			Name     string
			Requests int
			Others   float64
		} `json:"closed_loop"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.ClosedLoop) != 4 {
		t.Fatalf("%d samples, want all 4: %s", len(got.ClosedLoop), text)
	}
	if last := got.ClosedLoop[3]; last.Round != 1 || last.Name != targetAlone || last.Requests != 1 || last.Others != 1 {
		t.Errorf("the disturbed sample is %+v", last)
	}
}

func TestOptionsAreBounded(t *testing.T) {
	good := options{Rounds: 5, Seconds: 4, Links: 100, Hot: 10, Rate: 1000, Conns: 64, BatchRows: 100_000, Outage: time.Hour, Only: []string{partOutage}}
	if err := good.validate(); err != nil {
		t.Errorf("refused: %v", err)
	}
	for name, spoil := range map[string]func(*options){
		"--rounds":     func(o *options) { o.Rounds = 0 },
		"--seconds":    func(o *options) { o.Seconds = 21 },
		"--hot":        func(o *options) { o.Hot = 101 },
		"--links":      func(o *options) { o.Links = maxLinks + 1 },
		"--rate":       func(o *options) { o.Rate = 1_000_000 },
		"--conns":      func(o *options) { o.Conns = 0 },
		"--batch-rows": func(o *options) { o.BatchRows = 600_000 },
		"--outage":     func(o *options) { o.Outage = time.Millisecond },
		"--only":       func(o *options) { o.Only = []string{streamHot, partOutage} },
		"--many":       func(o *options) { o.Only, o.Many = []string{partScale}, o.Links-1 },
	} {
		bad := good
		spoil(&bad)
		if err := bad.validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s out of bounds: error %v", name, err)
		}
	}
}
