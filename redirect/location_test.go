package redirect

import (
	"bytes"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carom/ingest"
)

var locationValues = templateValues{
	Brand: "glow", Campaign: "spring & co", Influencer: "mia", Link: "l1", Platform: "instagram", ContentFormat: "reel",
}

func TestLocation(t *testing.T) {
	for _, c := range []struct {
		name, destination string
		utm               UTM
		clickParam        string
		want              string   // prefix, click parameter and fragment
		names             []string // besides the click parameter's
	}{
		{"bare host", "https://shop.example", UTM{}, "click_id", "https://shop.example?click_id=", nil},
		{"path", "https://shop.example/a", UTM{}, "click_id", "https://shop.example/a?click_id=", nil},
		{"empty query", "https://shop.example/?", UTM{}, "click_id", "https://shop.example/?click_id=", nil},
		{"query", "https://shop.example/?a=1&b", UTM{}, "click_id", "https://shop.example/?a=1&b&click_id=", []string{"a", "b"}},
		{"stray ampersands", "https://shop.example/?&a=1&&", UTM{}, "click_id", "https://shop.example/?a=1&click_id=", []string{"a"}},
		{"fragment", "https://shop.example/#top", UTM{}, "click_id", "https://shop.example/?click_id=#top", nil},
		{"question mark in the fragment", "https://shop.example/#a?b=c", UTM{}, "click_id", "https://shop.example/?click_id=#a?b=c", nil},
		{"query and fragment", "https://shop.example/?a=1#top", UTM{Source: "x"}, "cid", "https://shop.example/?a=1&utm_source=x&cid=#top", []string{"click_id", "a", "utm_source"}},
		{
			"all five", "https://shop.example/",
			UTM{"s", "m", "c", "n", "t"},
			"click_id",
			"https://shop.example/?utm_source=s&utm_medium=m&utm_campaign=c&utm_content=n&utm_term=t&click_id=",
			[]string{"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"},
		},
		{
			"templates", "https://shop.example/",
			UTM{Source: "{platform}", Campaign: "{brand}_{campaign}", Content: "{influencer}/{link}", Term: "{content_format}"},
			"click_id",
			"https://shop.example/?utm_source=instagram&utm_campaign=glow_spring+%26+co&utm_content=mia%2Fl1&utm_term=reel&click_id=",
			[]string{"utm_source", "utm_campaign", "utm_content", "utm_term"},
		},
		{
			"a value cannot add a parameter", "https://shop.example/",
			UTM{Source: "a&admin=1#x?y"},
			"click_id",
			"https://shop.example/?utm_source=a%26admin%3D1%23x%3Fy&click_id=",
			[]string{"utm_source"},
		},
		{
			"a value cannot add a line", "https://shop.example/",
			UTM{Source: "a\r\nX: 1"},
			"click_id",
			"https://shop.example/?utm_source=a%0D%0AX%3A+1&click_id=",
			[]string{"utm_source"},
		},
		{
			"the template replaces the destination's value", "https://shop.example/?utm_source=old&a=1&utm%5Fsource=older",
			UTM{Source: "new"},
			"click_id",
			"https://shop.example/?a=1&utm_source=new&click_id=",
			[]string{"a", "utm_source"},
		},
		{
			"without a template the destination's value stays", "https://shop.example/?utm_source=own",
			UTM{Medium: "m"},
			"click_id",
			"https://shop.example/?utm_source=own&utm_medium=m&click_id=",
			[]string{"utm_source", "utm_medium"},
		},
		{"the destination's click id goes", "https://shop.example/?click_id=old&a=1", UTM{}, "click_id", "https://shop.example/?a=1&click_id=", []string{"a"}},
		{"click parameter with odd characters", "https://shop.example/", UTM{}, "aff sub&", "https://shop.example/?aff+sub%26=", []string{"click_id"}},
		{
			"a click parameter that is a campaign value's", "https://shop.example/",
			UTM{Source: "s"},
			"utm_source",
			"https://shop.example/?utm_source=s&click_id=",
			[]string{"utm_source"},
		},
		{"no click parameter", "https://shop.example/", UTM{}, "", "https://shop.example/?click_id=", nil},
		{"the destination's own pairs stay as they are", "https://shop.example/?a=b%2Bc+d&e=%zz", UTM{}, "click_id", "https://shop.example/?a=b%2Bc+d&e=%zz&click_id=", []string{"a", "e"}},
		{"app address", "myapp://item?id=1#x", UTM{Source: "s"}, "click_id", "myapp://item?id=1&utm_source=s&click_id=#x", []string{"id", "utm_source"}},
	} {
		specified, err := specifyLocation(c.destination, c.utm, locationValues, c.clickParam)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		campaign := Campaign{Destination: c.destination, UTM: c.utm, ClickIDParam: c.clickParam}
		other := Campaign{Destination: "https://other.example/?x=y&a=b", UTM: UTM{Term: "other"}, ClickIDParam: c.clickParam}
		ownUTM := other
		ownUTM.UTM, ownUTM.Destination = UTM{}, c.destination
		if got := specified.Prefix + specified.ClickParam + specified.Fragment; got != c.want {
			t.Errorf("%s: %s is specified, want %s", c.name, got, c.want)
		}
		clickParam, err := url.QueryUnescape(strings.TrimSuffix(specified.ClickParam, "="))
		if want := append([]string{clickParam}, c.names...); err != nil || !slices.Equal(specified.Names, want) {
			t.Errorf("%s: names %q are specified, want %q", c.name, specified.Names, want)
		}
		for way, got := range map[string]builtParts{
			"of the campaign":             builtLocation(t, campaign, LinkRow{}, locationValues),
			"of the link":                 builtLocation(t, ownUTM, LinkRow{Destination: c.destination, UTM: c.utm}, locationValues),
			"the link's destination":      builtLocation(t, Campaign{Destination: other.Destination, UTM: c.utm, ClickIDParam: c.clickParam}, LinkRow{Destination: c.destination}, locationValues),
			"the link's UTM values":       builtLocation(t, ownUTM, LinkRow{UTM: c.utm}, locationValues),
			"of a link like its campaign": builtLocation(t, campaign, LinkRow{Destination: c.destination, UTM: c.utm}, locationValues),
		} {
			if got != specified.parts() {
				t.Errorf("%s, %s: %q, want %q", c.name, way, got, specified.parts())
			}
		}
	}
}

// builtLocation is the Location that a table answers with for a link of a campaign.
func builtLocation(t rapid.TB, campaign Campaign, row LinkRow, values templateValues) builtParts {
	t.Helper()
	b := NewBuilder()
	b.SetBrand(Brand{ID: 1, Key: values.Brand, Policy: DestinationPolicy{AppSchemes: []string{"myapp"}}})
	b.SetDomain(DomainRow{ID: 1, Host: "d1.test", Brand: 1})
	campaign.ID, campaign.Key, campaign.Brand = 1, values.Campaign, 1
	b.SetCampaign(campaign)
	b.SetInfluencer(Influencer{ID: 1, Key: values.Influencer, Platform: values.Platform})
	row.ID, row.Key, row.Brand, row.Campaign, row.Influencer, row.Domain = 1, values.Link, 1, 1, 1, 1
	row.Format = ingest.FormatOf(values.ContentFormat)
	if err := b.SetLink(row); err != nil {
		t.Fatal(err)
	}
	table := b.Table()
	return locationOf(t, table, 1)
}

// locationOf is the Location that a table answers with for a link on d1.test.
func locationOf(t rapid.TB, table *Table, number uint32) builtParts {
	t.Helper()
	defer runtime.KeepAlive(table)
	var l resolved
	if !table.answered(&l, table.Domain([]byte("d1.test")), number) {
		t.Fatalf("link %d is not answered", number)
	}
	at := l.appendLocation(nil)
	if at.queryAt != bytes.IndexByte(at.text, '?')+1 {
		t.Fatalf("the parameters of %q begin at %d", at.text, at.queryAt)
	}
	clickParam, names := l.group.clickParam()
	names = l.storedNames(at, names, new([]byte))
	return builtParts{string(at.text), string(clickParam), string(at.fragment), string(names)}
}

// builtParts is a Location as a table has it.
type builtParts struct{ prefix, clickParam, fragment, packedNames string }

// parts is what a table shall make of the location.
func (l specifiedLocation) parts() builtParts {
	return builtParts{l.Prefix, l.ClickParam, l.Fragment, string(packNames(l.Names))}
}

// Whatever campaigns and links have, and however campaigns, creators and links change, the Location is the specified one.
func TestLocationsAreAsSpecified(t *testing.T) {
	templates := rapid.SampledFrom([]string{"", "", "x", "a b&c", "{platform}", "{brand}_{campaign}", "{influencer}-{link}", "{content_format}{link}", strings.Repeat("ü{link}", 60)})
	destinations := rapid.SampledFrom([]string{
		"https://shop.example", "https://shop.example/a?utm_source=own&b=1#top", "https://shop.example/?click_id=1&utm%5Fterm=2&aff=3&%zz=1", "https://shop.example/?+a+b[c]=1&A.b%5B%5D=2&[=3",
		"https://shop.example/" + strings.Repeat("long/", 100) + "?a=1&&b", "https://shop.example/#a?b&utm_term=1",
	})
	keys := rapid.StringOfN(rapid.RuneFrom([]rune("abcZ09._-ü &")), 1, 12, -1)
	utm := func(t *rapid.T) UTM {
		return UTM{templates.Draw(t, "source"), templates.Draw(t, "medium"), templates.Draw(t, "campaign"), templates.Draw(t, "content"), templates.Draw(t, "term")}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := NewBuilder()
		b.SetBrand(Brand{ID: 1, Key: "glow"})
		b.SetDomain(DomainRow{ID: 1, Host: "d1.test", Brand: 1})
		var campaigns [3]Campaign // by id, as the creators; 0 is none
		var creators [3]Influencer
		links := map[uint32]LinkRow{}
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			for id := uint32(1); id <= 2; id++ {
				if campaigns[id].ID == 0 || rapid.Bool().Draw(t, "campaign changes") {
					campaigns[id] = Campaign{
						ID: id, Key: keys.Draw(t, "campaign"), Brand: 1, Destination: destinations.Draw(t, "destination"), UTM: utm(t),
						ClickIDParam: rapid.SampledFrom([]string{"click_id", "aff", "aff sub&"}).Draw(t, "click id"),
					}
					b.SetCampaign(campaigns[id])
				}
				if creators[id].ID == 0 || rapid.Bool().Draw(t, "creator changes") {
					creators[id] = Influencer{ID: id, Key: keys.Draw(t, "creator"), Platform: rapid.SampledFrom([]string{"", "x", "tik tok"}).Draw(t, "platform")}
					b.SetInfluencer(creators[id])
				}
			}
			stale := b.Stale()
			for number := uint32(1); number <= 6; number++ {
				row, known := links[number]
				if !known || rapid.IntRange(0, 3).Draw(t, "link changes") == 0 {
					row = LinkRow{
						ID: number, Key: keys.Draw(t, "link"), Brand: 1, Campaign: number%2 + 1, Influencer: number/2%2 + 1, Domain: 1,
						Format: ingest.Format(rapid.IntRange(0, 2).Draw(t, "format")), Fallback: rapid.SampledFrom([]string{"", "https://over.example/"}).Draw(t, "fallback"),
						Expires: time.Unix(rapid.SampledFrom([]int64{0, 1}).Draw(t, "expires"), 0),
					}
					if rapid.Bool().Draw(t, "own destination") {
						row.Destination = destinations.Draw(t, "destination")
					}
					if rapid.Bool().Draw(t, "own UTM values") {
						row.UTM = utm(t)
					}
					known = false
				}
				own := row.Destination != "" || row.UTM != (UTM{}) || row.Fallback != ""
				if !known || slices.Contains(stale.Keyless, row.Campaign) || own && slices.Contains(stale.Campaigns, row.Campaign) {
					if err := b.SetLink(row); err != nil {
						t.Fatal(err)
					}
				}
				links[number] = row
			}
			b.Refreshed()
			table := b.Table()
			for number, row := range links {
				campaign, creator := campaigns[row.Campaign], creators[row.Influencer]
				destination := row.Destination
				if destination == "" {
					destination = campaign.Destination
				}
				want, err := specifyLocation(destination, row.UTM.Or(campaign.UTM), templateValues{
					"glow", campaign.Key, creator.Key, row.Key, creator.Platform, row.Format.String(),
				}, campaign.ClickIDParam)
				if err != nil {
					t.Fatal(err)
				}
				if got := locationOf(t, table, number); got != want.parts() {
					t.Fatalf("link %d %+v of %+v\n got %q\nwant %q", number, row, campaign, got, want.parts())
				}
			}
		}
	})
}

func TestTemplates(t *testing.T) {
	for template, want := range map[string]string{
		"": "", "plain": "plain", "{brand}": "glow", "{influencer}-{influencer}": "mia-mia", "}{link}{": "", "a}b": "a}b",
		"{": "", "{brand": "", "{}": "", "{Brand}": "", "{ brand }": "", "{followers}": "", "{{brand}}": "",
	} {
		got, _ := expand(template, locationValues)
		err := CheckTemplate(template)
		if valid := want != "" || template == ""; got != want || (err == nil) != valid {
			t.Errorf("%q becomes %q, %v, want %q", template, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "{content_format}") {
			t.Errorf("%q: %v does not name what is known", template, err)
		}
	}
	if _, err := compileTail(UTM{Term: "{nobody}"}, constants{}); err == nil || !strings.Contains(err.Error(), "utm_term") {
		t.Errorf("a tail with a bad template: %v", err)
	}
}

func TestUTMOr(t *testing.T) {
	got := UTM{Source: "own", Term: "own"}.Or(UTM{"s", "m", "c", "n", "t"})
	if want := (UTM{"own", "m", "c", "n", "own"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Whatever the destination, the templates and the visitor bring, the address stays the destination's, each stored name has
// its stored value, and the click id comes last.
func TestLocationsKeepTheirDestination(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab&=?#%+ \r\n\x00ü{}/:@")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		query := url.Values{}
		for range rapid.IntRange(0, 3).Draw(t, "stored parameters") {
			query.Set(rapid.SampledFrom([]string{"a", "b", "utm_source", "click_id", "ü"}).Draw(t, "name"), text.Draw(t, "value"))
		}
		destination, err := CheckDestination("https://shop.example/p?"+query.Encode()+"#frag", DestinationPolicy{})
		if err != nil {
			t.Fatal(err)
		}
		values := locationValues
		values.Influencer = text.Draw(t, "influencer")
		loc := builtLocation(t, Campaign{Destination: destination.URL, UTM: UTM{Source: "{influencer}", Medium: "m"}, ClickIDParam: "click_id"}, LinkRow{}, values)
		incoming := text.Draw(t, "incoming") + "&" + url.Values{"utm_source": {"evil"}, "click_id": {"evil"}, "a": {"evil"}, "x": {text.Draw(t, "x")}}.Encode()
		whole, _ := appendPassthrough([]byte(loc.prefix), []byte(incoming), []byte(loc.packedNames), nil)
		whole = append(append(append(whole, loc.clickParam...), "ID"...), loc.fragment...)
		if strings.ContainsFunc(string(whole), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Fatalf("unsafe bytes in %q", whole)
		}
		u, err := url.Parse(string(whole))
		if err != nil || u.Scheme != "https" || u.Host != "shop.example" || u.Path != "/p" || u.Fragment != "frag" || !strings.HasSuffix(u.RawQuery, "click_id=ID") {
			t.Fatalf("%q leads elsewhere: %v", whole, err)
		}
		got, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			t.Fatalf("%q: %v", whole, err)
		}
		wantSource := values.Influencer
		if !slices.Equal(got["click_id"], []string{"ID"}) || !slices.Equal(got["utm_source"], []string{wantSource}) || !slices.Equal(got["utm_medium"], []string{"m"}) {
			t.Fatalf("%q: click_id %q, utm_source %q", whole, got["click_id"], got["utm_source"])
		}
		for name := range query {
			if name != "utm_source" && name != "click_id" && !slices.Equal(got[name], query[name]) {
				t.Fatalf("%q: %s is %q, stored is %q", whole, name, got[name], query[name])
			}
		}
	})
}
