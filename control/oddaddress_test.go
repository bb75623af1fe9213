package control_test

import (
	"testing"

	"carom/control"
)

func TestImportWarnsOfPlaceholdersInAddresses(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	for destination, says := range map[string]string{
		"https://shop.example/{link}":                     "{link}",
		"https://shop.example/boots?creator={influencer}": "{influencer}",
		"https://shop.example/boots?x={&c=%7Bcampaign%7D": "{campaign}",
		"https://shop.example/boots#{Click_ID}":           "{Click_ID}",
		"https://shop.example/boots":                      "",
		"https://shop.example/?q={}":                      "",
		"https://shop.example/?q={a+b":                    "",
		"https://shop.example/?json={%22a%22:1}":          "",
		"https://shop.example/%70%7E":                     "",
	} {
		got := w.run(control.LocalScope(), "links", csv("link,domain,campaign,influencer,destination", "l,go.acme.example,boots,lena,"+destination))
		want := ""
		if says != "" {
			want = "holds " + says + ", which is sent to the shop as it stands: only UTM values have placeholders"
		}
		switch {
		case len(got.Rejected) > 0:
			t.Errorf("%s is refused: %s", destination, got.Rejected[0].Reason)
		case want == "" && len(got.Warnings) > 0, want != "" && (len(got.Warnings) != 1 || got.Warnings[0].Reason != want):
			t.Errorf("%s: %+v, want %q", destination, got.Warnings, want)
		}
	}
}
