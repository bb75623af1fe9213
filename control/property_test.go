package control_test

import (
	"bytes"
	encoding "encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"carom/control"
)

// exportedColumns are those of an export that an import of links takes.
var exportedColumns = []string{"link", "domain", "campaign", "influencer", "slug", "enabled", "expires"}

func TestExportImportedAgainChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	c := connect(t, w.serve(), w.token(control.Editor))
	round := 0
	const creators = 100 // that are imported at once
	rapid.Check(t, func(t *rapid.T) {
		if round%creators == 0 {
			w.loadCreators(round, round+creators)
		}
		creator := fmt.Sprintf("creator-%d", round) // keeps the export to this round's links
		round++
		lines := []string{"link,domain,campaign,influencer,slug,enabled,expires,coupon,fee"}
		for i := range rapid.IntRange(1, 30).Draw(t, "links") {
			slug := ""
			if rapid.Bool().Draw(t, "vanity") {
				slug = fmt.Sprintf("s-%d-%d", round, i)
			}
			lines = append(lines, strings.Join([]string{
				fmt.Sprintf("%s.%d.%d", rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`).Draw(t, "key"), round, i),
				rapid.SampledFrom([]string{"go.acme.example", "GO.acme.example."}).Draw(t, "host"),
				rapid.SampledFrom([]string{"boots", "tents"}).Draw(t, "campaign"),
				creator,
				slug,
				rapid.SampledFrom([]string{"", "true", "no"}).Draw(t, "enabled"),
				rapid.SampledFrom([]string{"", "2030-05-06", "2031-01-01T10:20:30+05:30"}).Draw(t, "expires"),
				rapid.SampledFrom([]string{"", "save10", `"a, b"`}).Draw(t, "coupon"),
				rapid.SampledFrom([]string{"", "0", "10.5"}).Draw(t, "fee"),
			}, ","))
		}
		first, err := w.ImportCSV(w.t.Context(), "links", strings.NewReader(csv(lines...)), control.LocalScope())
		if err != nil || first.Created != len(lines)-1 {
			t.Fatalf("%+v, %v", first, err)
		}
		before := one[uint64](w, "SELECT sum(cityHash64(*)) FROM links")

		var export bytes.Buffer
		if err := c.Export(w.t.Context(), control.LinkFilter{Influencer: creator}, "csv", &export); err != nil {
			t.Fatal(err)
		}
		again, err := w.ImportCSV(w.t.Context(), "links", strings.NewReader(pick(t, export.String(), exportedColumns)), control.LocalScope())
		if err != nil || again.Created+again.Updated+len(again.Rejected) != 0 || again.Unchanged != first.Created {
			t.Fatalf("export imported again: %+v, %v", again, err)
		}
		if after := one[uint64](w, "SELECT sum(cityHash64(*)) FROM links"); after != before {
			t.Fatal("rows have changed")
		}
	})
}

// loadCreators imports those with the numbers from first up to end.
func (w *world) loadCreators(first, end int) {
	w.t.Helper()
	lines := []string{"influencer,name"}
	for i := first; i < end; i++ {
		lines = append(lines, fmt.Sprintf("creator-%d,Name", i))
	}
	w.load("influencers", lines...)
}

// pick reduces a CSV file to some columns, in another order of lines.
func pick(t *rapid.T, file string, columns []string) string {
	records, err := encoding.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header, rows := records[0], records[1:]
	slices.Reverse(rows)
	var out bytes.Buffer
	w := encoding.NewWriter(&out)
	lines := [][]string{columns}
	for _, row := range rows {
		var cells []string
		for _, column := range columns {
			cells = append(cells, row[slices.Index(header, column)])
		}
		lines = append(lines, cells)
	}
	if err := w.WriteAll(lines); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
