package redirect

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carom/ingest"
)

// rebuilt is a table made of what was salvaged of a builder.
func rebuilt(t rapid.TB, b *Builder) *Table {
	t.Helper()
	s := &Salvage{builder: b}
	again := NewBuilder()
	for _, k := range s.Keys() {
		again.SetKey(k)
	}
	for _, v := range s.Brands() {
		again.SetBrand(v)
	}
	for _, v := range s.Domains() {
		again.SetDomain(v)
	}
	for _, v := range s.Campaigns() {
		again.SetCampaign(v)
	}
	for v := range s.Influencers() {
		again.SetInfluencer(v)
	}
	for l := range s.Links() {
		if err := again.SetLink(l); err != nil {
			t.Fatalf("link %+v: %v", l, err)
		}
	}
	return again.Table()
}

// unsummed is a record without the hash of its row: what is salvaged has another key.
func unsummed(l link) []byte {
	b := slices.Clone(l.withoutSum())
	b[0] &^= flagSum
	return b
}

// Whatever a link has of its own, what is salvaged of it leads to the same place.
func TestSalvagedLinksLeadToTheSamePlace(t *testing.T) {
	templates := rapid.SampledFrom([]string{
		"", "{platform}", "{influencer}-{link}", "{campaign} & {brand}", "{content_format}", "50 % off", "a+b=c", "größe}",
	})
	destinations := rapid.SampledFrom([]string{
		"https://shop.test/", "https://shop.test/a?utm_source=old&b=1#top", "https://shop.test/?aff=x&c=%20", "https://shop.test/x?&&a", "shop://item?id=1",
	})
	rapid.Check(t, func(t *rapid.T) {
		utm := func(label string) UTM {
			draw := func(field string) string { return templates.Draw(t, label+field) }
			return UTM{draw(" source"), draw(" medium"), draw(" campaign"), draw(" content"), draw(" term")}
		}
		b := NewBuilder()
		b.SetBrand(Brand{ID: 1, Key: "glow", Currency: "EUR", Policy: DestinationPolicy{AppSchemes: []string{"shop"}}})
		b.SetDomain(DomainRow{ID: 1, Host: "go.glow.test", Brand: 1})
		b.SetCampaign(Campaign{
			ID: 1, Key: "spring", Brand: 1, Destination: destinations.Draw(t, "campaign's destination"), UTM: utm("campaign's"),
			ClickIDParam: "aff", Enabled: true,
		})
		b.SetInfluencer(Influencer{ID: 1, Key: "mia k", Platform: "tik tok", Tier: ingest.TierMicro, Enabled: rapid.Bool().Draw(t, "creator on")})
		row := LinkRow{
			ID: 7, Key: "key/7", Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, KeyID: 2,
			Slug: rapid.SampledFrom([]string{"", "summer"}).Draw(t, "slug"), Coupon: rapid.SampledFrom([]string{"", "MIA"}).Draw(t, "coupon"),
			Fallback: rapid.SampledFrom([]string{"", "https://shop.test/over?x=1"}).Draw(t, "fallback"),
			Format:   ingest.FormatOf(rapid.SampledFrom([]string{"", "reel"}).Draw(t, "format")),
			Starts:   time.Unix(1_700_000_000, 0), Enabled: rapid.Bool().Draw(t, "on"), Deleted: rapid.IntRange(0, 9).Draw(t, "deleted") == 0,
		}
		if rapid.Bool().Draw(t, "expires") {
			row.Expires = time.Unix(1_800_000_000, 0)
		}
		if rapid.Bool().Draw(t, "own") {
			row.UTM = utm("own")
		}
		if rapid.Bool().Draw(t, "own destination") {
			row.Destination = destinations.Draw(t, "destination")
		}
		if err := b.SetLink(row); err != nil {
			t.Fatal(err)
		}
		before := b.Table()
		after := rebuilt(t, b)
		defer runtime.KeepAlive([]*Table{before, after})
		was, is := before.link(7), after.link(7)
		if !slices.Equal(unsummed(was), unsummed(is)) {
			t.Fatalf("the record is\n%q\nbefore\n%q", is, was)
		}
		if g, h := before.groups.At(was.group()), after.groups.At(is.group()); !slices.Equal(g, h) {
			t.Fatalf("the group is\n%q\nbefore\n%q", h, g)
		}
		if !slices.Equal(before.creators.At(1), after.creators.At(1)) {
			t.Fatal("the creator is another one")
		}
	})
}
