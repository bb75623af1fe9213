package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/control"
	"carom/control/sheet"
)

func TestSampleImportsAndAgainChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.loadSample()
	if links := one[uint64](w, "SELECT count() FROM links FINAL"); links < 20 {
		t.Errorf("%d sample links, at least 20 wanted", links)
	}
	tiers := one[uint64](w, `SELECT uniqExact(multiIf(followers < 1000, 0, followers < 10000, 1, followers < 50000, 2,
		followers < 100000, 3, followers < 1000000, 4, 5)) FROM influencers FINAL`)
	if tiers != 6 {
		t.Errorf("sample creators are of %d tiers, all 6 wanted", tiers)
	}
	rows := w.tableRows()
	w.loadSample()
	if diff := cmp.Diff(rows, w.tableRows()); diff != "" {
		t.Errorf("the second import wrote rows (-first +second):\n%s", diff)
	}
}

// tableRows counts stored rows, superseded ones included: a change that changes nothing shows.
func (w *world) tableRows() map[string]uint64 {
	rows := map[string]uint64{}
	for _, table := range []string{"brands", "domains", "influencers", "influencer_followers", "campaigns", "links", "commission_rules", "keys"} {
		rows[table] = one[uint64](w, "SELECT sum(version) FROM "+table)
	}
	return rows
}

func TestImportCreatesUpdatesClearsAndKeeps(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	const header = "link,domain,campaign,influencer,slug,coupon,fee,expires,enabled,content_format"
	const basics = "l1,go.acme.example,boots,lena,"
	type stored struct{ Slug, Coupon, Fee, Format, Expires, Enabled string }
	read := func() (s stored) {
		t.Helper()
		err := w.db.Conn.QueryRow(t.Context(), `SELECT slug, coupon, toString(fee), toString(content_format), toString(expires),
			toString(enabled) FROM links FINAL`).Scan(&s.Slug, &s.Coupon, &s.Fee, &s.Format, &s.Expires, &s.Enabled)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := stored{"lena-1", "LENA10", "12.5", "reel", "2026-12-31 00:00:00", "true"}
	for _, step := range []struct {
		why, header, row string
		counts           counts
		want             stored
	}{
		{"a new link", header, basics + "lena-1,lena10,12.50,2026-12-31,true,reel", counts{created: 1}, first},
		{"the same line", header, basics + "lena-1,lena10,12.50,2026-12-31,true,reel", counts{unchanged: 1}, first},
		{"the same values, written otherwise", header, basics + "lena-1,Lena10,12.5,2026-12-31T01:00:00+01:00,yes,reel", counts{unchanged: 1}, first},
		{"columns left out keep their values", "link,domain,campaign,influencer", strings.TrimSuffix(basics, ","), counts{unchanged: 1}, first},
		{
			"one column changes", "fee,link,domain,campaign,influencer", "13," + strings.TrimSuffix(basics, ","),
			counts{updated: 1},
			stored{"lena-1", "LENA10", "13", "reel", "2026-12-31 00:00:00", "true"},
		},
		{
			"empty cells clear or set the default", header, basics + ",,,,,",
			counts{updated: 1},
			stored{"", "", "0", "", "1970-01-01 00:00:00", "true"},
		},
		{"disabled", header, basics + ",,,,false,", counts{updated: 1}, stored{"", "", "0", "", "1970-01-01 00:00:00", "false"}},
	} {
		got := w.run(control.LocalScope(), "links", csv(step.header, step.row))
		if countsOf(got) != step.counts {
			t.Errorf("%s: %+v, want %+v", step.why, got, step.counts)
		}
		if diff := cmp.Diff(step.want, read()); diff != "" {
			t.Errorf("%s (-want +stored):\n%s", step.why, diff)
		}
	}
	if starts := one[time.Time](w, "SELECT starts FROM links FINAL"); !starts.Equal(day0) {
		t.Errorf("starts %v, want the time of minting %v", starts, day0)
	}
}

func TestImportUnderstandsFilesOfSpreadsheets(t *testing.T) {
	w := newWorld(t)
	got := w.run(control.LocalScope(), "brands", "\ufeff\"name\",brand,currency\r\n\"Acme, \"\"Ltd\"\"\",acme,EUR\r\n\r\nNordic,nordic,USD")
	if countsOf(got) != (counts{created: 2}) {
		t.Fatalf("%+v", got)
	}
	if name := one[string](w, "SELECT name FROM brands WHERE brand = 'acme'"); name != `Acme, "Ltd"` {
		t.Errorf("name %q", name)
	}
}

func TestImportRefusesAFileByItsHeader(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ why, kind, header, want string }{
		{"unknown column", "links", "link,domain,campaign,influencer,slugg", `unknown column "slugg" in links; did you mean "slug"?`},
		{"semicolons", "links", "link;domain;campaign;influencer", "its columns are separated by ';': save it with commas"},
		{"tabs", "links", "link\tdomain\tcampaign\tinfluencer", `its columns are separated by '\t'`},
		{"a column twice", "brands", "brand,name,currency,name", `column "name" stands twice`},
		{"a required column is missing", "brands", "brand,name", `brands needs the column "currency"`},
		{"nothing at all", "brands", "", "it is empty"},
		{"not CSV", "brands", `br"and`, "not CSV"},
	} {
		_, err := w.ImportCSV(t.Context(), c.kind, strings.NewReader(c.header), control.LocalScope())
		if !errors.Is(err, sheet.ErrHeader) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.why, err, c.want)
		}
	}
	if _, err := w.ImportCSV(t.Context(), "clicks", strings.NewReader("a"), control.LocalScope()); !errors.Is(err, control.ErrKind) {
		t.Errorf("a kind that does not exist: %v", err)
	}
}

func TestImportRejectsLines(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("brands", "brand,name,currency", "other,Other,JPY")
	w.load("domains", "host,brand,default", "go.other.example,other,true")
	w.load("campaigns", "campaign,brand,name,destination", "boots,other,Boots,https://other-goods.example/")
	w.load("links", "link,domain,campaign,influencer,slug", "taken,go.acme.example,boots,lena,taken")
	long := "https://a.example/" + strings.Repeat("x", 2048)
	const link = "link,domain,campaign,influencer,"
	for _, c := range []struct{ header, row, column, reason string }{
		// brands
		{"brand,name,currency", ",A,EUR", "brand", "is required"},
		{"brand,name,currency", "-a,A,EUR", "brand", "must be 1 to 64 letters, digits"},
		{"brand,name,currency", strings.Repeat("a", 65) + ",A,EUR", "brand", "must be 1 to 64"},
		{"brand,name,currency", "a,A,eur", "currency", "ISO 4217"},
		{"brand,name,currency", "acme,A,USD", "currency", "cannot change from EUR"},
		{"brand,name,currency", "a,A\x00B,EUR", "name", "control character"},
		{"brand,name,currency", "a,\xff,EUR", "name", "UTF-8"},
		{"brand,name,currency", "a,A", "", "has 2 cells, the header has 3"},
		{"brand,name,currency", `a,"A"B,EUR`, "", "is not CSV"},
		{"brand,name,currency,timezone", "a,A,EUR,Mars/Base", "timezone", "IANA"},
		{"brand,name,currency,timezone", "a,A,EUR,Local", "timezone", "IANA"},
		{"brand,name,currency,attribution_days", "a,A,EUR,0", "attribution_days", "from 1 to 365"},
		{"brand,name,currency,hold_days", "a,A,EUR,1.5", "hold_days", "from 0 to 365"},
		// domains
		{"host,brand", "go.acme.example,other", "brand", `cannot change: the host's printed codes are signed by brand "acme"`},
		{"host,brand", "go.new.example,nobody", "brand", "is unknown"},
		{"host,brand", "not a host,acme", "host", "not a host name"},
		{"host,brand,vanity", "go.new.example,acme,closed", "vanity", "must be one of open, signed"},
		{"host,brand,default", "alt.other.example,other,true", "default", "is already go.other.example"},
		{"host,brand,default", "alt.other.example,other,maybe", "default", "true or false"},
		{"host,brand,home_url", "go.new.example,acme,https://go.new.example/", "home_url", "would loop"},
		{"host,brand,assetlinks", "go.new.example,acme,[{]", "assetlinks", "must be a JSON array of statements"},
		{"host,brand,assetlinks", "go.new.example,acme,{}", "assetlinks", "must be a JSON array of statements"},
		{"host,brand,assetlinks", "go.new.example,acme,[]", "assetlinks", "must have a statement"},
		{"host,brand,assetlinks", `go.new.example,acme,"[{""relation"":[""a""],""target"":{""b"":1}},{}]"`, "assetlinks", "number 2 has not"},
		{"host,brand,assetlinks", "go.new.example,acme,[] []", "assetlinks", "must be a JSON array of statements"},
		{"host,brand,assetlinks", "go.new.example,acme,[" + strings.Repeat(" ", 32<<10) + "]", "assetlinks", "at most 32768"},
		{"host,brand,apple_app_site_association", "go.new.example,acme,[]", "apple_app_site_association", "must be a JSON object"},
		{"host,brand,apple_app_site_association", `go.new.example,acme,"{""applink"":{}}"`, "apple_app_site_association", "must have applinks"},
		// influencers
		{"influencer,name,country", "a,A,Germany", "country", "ISO 3166-1"},
		{"influencer,name,country", "a,A,XX", "country", "ISO 3166-1"},
		{"influencer,name,followers", "a,A,-1", "followers", "whole number"},
		{"influencer,name,followers,as_of", "a,A,1,2026-03-11", "as_of", "in the future"},
		{"influencer,name,followers,as_of", "a,A,1,March", "as_of", "must be a day"},
		// campaigns
		{"campaign,brand,name,destination,starts,ends", "c,acme,C,https://a.example,2026-02-01,2026-02-01", "ends", "later than starts"},
		{"campaign,brand,name,destination,starts", "c,acme,C,https://a.example,01.02.2026", "starts", "must be a day"},
		{"campaign,brand,name,destination,starts", "c,acme,C,https://a.example,1969-01-01", "starts", "years 2000 to 2105"},
		{"campaign,brand,name,destination,utm_source", "c,acme,C,https://a.example,{creator}", "utm_source", "unknown placeholder"},
		{"campaign,brand,name,destination,click_id_param", "c,acme,C,https://a.example,a&b", "click_id_param", "query parameter"},
		{"campaign,brand,name,destination,click_id_param", "c,acme,C,https://a.example,utm_source", "click_id_param", "must not begin with utm_"},
		{"campaign,brand,name,destination,click_id_param", "c,acme,C,https://a.example,UTM.id", "click_id_param", "must not begin with utm_"},
		{"campaign,brand,name,destination,click_id_param", "c,acme,C,https://a.example,sub3", "click_id_param", "a sub id that visitors bring"},
		{"campaign,brand,name,destination,click_id_param", "c,acme,C,https://a.example,gclid", "click_id_param", "an ad network's own click id"},
		{"campaign,brand,name,destination,click_id_param", "c,acme,C,https://a.example?ref=1,ref", "click_id_param", "the destination sets ref itself"},
		{"campaign,brand,name,destination", "c,acme,C,https://a.example?a=1&click%5Fid=1", "click_id_param", "the destination sets click_id itself"},
		// destinations, attack cases 1 to 5
		{"campaign,brand,name,destination", "c,acme,C,\"https://a.example/\r\nSet-Cookie: a=b\"", "destination", "control character"},
		{"campaign,brand,name,destination", "c,acme,C,https://a.example/%0d%0aX: 1", "destination", "blank"},
		{"campaign,brand,name,destination", "c,acme,C,JavaScript:alert(1)", "destination", "is not allowed"},
		{"campaign,brand,name,destination", "c,acme,C, javascript:alert(1)", "destination", "blank"},
		{"campaign,brand,name,destination", "c,acme,C,\"data:text/html,hi\"", "destination", "is not allowed"},
		{"campaign,brand,name,destination", "c,acme,C,vbscript:x", "destination", "is not allowed"},
		{"campaign,brand,name,destination", "c,acme,C,file:///etc/passwd", "destination", "is not allowed"},
		{"campaign,brand,name,destination", "c,acme,C,myapp://open", "destination", "is not allowed"},
		{"campaign,brand,name,destination", "c,acme,C,//evil.example", "destination", "no scheme"},
		{"campaign,brand,name,destination", "c,acme,C,https://ok.example@evil.example/", "destination", "user name"},
		{"campaign,brand,name,destination", "c,acme,C," + long, "destination", "at most 2048"},
		{"campaign,brand,name,destination", "c,acme,C,https://go.other.example/x", "destination", "would loop"},
		{"campaign,brand,name,destination", "c,acme,C,https://GO.ACME.example./x", "destination", "would loop"},
		{"campaign,brand,name,destination,goal", "c,acme,C,https://a.example," + strings.Repeat("g", 300), "goal", "at most 256"},
		{"campaign,brand,name,destination,ends", "c,acme,C,https://a.example," + strings.Repeat("9", 5000), "ends", "at most 4096"},
		// links
		{link + "slug", "a,go.nobody.example,boots,lena,", "domain", "is unknown"},
		{link + "slug", "a,go.acme.example,nothing,lena,", "campaign", "is unknown in brand"},
		{link + "slug", "a,go.acme.example,boots,nobody,", "influencer", "is unknown"},
		{link + "slug", "a b,go.acme.example,boots,lena,", "link", "must be 1 to 64"},
		{link + "slug", "a,go.acme.example,boots,lena,Spring", "slug", "in lower case"},
		{link + "slug", "a,go.acme.example,boots,lena,abcdefghijk", "slug", "signed code's shape"},
		{link + "slug", "a,go.acme.example,boots,lena,admin", "slug", "is reserved"},
		{link + "slug", "a,go.acme.example,boots,lena,taken", "slug", `is taken on this host by link "taken"`},
		{link + "slug", "taken,go.acme.example,tents,lena,taken", "campaign", `cannot change: old clicks and printed codes hang on it; it is "boots"`},
		{link + "slug", "taken,go.acme.example,boots,tom,taken", "influencer", `it is "lena"`},
		{link + "fee", "a,go.acme.example,boots,lena,1.005", "fee", "EUR has 2"},
		{link + "fee", "a,go.other.example,boots,lena,1.5", "fee", "JPY has 0"},
		{link + "fee", "a,go.acme.example,boots,lena,-1", "fee", "plain decimal number"},
		{link + "fee", "a,go.acme.example,boots,lena,NaN", "fee", "plain decimal number"},
		{link + "fee", "a,go.acme.example,boots,lena,1e9", "fee", "plain decimal number"},
		{link + "currency", "a,go.acme.example,boots,lena,USD", "currency", "must be EUR"},
		{
			link + "content_format", "a,go.acme.example,boots,lena,podcast", "content_format",
			"must be one of carousel, image, reel, video, story, live, post",
		},
		{link + "deal", "a,go.acme.example,boots,lena,gift", "deal", "must be one of paid, barter, affiliate"},
		{link + "rules", "a,go.acme.example,boots,lena,geo=DE", "rules", "does not evaluate"},
		{link + "expires", "a,go.acme.example,boots,lena,2020-01-01", "expires", "later than starts"},
		{link + "destination", "a,go.acme.example,boots,lena,http://", "destination", "no host"},
		{link + "destination", "a,go.acme.example,boots,lena,https://a.example?click_id=", "destination", "clashes: the destination sets click_id itself"},
		// commissions
		{"campaign,model,rate", "nothing,percent,0.1", "campaign", "is unknown"},
		{"campaign,model,rate", "boots,percent,0.1", "campaign", "is ambiguous: brands acme, other have one each"},
		{"campaign,model,rate", "tents,tiered,0.1", "model", "tiered is not paid out"},
		{"campaign,model,rate", "tents,share,0.1", "model", "must be one of percent, cpa, cpc, flat"},
		{"campaign,model,rate", "tents,percent,10", "rate", "0.1 is 10 %"},
		{"campaign,model,rate", "tents,percent,1e-1", "rate", "0.1 is 10 %"},
		{"campaign,model,rate", "tents,percent,", "rate", "is required by percent"},
		{"campaign,model,amount", "tents,cpa,", "amount", "is required by cpa"},
		{"campaign,model,amount,event", "tents,cpc,0.10,sale", "event", "must be empty"},
		{"campaign,model,rate,tier", "tents,percent,0.1,huge", "tier", "must be one of unranked, nano"},
		{"campaign,model,rate,influencer", "tents,percent,0.1,nobody", "influencer", "is unknown"},
	} {
		kind := map[string]string{"br": "brands", "ho": "domains", "in": "influencers", "li": "links"}[c.header[:2]]
		if kind == "" {
			kind = map[bool]string{true: "commissions", false: "campaigns"}[strings.Contains(c.header, "model")]
		}
		got := w.run(control.LocalScope(), kind, csv(c.header, c.row))
		if countsOf(got) != (counts{rejected: 1}) {
			t.Errorf("%s %q: %+v, want one reject", kind, c.row, got)
			continue
		}
		r := got.Rejected[0]
		if r.Line != 2 || r.Column != c.column || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s %q: line %d, column %q: %s; want column %q: …%s…", kind, c.row, r.Line, r.Column, r.Reason, c.column, c.reason)
		}
	}
}

func TestImportKeepsInternationalHostsAsPunycode(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("campaigns", "campaign,brand,name,destination", "idn,acme,IDN,https://bücher.example/straße?q=ä#größe")
	got := one[string](w, "SELECT destination FROM campaigns FINAL WHERE campaign = 'idn'")
	if want := "https://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%A4#gr%C3%B6%C3%9Fe"; got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
}

// A host of mixed scripts may be meant: it is stored, and shown to whoever imports it and whoever looks at the link.
func TestImportWarnsOfMixedScripts(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	const odd, plain = "https://p\u0430ypal.example/a", "https://b\u00fccher.example/"
	for _, c := range []struct {
		kind, header, row string
		columns           []string // with a warning
	}{
		{"campaigns", "campaign,brand,name,destination", "odd,acme,Odd," + odd, []string{"destination"}},
		{"campaigns", "campaign,brand,name,destination", "plain,acme,Plain," + plain, nil},
		{"domains", "host,brand,home_url,not_found_url", "go2.acme.example,acme," + odd + "," + plain, []string{"home_url"}},
		{"links", "link,campaign,influencer,domain,destination,fallback_url", "l1,boots,lena,go.acme.example," + odd + "," + odd, []string{"destination", "fallback_url"}},
		{"links", "link,campaign,influencer,domain,destination", "l1,boots,lena,go.acme.example," + odd, []string{"destination"}},
		{"links", "link,campaign,influencer,domain", "l1,boots,lena,go.acme.example", nil},
		{"links", "link,campaign,influencer,domain", "l2,odd,lena,go.acme.example", nil},
		{"links", "link,campaign,influencer,domain", "l3,plain,lena,go.acme.example", nil},
	} {
		got := w.load(c.kind, c.header, c.row)
		var columns []string
		for _, warning := range got.Warnings {
			columns = append(columns, warning.Column)
			if warning.Line != 2 || warning.Value != odd || !strings.Contains(warning.Reason, "mixes scripts") ||
				!strings.Contains(warning.Reason, "https://xn--pypal-4ve.example/a") {
				t.Errorf("%s %s: warning %+v", c.kind, c.row, warning)
			}
		}
		if !slices.Equal(columns, c.columns) {
			t.Errorf("%s %s: warnings of %q, want %q", c.kind, c.row, columns, c.columns)
		}
	}
	for link, want := range map[string][]string{"l1": {"destination", "fallback_url"}, "l2": {"destination"}, "l3": {}} {
		got, err := w.Link(t.Context(), control.LocalScope(), "", link)
		if err != nil {
			t.Fatal(err)
		}
		for i, warning := range got.Warnings {
			if i >= len(want) || !strings.HasPrefix(warning, want[i]+" names a host that mixes scripts") {
				t.Errorf("link %s: warning %q", link, warning)
			}
		}
		if len(got.Warnings) != len(want) || got.Warnings == nil {
			t.Errorf("link %s: warnings %q, want those of %q", link, got.Warnings, want)
		}
	}
}

// Files of app links are longer than other cells; written otherwise they are the same.
func TestImportOfAppLinks(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	long := strings.Repeat("x", 10_000)
	const header = "host,brand,apple_app_site_association"
	for _, step := range []struct {
		cell   string
		counts counts
		want   string
	}{
		{`"{ ""applinks"": [""` + long + `""] }"`, counts{updated: 1}, `{"applinks":["` + long + `"]}`},
		{`"{""applinks"":` + "\n" + ` [""` + long + `""]}"`, counts{unchanged: 1}, `{"applinks":["` + long + `"]}`},
		{"", counts{updated: 1}, ""},
	} {
		if got := w.run(control.LocalScope(), "domains", csv(header, "go.acme.example,acme,"+step.cell)); countsOf(got) != step.counts {
			t.Errorf("%.20s: %+v, want %+v", step.cell, got, step.counts)
		}
		if got := one[string](w, "SELECT apple_app_site_association FROM domains FINAL WHERE host = 'go.acme.example'"); got != step.want {
			t.Errorf("%.20s is stored as %.20s", step.cell, got)
		}
	}
}

func TestImportRejectsRepeatedKeysAndGoesOn(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	got := w.run(control.LocalScope(), "links", csv("link,domain,campaign,influencer,slug",
		"a,go.acme.example,boots,lena,one-a",
		"\"b\nb\",go.acme.example,boots,lena,",
		"a,go.acme.example,boots,tom,",
		"c,go.acme.example,boots,lena,one-a",
		"d,go.acme.example,boots,lena,one-d",
	))
	want := control.Result{Created: 2, Warnings: []control.Warning{}, Rejected: []sheet.Reject{
		{Line: 3, Column: "link", Value: "b\nb", Reason: "must be 1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first"},
		{Line: 5, Column: "link", Value: "a", Reason: "repeats the key of line 2"},
		{Line: 6, Column: "slug", Value: "one-a", Reason: `is taken on this host by link "a"; "one-a-2" is free`},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSlugMovesToAnotherLink(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	const header = "link,domain,campaign,influencer,slug"
	w.load("links", header, "a,go.acme.example,boots,lena,sale")
	w.load("links", header, "a,go.acme.example,boots,lena,", "b,go.acme.example,boots,tom,sale")
	if holder := one[string](w, "SELECT link FROM links FINAL WHERE slug = 'sale'"); holder != "b" {
		t.Errorf("slug is held by %q, want b", holder)
	}
	w.load("links", header, "a,go.acme.example,boots,lena,sale-2")
}

func TestFollowerCountsAreSnapshots(t *testing.T) {
	w := newWorld(t)
	const header = "influencer,name,followers,as_of"
	for _, step := range []struct {
		why, row       string
		counts         counts
		current, shots uint64
	}{
		{"the first count", "lena,Lena,900,2026-02-01", counts{created: 1}, 900, 1},
		{"the same one", "lena,Lena,900,2026-02-01", counts{unchanged: 1}, 900, 1},
		{"a later one", "lena,Lena,1200,2026-03-01", counts{updated: 1}, 1200, 2},
		{"an older one is history only", "lena,Lena,100,2025-01-01", counts{updated: 1}, 1200, 3},
		{"one that is corrected", "lena,Lena,1300,2026-03-01", counts{updated: 1}, 1300, 3},
		{"no day means today", "lena,Lena,1500,", counts{updated: 1}, 1500, 4},
		{"no day and no change", "lena,Lena,1500,", counts{unchanged: 1}, 1500, 4},
	} {
		if got := w.run(control.LocalScope(), "influencers", csv(header, step.row)); countsOf(got) != step.counts {
			t.Errorf("%s: %+v, want %+v", step.why, got, step.counts)
		}
		current := one[uint64](w, "SELECT followers FROM influencers FINAL")
		shots := one[uint64](w, "SELECT count() FROM influencer_followers FINAL")
		if current != step.current || shots != step.shots {
			t.Errorf("%s: %d followers in %d snapshots, want %d in %d", step.why, current, shots, step.current, step.shots)
		}
	}
}

func TestCommissionRuleIsReplacedByOneThatPaysForTheSame(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	const header = "campaign,influencer,tier,event,model,rate,amount,ends"
	w.load("commissions", header, "boots,,,,percent,0.1,,", "boots,lena,,,percent,0.2,,", "boots,,,,cpc,,0.05,", "boots,,,,flat,,10,")
	if got := w.load("commissions", header, "boots,,,,cpa,,3,", "boots,,,,cpc,,0.05,"); countsOf(got) != (counts{updated: 1, unchanged: 1}) {
		t.Errorf("%+v", got)
	}
	got := one[string](w, `SELECT arrayStringConcat(arraySort(groupArray(concat(model, ' ', toString(rate), ' ', toString(amount), ' ', event))), ', ')
		FROM commission_rules FINAL`)
	if want := "cpa 0 3 sale, cpc 0 0.05 , flat 0 10 , percent 0.2 0 sale"; got != want {
		t.Errorf("rules %q, want %q", got, want)
	}
}

func TestScopeHidesOtherBrands(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("brands", "brand,name,currency", "other,Other,EUR")
	w.load("domains", "host,brand", "go.other.example,other")
	w.load("campaigns", "campaign,brand,name,destination", "boots,other,B,https://o.example", "hats,other,H,https://o.example")
	scope := control.Scope{Role: control.Editor, Brands: []string{"acme"}}
	for _, c := range []struct{ kind, header, row, want string }{
		{"brands", "brand,name,currency", "other,Mine now,EUR", "brand is not one of this token's brands"},
		{"brands", "brand,name,currency", "absent,New,EUR", "brand is not one of this token's brands"},
		{"domains", "host,brand", "go.other.example,acme", "host is taken"},
		{"domains", "host,brand", "x.other.example,other", "brand is unknown"},
		{"domains", "host,brand", "x.other.example,absent", "brand is unknown"},
		{"campaigns", "campaign,brand,name,destination", "boots,other,B,https://o.example", "brand is unknown"},
		{"links", "link,domain,campaign,influencer", "a,go.other.example,boots,lena", "domain is unknown"},
		{"influencers", "influencer,name", "lena,Lena the second", "influencer is shared by all brands"},
		{"commissions", "campaign,model,rate", "hats,percent,0.1", "campaign is unknown"},
	} {
		got := w.run(scope, c.kind, csv(c.header, c.row))
		if len(got.Rejected) != 1 || !strings.Contains(got.Rejected[0].Column+" "+got.Rejected[0].Reason, c.want) {
			t.Errorf("%s %q: %+v, want %q", c.kind, c.row, got, c.want)
		}
	}
	// What two brands have is not ambiguous to a token that sees one of them.
	if got := w.run(scope, "commissions", csv("campaign,model,rate", "boots,percent,0.1")); got.Created != 1 {
		t.Errorf("%+v", got)
	}
}

func TestNumbersAreDenseAndNeverReused(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	const header = "link,domain,campaign,influencer"
	row := func(i int) string { return fmt.Sprintf("l%d,go.acme.example,boots,lena", i) }
	w.load("links", header, row(1), row(2))
	w.run(control.LocalScope(), "links", csv(header, "bad key,go.acme.example,boots,lena", row(3)))
	if err := w.db.Conn.Exec(t.Context(), `INSERT INTO links SELECT * REPLACE (true AS deleted, 1000 AS version) FROM links FINAL WHERE link = 'l3'`); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.load("links", header, row(3), row(4))
	got := one[string](w, "SELECT arrayStringConcat(groupArray(concat(link, '=', toString(link_id))), ' ') FROM (SELECT * FROM links FINAL ORDER BY link_id)")
	if want := "l1=1 l2=2 l3=3 l3=4 l4=5"; got != want {
		t.Errorf("numbers %q, want %q", got, want)
	}
	if version := one[uint64](w, "SELECT max(version) FROM links WHERE link = 'l4'"); version <= 1000 {
		t.Errorf("version %d after a restart, want more than the 1000 that is stored", version)
	}
}

func TestImportsAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	const files, links = 4, 200
	var wg sync.WaitGroup
	for f := range files {
		wg.Go(func() {
			lines := []string{"link,domain,campaign,influencer"}
			for i := range links {
				// Half of the links are in every file: one of them creates, the others find it unchanged.
				owner := f * (i % 2)
				lines = append(lines, fmt.Sprintf("l%d-%d,go.acme.example,boots,lena", owner, i))
			}
			if got := w.run(control.LocalScope(), "links", csv(lines...)); len(got.Rejected) > 0 {
				t.Errorf("rejected %+v", got.Rejected)
			}
		})
	}
	wg.Wait()
	const want = links + (files-1)*links/2
	for what, query := range map[string]string{
		"rows":    "SELECT count() FROM links",
		"keys":    "SELECT uniqExact(link) FROM links",
		"numbers": "SELECT uniqExact(link_id) FROM links",
		"highest": "SELECT toUInt64(max(link_id)) FROM links",
	} {
		if got := one[uint64](w, query); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
}

func TestLinksAreListedWhileTheyAreImported(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	const rounds = 20
	imported := make(chan error, 1)
	go func() {
		for i := range rounds {
			for _, file := range []struct{ kind, text string }{
				{"influencers", csv("influencer,name", fmt.Sprintf("creator-%d,Name", i))},
				{"links", csv("link,domain,campaign,influencer", fmt.Sprintf("l%d,go.acme.example,boots,creator-%d", i, i))},
			} {
				result, err := w.ImportCSV(t.Context(), file.kind, strings.NewReader(file.text), control.LocalScope())
				if err != nil || result.Created != 1 {
					imported <- fmt.Errorf("import %s: %+v, %w", file.kind, result, err)
					return
				}
			}
		}
		imported <- nil
	}()
	for done := false; !done; {
		select {
		case err := <-imported:
			if done = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
		links, _, err := w.FirstLinks(t.Context(), rounds)
		if err != nil || done && len(links) != rounds {
			t.Fatalf("%d links, %v", len(links), err)
		}
		for i, link := range links {
			if want := fmt.Sprintf("creator-%d", i); link.Influencer != want {
				t.Errorf("link %s is of %s, want %s", link.Link, link.Influencer, want)
			}
		}
	}
}

// TestRejectedLineHoldsNoKey lets a later line mend an earlier one, whatever was wrong with that.
func TestRejectedLineHoldsNoKey(t *testing.T) {
	w := newWorld(t)
	got := w.run(control.LocalScope(), "brands", csv("brand,name,currency", "acme,Acme,XXX", "acme,Acme,EUR", "acme,Again,EUR"))
	if got.Created != 1 || len(got.Rejected) != 2 || got.Rejected[0].Column != "currency" || got.Rejected[1].Reason != "repeats the key of line 3" {
		t.Errorf("%+v", got)
	}
}
