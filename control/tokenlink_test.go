package control_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carom/control"
)

func TestMintingRefuses(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("brands", "brand,name,currency", "other,Other,EUR")
	w.load("campaigns", "campaign,brand,name,destination",
		"hats,other,Hats,https://other-goods.example/", "subs,acme,Subs,https://shop.acme-goods.example/?sub2=own")
	good := map[string]any{"domain": "go.acme.example", "campaign": "boots", "influencer": "lena"}
	for _, c := range []struct {
		why, field string
		value      any
		says       string // empty: it is minted
	}{
		{"in order", "domain", "GO.acme.example", ""},
		{"a sub id", "sub5", "Größe 1", ""},
		{"an end", "expires", "2031-01-01T00:00:00Z", ""},
		{"unknown domain", "domain", "go.absent.example", "domain is unknown"},
		{"unknown campaign", "campaign", "absent", "campaign is unknown"},
		{"another brand's campaign", "campaign", "hats", "campaign is unknown"},
		{"unknown creator", "influencer", "absent", "influencer is unknown"},
		{"long sub id", "sub1", strings.Repeat("x", 65), "sub1 has 65 bytes, at most 64"},
		{"control character", "sub1", "a\nb", "sub1 holds the control character"},
		{"an end in the past", "expires", "2026-03-10T12:00:00Z", "expires must be later than now"},
		{"an end beyond time", "expires", "2200-01-01T00:00:00Z", "expires must be a day"},
	} {
		fields := map[string]any{}
		for name, value := range good {
			fields[name] = value
		}
		fields[c.field] = c.value
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		var request control.TokenLinkRequest
		if err := json.Unmarshal(text, &request); err != nil {
			t.Fatal(err)
		}
		link, err := w.MintToken(t.Context(), control.LocalScope(), request)
		switch {
		case c.says == "" && (err != nil || !strings.HasPrefix(link.URL, "https://go.acme.example/~") || link.State != "live"):
			t.Errorf("%s: %+v, %v", c.why, link, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v, want …%s…", c.why, err, c.says)
		}
	}
	_, err := w.MintToken(t.Context(), control.LocalScope(), control.TokenLinkRequest{
		Domain: "go.acme.example", Campaign: "subs", Influencer: "lena", Sub2: "mine",
	})
	if err == nil || !strings.Contains(err.Error(), "sub2 is set by the campaign's destination") {
		t.Errorf("a sub id of the destination: %v", err)
	}
	_, err = w.MintToken(t.Context(), control.Scope{Role: control.Editor, Brands: []string{"other"}}, control.TokenLinkRequest{
		Domain: "go.acme.example", Campaign: "boots", Influencer: "lena",
	})
	if err == nil || !strings.Contains(err.Error(), "domain is unknown") {
		t.Errorf("for another brand's token: %v", err)
	}
	if links := one[uint64](w, "SELECT count() FROM links"); links != 3 {
		t.Errorf("%d links stored, want 3", links)
	}
}
