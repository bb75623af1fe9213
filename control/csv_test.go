package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A read is what one line of a file came to.
type read struct {
	line  int
	cells string
	bad   bool
}

// readAll reads a file as the importer does; ok is false where its header is refused.
func readAll(t *testing.T, file string, l layout, firstLine int) (reads []read, ok bool) {
	t.Helper()
	in, err := readRecords(strings.NewReader(file), l, firstLine)
	if err != nil {
		return nil, false
	}
	for {
		rec, bad, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return reads, true
		case err != nil:
			t.Fatal(err)
		case bad != nil:
			reads = append(reads, read{bad.Line, "", true})
		default:
			reads = append(reads, read{rec.line, fmt.Sprintf("%q", rec.cells), false})
		}
	}
}

// layoutOf returns the layout of a kind of file.
func layoutOf(t testing.TB, kind string) layout {
	t.Helper()
	run, err := newRun(nil, kind, Scope{})
	if err != nil {
		t.Fatal(err)
	}
	return run.layout()
}

// csvSeeds are files with what spreadsheets and people do to CSV.
var csvSeeds = []string{
	"brand,name,currency\nacme,Acme,EUR\n",
	"\ufeff\"brand\",name,currency\r\nacme,\"A, \"\"B\"\"\",EUR\r\n\r\n\r\nb,\"two\r\nlines\",EUR",
	"brand,name,currency\nacme,Acme\na,b,c,d\nx,y\"z,EUR\nacme,again,EUR\n",
	"brand,name,currency\nacme,\"never closed,EUR\nb,B,EUR\n",
	"\n\nbrand,name,currency\n\nacme,Acme,EUR\n\nacme,Acme,EUR\n,,\n",
	"brand,name,currency\n\"a\"\"\",\"\",\"\"\n\xff\xfe,\x00,\t\n",
	"brand;name;currency\nacme;Acme;EUR\n",
	"",
}

// FuzzRecords feeds any bytes to the reader of import files: it ends, and each record has a line of its own, in order.
func FuzzRecords(f *testing.F) {
	for _, seed := range csvSeeds {
		f.Add(seed)
	}
	l := layoutOf(f, "brands")
	f.Fuzz(func(t *testing.T, file string) {
		reads, _ := readAll(t, file, l, 2)
		last := 1
		for _, r := range reads {
			if r.line <= last {
				t.Errorf("line %d after line %d", r.line, last)
			}
			last = r.line
		}
	})
}

// FuzzCutter compares the parts that a client sends with the file as a whole: the same records, at the same lines, but for
// those that repeat a key.
func FuzzCutter(f *testing.F) {
	for _, seed := range csvSeeds {
		f.Add(seed)
	}
	l := layoutOf(f, "brands")
	f.Fuzz(func(t *testing.T, file string) {
		in, err := newCutter(strings.NewReader(file), l)
		whole, ok := readAll(t, file, l, 2)
		if err != nil || !ok {
			if (err == nil) != ok {
				t.Fatalf("the cutter says %v, the reader accepts: %v", err, ok)
			}
			return
		}
		var parts []read
		repeated := map[int]bool{}
		for {
			part, err := in.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got, ok := readAll(t, string(part.csv), l, part.firstLine)
			if !ok {
				t.Fatalf("part %q has no header", part.csv)
			}
			parts = append(parts, got...)
			for _, r := range part.repeats {
				repeated[r.Line] = true
			}
		}
		var want []read
		for _, r := range whole {
			if !repeated[r.line] {
				want = append(want, r)
			}
		}
		if fmt.Sprint(want) != fmt.Sprint(parts) {
			t.Errorf("parts  %v\nwhole  %v\nwithout repeats %v", parts, want, repeated)
		}
	})
}

func TestNearestColumn(t *testing.T) {
	l := layoutOf(t, "links")
	for name, want := range map[string]string{
		"slugg": "slug", "Domain": "domain", "utm_souce": "utm_source", "desination": "destination", "follback_url": "fallback_url",
	} {
		if got := Nearest(name, l.columns); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestLongColumnIsRefusedShort(t *testing.T) {
	l := layoutOf(t, "links")
	for _, size := range []int{65, 1 << 20} {
		_, err := l.readHeader([]string{"link", strings.Repeat("x", size)}, nil)
		quoted := `"` + strings.Repeat("x", 64) + `…" of ` + strconv.Itoa(size) + " bytes"
		if !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), quoted) || len(err.Error()) > 1000 {
			t.Errorf("a name of %d bytes: error %.1000v", size, err)
		}
	}
}

// FuzzCells feeds any cell to every column: it is refused, or setting it a second time changes nothing, nor does what the API
// tells of it.
func FuzzCells(f *testing.F) {
	for _, cell := range []string{
		"", "a", "true", "NO", "12.50", "1e9", "-1", "EUR", "2026-01-31", "2026-01-31T10:00:00+02:00", "https://a.example/x?y#z",
		"javascript:alert(1)", "{influencer}-{x", "save10", "Europe/Berlin", "de", "percent", "0.1", "reel", "\x00", "\xff", "=cmd", "ſ",
	} {
		f.Add(cell)
	}
	brand := brandRow{BrandID: 1, Brand: "acme", Currency: "EUR"}
	campaign := campaignRow{CampaignID: 1, BrandID: 1, Campaign: "boots"}
	cat := &catalog{
		brands:    newIndex([]brandRow{brand}, (*brandRow).place),
		domains:   newIndex([]domainRow{{DomainID: 1, BrandID: 1, Host: "go.acme.example"}}, (*domainRow).place),
		campaigns: newIndex([]campaignRow{campaign}, (*campaignRow).place),
	}
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, cell string) {
		setAndTell(t, (&brandImport{cat: cat}).columns(), brand, cell)
		setAndTell(t, (&domainImport{cat: cat}).columns(), domainRow{BrandID: 1}, cell)
		setAndTell(t, (&influencerImport{cat: cat, today: now}).columns(), creator{}, cell)
		setAndTell(t, (&campaignImport{cat: cat}).columns(), campaign, cell)
		setAndTell(t, (&linkImport{cat: cat, now: now, slugs: &slugBook{}}).columns(), linkRow{BrandID: 1, Currency: "EUR"}, cell)
		setTwice(t, (&commissionImport{cat: cat}).columns(), ruleRow{CampaignID: 1, Currency: "EUR"}, cell)
		setTwice(t, (&postImport{cat: cat}).columns(), postRow{}, cell)
	})
}

func setTwice[R any](t *testing.T, columns []column[R], empty R, cell string) {
	t.Helper()
	for _, c := range columns {
		if c.set == nil {
			continue
		}
		row := empty
		if _, err := c.set(&row, cell); err != nil {
			continue
		}
		if changed, err := c.set(&row, cell); changed || err != nil {
			t.Errorf("column %s, cell %q: set again: changed %v, error %v", c.name, cell, changed, err)
		}
	}
}

// setAndTell is setTwice for what the API has objects of: setting what it tells changes nothing, either.
func setAndTell[R any](t *testing.T, columns []column[R], empty R, cell string) {
	t.Helper()
	setTwice(t, columns, empty, cell)
	for _, c := range columns {
		row := empty
		if c.set == nil || c.show == nil {
			continue
		}
		if _, err := c.set(&row, cell); err != nil {
			continue
		}
		value, err := c.show(&row)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		told, err := c.shape.cell(text)
		if err != nil {
			t.Fatalf("column %s, cell %q: told as %s, which %v", c.name, cell, text, err)
		}
		if changed, err := c.set(&row, told); changed || err != nil {
			t.Errorf("column %s, cell %q: told as %s: changed %v, error %v", c.name, cell, text, changed, err)
		}
	}
}
