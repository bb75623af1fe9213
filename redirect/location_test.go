package redirect

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var locationValues = TemplateValues{
	Brand: "glow", Campaign: "spring & co", Influencer: "mia", Link: "l1", Platform: "instagram", ContentFormat: "reel",
}

func TestNewLocation(t *testing.T) {
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
		loc, err := NewLocation(c.destination, c.utm, locationValues, c.clickParam)
		if got := loc.Prefix + loc.ClickParam + loc.Fragment; err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", c.name, got, err, c.want)
		}
		clickParam, _, _ := strings.Cut(loc.ClickParam, "=")
		if clickParam, err = url.QueryUnescape(clickParam); err != nil {
			t.Fatal(err)
		}
		if want := append([]string{clickParam}, c.names...); !slices.Equal(loc.Names, want) {
			t.Errorf("%s: names %q, want %q", c.name, loc.Names, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	for template, want := range map[string]string{
		"": "", "plain": "plain", "{brand}": "glow", "{influencer}-{influencer}": "mia-mia", "}{link}{": "", "a}b": "a}b",
		"{": "", "{brand": "", "{}": "", "{Brand}": "", "{ brand }": "", "{followers}": "", "{{brand}}": "",
	} {
		got, err := expand(template, locationValues)
		valid := want != "" || template == ""
		if got != want || (err == nil) != valid || (CheckTemplate(template) == nil) != valid {
			t.Errorf("%q becomes %q, %v, want %q", template, got, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "{content_format}") {
			t.Errorf("%q: %v does not name what is known", template, err)
		}
	}
	if _, err := NewLocation("https://shop.example/", UTM{Term: "{nobody}"}, locationValues, "click_id"); err == nil || !strings.Contains(err.Error(), "utm_term") {
		t.Errorf("a location with a bad template: %v", err)
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
		loc, err := NewLocation(destination.URL, UTM{Source: "{influencer}", Medium: "m"}, values, "click_id")
		if err != nil {
			t.Fatal(err)
		}
		incoming := text.Draw(t, "incoming") + "&" + url.Values{"utm_source": {"evil"}, "click_id": {"evil"}, "a": {"evil"}, "x": {text.Draw(t, "x")}}.Encode()
		whole, _ := appendPassthrough([]byte(loc.Prefix), []byte(incoming), packNames(loc.Names), nil)
		whole = append(append(append(whole, loc.ClickParam...), "ID"...), loc.Fragment...)
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
