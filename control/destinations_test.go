package control_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"carom/control"
)

func TestDestinationsOfLinksThatLeadSomewhere(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	w.load("links", "link,domain,campaign,influencer,destination,starts,expires,enabled",
		"own,go.acme.example,boots,lena,https://acme-goods.example/own,,,",
		"soon,go.acme.example,boots,lena,,2030-01-01,,",
		"off,go.acme.example,boots,lena,,,,no",
		"over,go.acme.example,boots,lena,,2025-01-01,2025-02-01,")
	c := connect(t, w.serve(), w.token(control.Analyst, "acme"))
	var got []control.LinkDestination
	err := c.EachDestination(t.Context(), control.LinkFilter{Campaign: "boots"}, func(d control.LinkDestination) error {
		got = append(got, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const campaign = "https://acme-goods.example/"
	want := []control.LinkDestination{
		{"acme", "l1", campaign}, {"acme", "l2", campaign}, {"acme", "own", campaign + "own"}, {"acme", "soon", campaign},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := c.EachDestination(t.Context(), control.LinkFilter{Campaign: "hats"}, nil); err == nil {
		t.Error("another brand's campaign is not refused")
	}
}
