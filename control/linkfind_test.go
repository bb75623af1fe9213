package control_test

import (
	"errors"
	"testing"

	"carom/control"
)

func TestFindLink(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("brands", "brand,name,currency", "other,Other,EUR")
	w.load("domains", "host,brand,vanity", "go.other.example,other,open", "s.acme.example,acme,signed")
	w.load("campaigns", "campaign,brand,name,destination", "hats,other,Hats,https://other-goods.example/")
	w.load("links", "link,domain,campaign,influencer,slug",
		"plain,go.acme.example,boots,lena,", "slugged,go.acme.example,boots,lena,summer", "signed,s.acme.example,boots,lena,winter",
		"twice,go.acme.example,boots,lena,twin", "summer,go.other.example,hats,lena,twin", "both,go.acme.example,boots,lena,",
		"both,go.other.example,hats,lena,")
	local := control.LocalScope()
	plain, err := w.Link(t.Context(), local, "", "plain")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := w.Link(t.Context(), local, "acme", "signed")
	if err != nil {
		t.Fatal(err)
	}
	minted, err := w.MintToken(t.Context(), local, control.TokenLinkRequest{Domain: "go.acme.example", Campaign: "boots", Influencer: "lena"})
	if err != nil {
		t.Fatal(err)
	}
	acme := control.Scope{Role: control.Analyst, Brands: []string{"acme"}}
	for _, c := range []struct {
		scope       control.Scope
		brand, name string
		want        string
		err         error
	}{
		{local, "", "plain", "plain", nil},
		{local, "", plain.Code, "plain", nil},
		{local, "", plain.ShortURL, "plain", nil},
		{local, "", "go.acme.example/" + plain.Code + "?fbclid=x", "plain", nil},
		{local, "", "http://GO.acme.example:8080/summer", "slugged", nil},
		{local, "acme", "summer", "slugged", nil},
		{local, "", signed.ShortURL, "signed", nil},
		{local, "", signed.Code, "signed", nil},
		{local, "", minted.URL, minted.Link.Link, nil},
		{local, "", "summer", "summer", nil}, // a key comes first
		{acme, "", "summer", "slugged", nil},
		{local, "other", "twin", "summer", nil},
		{local, "", "twin", "", control.ErrAmbiguous},
		{local, "", "both", "", control.ErrAmbiguous},
		{local, "", "s.acme.example/" + plain.Code, "", control.ErrNotFound},
		{local, "", plain.Code[:10] + "_", "", control.ErrNotFound},
		{local, "", plain.Code[:9] + plain.Code[10:] + "0", "", control.ErrNotFound},
		{local, "", minted.URL[:len(minted.URL)-4] + "AAAA", "", control.ErrNotFound},
		{local, "", "https://go.acme.example/", "", control.ErrNotFound},
		{local, "", "https://go.absent.example/summer", "", control.ErrNotFound},
		{acme, "", "https://go.other.example/twin", "", control.ErrNotFound},
		{local, "", "absent", "", control.ErrNotFound},
	} {
		link, err := w.FindLink(t.Context(), c.scope, c.brand, c.name)
		if link.Link != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("FindLink(%q, %q) = %q, %v; want %q, %v", c.brand, c.name, link.Link, err, c.want, c.err)
		}
	}
}
