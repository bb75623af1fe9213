package control

import (
	"encoding/json"
	"testing"
	"time"
)

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
