package control_test

import (
	"strings"
	"testing"
)

// Narrowing a brand's allowlist stops links that are printed: the import says which hosts it leaves out.
func TestNarrowedAllowlistIsSaid(t *testing.T) {
	w := newWorld(t)
	w.load("brands", "brand,name,currency", "acme,Acme,EUR", "other,Other,EUR")
	w.load("domains", "host,brand", "go.acme.example,acme")
	w.load("influencers", "influencer,name", "lena,Lena")
	w.load("campaigns", "campaign,brand,name,destination", "boots,acme,Boots,https://shop.acme-goods.example/boots",
		"else,other,Else,https://elsewhere.example/")
	w.load("links", "link,campaign,influencer,domain,destination,fallback_url",
		"a,boots,lena,go.acme.example,https://Outlet.acme-goods.example:8443/a,",
		"b,boots,lena,go.acme.example,,https://over.acme-goods.example/")
	for _, test := range []struct{ list, want string }{
		{"", ""},
		{"shop.acme-goods.example outlet.acme-goods.example over.acme-goods.example", ""},
		{"shop.acme-goods.example new.example", "leaves out outlet.acme-goods.example, over.acme-goods.example, where"},
		{"new.example", "leaves out outlet.acme-goods.example, over.acme-goods.example, shop.acme-goods.example, where"},
	} {
		result := w.load("brands", "brand,name,currency,destination_hosts", "acme,Acme,EUR,"+test.list, "fresh,Fresh,EUR,a.example")
		var got []string
		for _, warning := range result.Warnings {
			got = append(got, warning.Column+" "+warning.Reason)
		}
		if test.want == "" && len(got) > 0 || !strings.Contains(strings.Join(got, "\n"), test.want) {
			t.Errorf("%q: warnings %q, want %q", test.list, got, test.want)
		}
	}
	w.load("brands", "brand,name,currency", "acme,Acme Ltd,EUR") // says nothing of the list, and keeps it
}
