package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A visitor is somebody, or something, that taps links, and what a click row must say of it.
type visitor struct {
	address  string // as a trusted proxy reports it; empty where none does
	agent    string
	prefix   string // what is kept of the address
	country  string
	device   string
	os       string
	browser  string
	platform string // of the in-app browser or of the fetcher of previews
	reasons  string // that the agent alone gives
}

const (
	androidChrome = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36"
	iPhoneSafari  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 " +
		"Mobile/15E148 Safari/604.1"
	iPhoneInstagram = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
		"Mobile/22G86 Instagram 392.0.0.29.71 (iPhone15,3; iOS 18_6; de_DE; de; scale=3.00; 1290x2796; 768)"
	androidTikTok = "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) " +
		"Version/4.0 Chrome/139.0.0.0 Mobile Safari/537.36 trill_400104 BytedanceWebview/d8a21c6"
	windowsFirefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0"
	macEdge        = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 " +
		"Safari/537.36 Edg/140.0.0.0"
	googlebotAgent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	facebookAgent  = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"
)

// The visitors. Their networks have belonged to the same country's telecoms, universities and registries for decades.
var (
	anna   = visitor{"194.25.0.60", androidChrome, "::ffff:194.25.0.0", "DE", "mobile", "Android", "Chrome", "", ""}
	ben    = visitor{"194.25.0.61", iPhoneSafari, "::ffff:194.25.0.0", "DE", "mobile", "iOS", "Safari", "", ""}
	cleo   = visitor{"8.8.8.8", iPhoneInstagram, "::ffff:8.8.8.0", "US", "mobile", "iOS", "In-app", "instagram", ""}
	dai    = visitor{"133.11.0.1", windowsFirefox, "::ffff:133.11.0.0", "JP", "desktop", "Windows", "Firefox", "", ""}
	eva    = visitor{"2001:67c:2e8::1", androidTikTok, "2001:67c:2e8::", "NL", "mobile", "Android", "In-app", "tiktok", ""}
	finn   = visitor{"200.160.0.8", desktopChrome, "::ffff:200.160.0.0", "BR", "desktop", "Linux", "Chrome", "", ""}
	gia    = visitor{"151.1.1.1", macEdge, "::ffff:151.1.1.0", "IT", "desktop", "macOS", "Edge", "", ""}
	hidden = visitor{"", macEdge, "::ffff:127.0.0.0", "", "desktop", "macOS", "Edge", "", ""}

	googlebot = visitor{"8.8.4.4", googlebotAgent, "::ffff:8.8.4.0", "US", "bot", "other", "other", "", "bot"}
	curl      = visitor{"133.11.0.9", "curl/8.14.1", "::ffff:133.11.0.0", "JP", "bot", "other", "other", "", "bot"}
	nobody    = visitor{"194.25.0.60", "", "::ffff:194.25.0.0", "DE", "bot", "other", "other", "", "bot"}
	facebook  = visitor{"8.8.4.5", facebookAgent, "::ffff:8.8.4.0", "US", "bot", "other", "other", "facebook", "preview"}
	whatsapp  = visitor{"8.8.4.6", "WhatsApp/2.23.20.0", "::ffff:8.8.4.0", "US", "bot", "other", "other", "whatsapp", "preview"}
)

// A tap is a request on a link.
type tap struct {
	name    string // of the taps that conversions go back to
	link    string
	bySlug  bool // by the slug instead of the code
	by      visitor
	head    bool
	query   string
	headers []string // name, value, …
	via     []string // what the proxy adds, where not X-Forwarded-For and the visitor's address

	more     string // what of the query passes through, as the location has it
	reasons  string // beside those of the visitor
	referrer string // host that the click row names
	platform string // of the referrer
	language string
}

// theTaps are sent one after the other.
var theTaps = []tap{
	{name: "anna", link: "acme/boots-lena", by: anna},
	{link: "acme/boots-lena", by: anna, reasons: "duplicate"},
	{
		link: "acme/boots-lena", by: anna, reasons: "duplicate",
		query: "utm_content=mine&utm_id=7&gclid=a%2Fb&sub1=bio&sub5=x%26y&ref=else&click_id=AAAAAAAAAAAAAAAAAAAAAA&sub1=second",
		more:  "utm_id=7&gclid=a%2Fb&sub1=bio&sub5=x%26y",
	},
	{name: "cleo", link: "acme/boots-lena", by: cleo, headers: []string{"Accept-Language", "de-DE,de;q=0.9"}, language: "de"},
	{
		name: "dai", link: "acme/boots-lena", by: dai, headers: []string{"Referer", "https://www.youtube.com/watch?v=1"},
		referrer: "www.youtube.com", platform: "youtube",
	},
	{link: "acme/boots-lena", by: ben, headers: []string{"Sec-Purpose", "prefetch;prerender"}, reasons: "prefetch"},
	{link: "acme/boots-lena", by: finn, head: true, reasons: "head"},
	{link: "acme/boots-lena", by: googlebot},
	{link: "acme/boots-lena", by: googlebot},
	{link: "acme/boots-lena", by: facebook},
	{link: "acme/boots-lena", by: whatsapp},
	{link: "acme/boots-lena", by: nobody},

	{name: "tom-anna", link: "acme/boots-tom", bySlug: true, by: anna},
	{name: "tom-eva", link: "acme/boots-tom", by: eva},
	{link: "acme/boots-tom", bySlug: true, by: gia, headers: []string{"Purpose", "prefetch"}, reasons: "prefetch"},
	{link: "acme/boots-tom", bySlug: true, by: gia}, // the tap that was foreseen
	{link: "acme/boots-tom", bySlug: true, by: hidden},
	{ // only the proxy's own word counts, which is the last
		link: "acme/boots-tom", by: dai, via: []string{"X-Forwarded-For", "8.8.8.8, 133.11.0.1"},
	},
	{link: "acme/boots-tom", by: eva, via: []string{"Forwarded", `for="[2001:67c:2e8::1]:4711"`}, reasons: "duplicate"},

	{link: "acme/boots-over", by: anna, reasons: "expired"},
	{link: "acme/boots-over", bySlug: true, by: googlebot, reasons: "expired"},
	{link: "acme/boots-off", bySlug: true, by: cleo, reasons: "disabled"},

	{
		name: "app", link: "acme/app-chiara", bySlug: true, by: ben,
		query: "utm_source=evil&utm_medium=paid+story&utm_campaign=a%26admin%3D1&cid=x&sub2=%C3%A9",
		more:  "utm_medium=paid%20story&utm_campaign=a%26admin%3D1&sub2=%C3%A9",
	},
	{link: "acme/app-chiara", by: dai, headers: []string{"X-Moz", "prefetch"}, reasons: "prefetch"},
	{link: "acme/app-chiara", by: curl},

	{name: "winter", link: "nordic/winter-mei", by: anna},
	{link: "nordic/winter-mei", by: anna, reasons: "duplicate"},
	{link: "nordic/winter-mei", by: eva},
	{link: "nordic/winter-mei", by: ben, headers: []string{"Host", "GO.Nordic.localhost.:8443"}},
	{name: "winter-cleo", link: "nordic/winter-lena", bySlug: true, by: cleo},
	{
		link: "nordic/winter-lena", by: finn, headers: []string{"Referer", "https://l.instagram.com/"},
		referrer: "l.instagram.com", platform: "instagram",
	},
	{link: "nordic/winter-over", by: dai, reasons: "expired"},
}

// A click is a tap that was sent.
type click struct {
	tap
	worldLink
	id          string // empty where the link has ended: nobody is told
	reasons     []string
	sent, known time.Time // it happened between these two
}

func (c *click) has(reason string) bool { return slices.Contains(c.reasons, reason) }

func (c *click) valid() bool { return len(c.reasons) == 0 || c.billedBefore() }

// billedBefore reports whether the click is a repeat and nothing worse.
func (c *click) billedBefore() bool { return len(c.reasons) == 1 && c.has("duplicate") }

func (c *click) billable() bool { return len(c.reasons) == 0 }

// send taps the link and checks the answer.
func (p tap) send(t *testing.T, client *http.Client, urls map[string]string) *click {
	t.Helper()
	c := &click{tap: p, worldLink: theLinks[p.link], reasons: strings.Fields(p.by.reasons + " " + p.reasons), sent: time.Now()}
	address := urls[p.link] // by slug where there is one
	if c.slug != "" && !p.bySlug {
		address = urls[p.link+" code"]
	}
	method, headers := http.MethodGet, append([]string{"User-Agent", p.by.agent}, p.headers...)
	if p.head {
		method = http.MethodHead
	}
	switch {
	case p.via != nil:
		headers = append(headers, p.via...)
	case p.by.address != "":
		headers = append(headers, "X-Forwarded-For", p.by.address)
	}
	got := ask(t, client, method, address+"?"+p.query, "", headers...)
	c.known = time.Now()
	c.check(t, got)
	return c
}

// check compares the answer with what the link promises and notes the click id.
func (c *click) check(t *testing.T, got answer) {
	t.Helper()
	status, location := http.StatusFound, got.header.Get("Location")
	ended := c.has("expired") || c.has("disabled")
	want := strings.Replace(c.location, "{more}", withAmpersand(c.more), 1)
	switch {
	case !ended:
		if id := clickIDText.FindStringSubmatch(location); id != nil {
			c.id = id[1]
		}
		want = strings.Replace(want, "{id}", c.id, 1)
	case c.ended == "":
		status, want = http.StatusGone, ""
	default:
		want = c.ended
	}
	if got.status != status || location != want || c.id == "" != ended {
		t.Errorf("%s answers %d to %q, want %d to %q", c.link, got.status, location, status, want)
	}
	if cache := got.header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("%s: Cache-Control %q", c.link, cache)
	}
}

// row is what the table clicks must hold of the click.
func (c *click) row(t *testing.T) map[string]string {
	t.Helper()
	params := c.params(t, c.more)
	row := map[string]string{
		"click_id": c.id, "link": c.link, "campaign": c.campaign, "influencer": c.influencer, "host": "go." + c.brand + ".localhost",
		"country": c.by.country, "region": "", "city": "", "device": c.by.device, "os": c.by.os, "browser": c.by.browser,
		"platform": c.by.platform + c.platform, "referrer_host": c.referrer, "language": c.language, "ip_prefix": c.by.prefix,
		"tier": c.tier, "content_format": c.format, "node": "1", "reasons": strings.Join(c.reasons, " "),
		"valid": flagText(c.valid()), "billable": flagText(c.billable()), "slug": "",
	}
	if c.bySlug {
		row["slug"] = c.slug
	}
	for _, name := range paramColumns {
		row[name] = params.Get(name)
	}
	return row
}

var paramColumns = []string{
	"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "utm_id", "sub1", "sub2", "sub3", "sub4", "sub5",
}

func flagText(set bool) string {
	if set {
		return "1"
	}
	return "0"
}

// clickRows reads them back, in no order.
func clickRows(s *system) []map[string]string {
	s.t.Helper()
	columns := []string{
		"'link', concat(brand, '/', link)", "'campaign', campaign", "'influencer', influencer", "'ip_prefix', toString(ip_prefix)",
		"'node', toString(node)", "'valid', toString(valid)", "'billable', toString(billable)",
		"'reasons', arrayStringConcat(reason_names, ' ')", "'click_id', toString(click_id)",
	}
	for _, name := range append(slices.Clone(paramColumns), "host", "slug", "country", "region", "city", "device", "os", "browser",
		"platform", "referrer_host", "language", "tier", "content_format") {
		columns = append(columns, "'"+name+"', clicks."+name)
	}
	rows, err := s.db.Query(s.t.Context(), `SELECT CAST(map(`+strings.Join(columns, ", ")+`), 'Map(String, String)')
		FROM clicks
		JOIN (SELECT link_id, link FROM links FINAL) AS l USING (link_id)
		JOIN (SELECT brand_id, brand FROM brands FINAL) AS b USING (brand_id)
		JOIN (SELECT campaign_id, campaign FROM campaigns FINAL) AS c USING (campaign_id)
		JOIN (SELECT influencer_id, influencer FROM influencers FINAL) AS i USING (influencer_id)`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	var all []map[string]string
	for rows.Next() {
		var row map[string]string
		if err := rows.Scan(&row); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return all
}
