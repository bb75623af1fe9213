package redirect

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/ingest"
)

func TestRedirect(t *testing.T) {
	e := newEdge(t)
	got := e.get(t, "go.glow.test", "/"+glowCode(linkLive)+"?gclid=Cj0-x&sub1=bio%20link&click_id=forged",
		"User-Agent: Mozilla/5.0 Instagram", "Referer: https://l.instagram.com/", "Accept-Language: de-AT,de;q=0.9")
	location, click := got.location(t)
	if want := "https://glow.example/spring?ref=carom&utm_source=instagram&utm_medium=influencer&utm_campaign=spring-mia" +
		"&utm_content=reel&gclid=Cj0-x&sub1=bio%20link&click_id=ID"; location != want {
		t.Errorf("Location is %s, want %s", location, want)
	}
	got.header.Del("Location")
	got.header.Del("Date")
	if want := map[string][]string{
		"Cache-Control": {"no-store"}, "Referrer-Policy": {"strict-origin-when-cross-origin"}, "X-Robots-Tag": {"noindex"},
		"Content-Length": {"0"},
	}; !maps.EqualFunc(got.header, want, slices.Equal) || got.body != "" {
		t.Errorf("headers %v and body %q, want %v and none", got.header, got.body, want)
	}
	if want := (Click{Link: linkLive, Millis: edgeNow.UnixMilli(), Node: 9}); click != want {
		t.Errorf("the click id holds %+v, want %+v", click, want)
	}

	c := e.one(t)
	if opened, ok := mustClickIDKey(t, edgeKey).Open(c.ID); !ok || opened != click {
		t.Errorf("the click recorded has id %+v, the Location %+v", opened, click)
	}
	for name, same := range map[string]bool{
		"millis":      c.Millis == edgeNow.UnixMilli(),
		"address":     c.Addr == netip.MustParseAddr("127.0.0.1").As16(),
		"attribution": c.Link == linkLive && c.Brand == 1 && c.Campaign == 1 && c.Influencer == 1,
		"reasons":     c.Reasons == 0,
		"tier":        c.Tier == ingest.TierMicro,
		"format":      c.Format.String() == "reel",
		"host":        string(c.Host) == "go.glow.test",
		"slug":        len(c.Slug) == 0,
		"agent":       string(c.Agent) == "Mozilla/5.0 Instagram",
		"referrer":    string(c.Referrer) == "https://l.instagram.com/",
		"language":    string(c.Language) == "de-AT,de;q=0.9",
		"query": string(c.Query) == "ref=carom&utm_source=instagram&utm_medium=influencer&utm_campaign=spring-mia&utm_content=reel"+
			"&gclid=Cj0-x&sub1=bio%20link&",
	} {
		if !same {
			t.Errorf("%s recorded wrongly: %+v, host %q, query %q", name, c, c.Host, c.Query)
		}
	}
}

func TestLocations(t *testing.T) {
	e := newEdge(t)
	const utm = "utm_source=instagram&utm_medium=influencer&utm_campaign=spring-mia&utm_content=reel&"
	for _, c := range []struct {
		name, query string
		link        uint32
		want        string
	}{
		{"no query", "", linkLive, "https://glow.example/spring?ref=carom&" + utm + "click_id=ID"},
		{"empty query", "?", linkLive, "https://glow.example/spring?ref=carom&" + utm + "click_id=ID"},
		{"own UTM value over the campaign's", "", linkOverride, "https://glow.example/spring?ref=carom&utm_source=story+l20&utm_medium=influencer" +
			"&utm_campaign=spring-mia&utm_content=reel&click_id=ID"},
		{
			"own destination: parameters before the fragment, the template over its UTM value", "?gclid=1", linkFragment,
			"https://glow.example/p?size=m&" + utm + "gclid=1&click_id=ID#reviews",
		},
		{
			"stored values win", "?utm_source=evil&utm_campaign=evil&ref=evil&utm_term=mine", linkLive,
			"https://glow.example/spring?ref=carom&" + utm + "utm_term=mine&click_id=ID",
		},
		{
			"ad click ids and sub ids", "?gclid=1&fbclid=2&ttclid=3&sub1=a&sub2=b&sub3=c&sub4=d&sub5=e", linkLive,
			"https://glow.example/spring?ref=carom&" + utm + "gclid=1&fbclid=2&ttclid=3&sub1=a&sub2=b&sub3=c&sub4=d&sub5=e&click_id=ID",
		},
		{"one parameter stays one", "?x=a%26admin%3D1", linkLive, "https://glow.example/spring?ref=carom&" + utm + "x=a%26admin%3D1&click_id=ID"},
		{"incoming click id", "?click_id=theirs&%63lick_id=theirs", linkLive, "https://glow.example/spring?ref=carom&" + utm + "click_id=ID"},
		{
			"incoming click id under the campaign's name", "?aff+sub=theirs&click_id=theirs", linkParam,
			"https://glow.example/spring?ref=carom&" + utm + "aff+sub=ID",
		},
		{"of repeated names the first", "?x=1&x=2&utm_term=a&utm_term=b", linkLive, "https://glow.example/spring?ref=carom&" + utm + "x=1&utm_term=a&click_id=ID"},
		{
			"addresses change nothing", "?url=https://evil.example&destination=//evil.example&next=/", linkLive,
			"https://glow.example/spring?ref=carom&" + utm + "url=https%3A%2F%2Fevil.example&destination=%2F%2Fevil.example&next=%2F&click_id=ID",
		},
		{"no header is split", "?x=1%0d%0aSet-Cookie:a=b&y=2", linkLive, "https://glow.example/spring?ref=carom&" + utm + "y=2&click_id=ID"},
		{"a second question mark", "?x=1?y=2", linkLive, "https://glow.example/spring?ref=carom&" + utm + "x=1%3Fy%3D2&click_id=ID"},
		{"many parameters", "?" + strings.Repeat("a=1&", maxPassthrough-1) + "b=2&c=3", linkLive, "https://glow.example/spring?ref=carom&" + utm + "a=1&b=2&click_id=ID"},
	} {
		location, click := e.get(t, "go.glow.test", "/"+glowCode(c.link)+c.query).location(t)
		if location != c.want || click.Link != c.link {
			t.Errorf("%s: link %d leads to\n%s, want\n%s", c.name, click.Link, location, c.want)
		}
		if kept := e.one(t); !strings.Contains(strings.ReplaceAll(location, "?", "&"), "&"+string(kept.Query)) || strings.Contains(string(kept.Query), "ID") {
			t.Errorf("%s: recorded query %q is not that of %s", c.name, kept.Query, location)
		}
	}
}

// Whatever is not a link of the host gets one and the same answer, byte for byte, and leaves no click.
func TestUnknownForgedRetiredAndForeignLookAlike(t *testing.T) {
	e := newEdge(t)
	good := glowCode(linkLive)
	absent := codeOn("go.glow.test", glowSecrets[1], 1, linkAbsent)
	paths := map[string]string{
		"absent number, good signature": absent,
		"highest number":                codeOn("go.glow.test", glowSecrets[1], 1, MaxLink),
		"number zero":                   codeOn("go.glow.test", glowSecrets[1], 1, 0),
		"last character altered":        good[:10] + string(base62[(base62Value[good[10]]+1)%62]),
		"first character altered":       string(base62[(base62Value[good[0]]+1)%62]) + good[1:],
		"truncated":                     good[:10],
		"longer":                        good + "0",
		"lower case":                    strings.ToLower(good),
		"another spelling, escaped":     "%" + strings.ToUpper(string("0123456789abcdef"[good[0]>>4])+string("0123456789abcdef"[good[0]&15])) + good[1:],
		"number of 2^64 and more":       "zzzzzzzzzzz",
		"retired key":                   codeOn("go.glow.test", glowSecrets[2], 2, linkRetiredKey),
		"retired key, another link":     codeOn("go.glow.test", glowSecrets[2], 2, linkLive),
		"key that never was":            codeOn("go.glow.test", glowSecrets[1], 3, linkLive),
		"signed with the wrong slot":    codeOn("go.glow.test", glowSecrets[1], 0, linkLive),
		"another brand's code":          codeOn("go.volt.test", voltSecret, 0, linkVolt),
		"another brand's key":           codeOn("go.glow.test", voltSecret, 0, linkVolt),
		"another brand's link":          codeOn("go.glow.test", glowSecrets[1], 1, linkVolt),
		"the brand's other domain":      codeOn("m.glow.test", glowSecrets[1], 1, linkLiveOnM),
		"link of the other domain":      codeOn("go.glow.test", glowSecrets[1], 1, linkLiveOnM),
		"deleted link":                  codeOn("go.glow.test", glowSecrets[1], 1, linkDeleted),
		"absent slug":                   "absent-slug",
		"other words":                   "index.php",
		"trailing slash":                good + "/",
		"below another path":            "x/" + good,
		"encoded slash before":          "%2f" + good,
		"encoded slash behind":          good + "%2F",
		"encoded NUL behind":            good + "%00",
		"encoded dot behind":            good + "%2e",
		"dots before":                   "../" + good,
		"dots on the way":               "x/../" + good,
		"encoded dots":                  "%2e%2e/" + good,
		"a dot before":                  "./" + good,
		"doubled slash":                 "/" + good,
		"semicolon":                     good + ";x=1",
		"encoded question mark":         good + "%3fx=1",
		"robots.txt, nearly":            "robots.txt/",
		"robots.txt, encoded":           "robots%2etxt",
		"postback, encoded":             "_%2fpostback",
		"postback, by dots":             "x/../_/postback",
		"very long":                     strings.Repeat("a", 4000),
	}
	for _, host := range []string{"go.glow.test", "GO.GLOW.TEST:443"} {
		want := e.get(t, host, "/nothing-here")
		if want.status != 404 || want.header.Get("Cache-Control") != "no-store" || want.header.Get("X-Robots-Tag") != "noindex" || want.body == "" {
			t.Fatalf("an unknown path answers %q", want.raw)
		}
		for name, path := range paths {
			if got := e.get(t, host, "/"+path); got.raw != want.raw {
				t.Errorf("%s: /%s answers %q, want %q", name, path, got.raw, want.raw)
			}
		}
	}
	head := e.send(t, "HEAD /nothing-here HTTP/1.1\nHost: go.glow.test")
	for name, path := range paths {
		if got := e.send(t, "HEAD /"+path+" HTTP/1.1\nHost: go.glow.test"); got.raw != head.raw || got.body != "" {
			t.Errorf("HEAD, %s: /%s answers %q, want %q", name, path, got.raw, head.raw)
		}
	}
	onM := e.get(t, "m.glow.test", "/nothing-here")
	if onM.status != 302 || onM.header.Get("Location") != "https://glow.example/lost" {
		t.Fatalf("an unknown path of a domain with a not-found page answers %q", onM.raw)
	}
	for name, path := range paths {
		if name != "the brand's other domain" { // which is at home here
			if got := e.get(t, "m.glow.test", "/"+path); got.raw != onM.raw {
				t.Errorf("m.glow.test, %s: /%s answers %q, want %q", name, path, got.raw, onM.raw)
			}
		}
	}
	if clicks := e.take(); len(clicks) != 0 {
		t.Errorf("%d clicks recorded, the first on link %d", len(clicks), clicks[0].Link)
	}
}

func TestEndedLinks(t *testing.T) {
	e := newEdge(t)
	onM := func(link uint32) string { return codeOn("m.glow.test", glowSecrets[1], 1, link) }
	for _, c := range []struct {
		name, host, path string
		reason           ingest.Reasons
		fallback         string // empty: 410
	}{
		{"expired", "go.glow.test", glowCode(linkExpired), ingest.Expired, ""},
		{"expired, by slug", "go.glow.test", "spring-sale", ingest.Expired, ""},
		{"expired, with a fallback", "go.glow.test", glowCode(linkExpiredFallback), ingest.Expired, "https://glow.example/next?a=b"},
		{"expired, the domain has a fallback", "m.glow.test", onM(linkExpiredOnM), ingest.Expired, "https://glow.example/ended"},
		{"expired, both have one", "m.glow.test", onM(linkExpiredOnMOwn), ingest.Expired, "https://glow.example/next"},
		{"disabled", "go.glow.test", glowCode(linkDisabled), ingest.Disabled, ""},
		{"not yet begun", "go.glow.test", glowCode(linkEarly), ingest.Disabled, ""},
		{"campaign disabled", "go.glow.test", glowCode(linkPausedCampaign), ingest.Disabled, ""},
		{"campaign over", "go.glow.test", glowCode(linkEndedCampaign), ingest.Expired, ""},
		{"campaign not yet begun", "go.glow.test", glowCode(linkEarlyCampaign), ingest.Disabled, ""},
		{"creator disabled", "go.glow.test", glowCode(linkGoneCreator), ingest.Disabled, ""},
	} {
		got := e.get(t, c.host, "/"+c.path+"?gclid=1")
		if want := 410; c.fallback == "" && (got.status != want || got.header.Get("Location") != "") {
			t.Errorf("%s: status %d, Location %q, want %d", c.name, got.status, got.header.Get("Location"), want)
		}
		if c.fallback != "" && (got.status != 302 || got.header.Get("Location") != c.fallback) {
			t.Errorf("%s: status %d, Location %q, want 302 to %s", c.name, got.status, got.header.Get("Location"), c.fallback)
		}
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Robots-Tag") != "noindex" {
			t.Errorf("%s: headers %v", c.name, got.header)
		}
		if kept := e.one(t); kept.Reasons != c.reason || kept.Reasons.Valid() || kept.Link == 0 {
			t.Errorf("%s: recorded with reasons %q on link %d, want %q", c.name, kept.Reasons, kept.Link, c.reason)
		}
	}
}

func TestEndsAreExclusiveAndStartsInclusive(t *testing.T) {
	e := newEdge(t)
	moment := edgeNow.Truncate(time.Second)
	for _, c := range []struct {
		name            string
		starts, expires time.Time
		want            ingest.Reasons
	}{
		{"starts this second", moment, time.Time{}, 0},
		{"starts next second", moment.Add(time.Second), time.Time{}, ingest.Disabled},
		{"expires this second", time.Time{}, moment, ingest.Expired},
		{"expires next second", time.Time{}, moment.Add(time.Second), 0},
		{"no time is 1970 as well", time.Unix(0, 0), time.Unix(0, 0), 0},
		{"far beyond 2106", time.Time{}, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 0},
	} {
		if err := e.builder.SetLink(LinkRow{
			ID: linkLast, Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, KeyID: 1, Starts: c.starts, Expires: c.expires, Enabled: true,
		}); err != nil {
			t.Fatal(err)
		}
		e.server.SetTable(e.builder.Table())
		e.get(t, "go.glow.test", "/"+glowCode(linkLast))
		if kept := e.one(t); kept.Reasons != c.want {
			t.Errorf("%s: reasons %q, want %q", c.name, kept.Reasons, c.want)
		}
	}
}

func TestFlaggedRequestsAreRedirectedAndStored(t *testing.T) {
	e := newEdge(t)
	for _, c := range []struct {
		name, method, header string
		want                 ingest.Reasons
	}{
		{"a tap", "GET", "Accept: */*", 0},
		{"HEAD", "HEAD", "Accept: */*", ingest.Head},
		{"Chrome's prefetch", "GET", "Sec-Purpose: prefetch", ingest.Prefetch},
		{"Chrome's prerender", "GET", "Sec-Purpose: prefetch;prerender", ingest.Prefetch},
		{"private prefetch proxy", "GET", "Sec-Purpose: prefetch;anonymous-client-ip", ingest.Prefetch},
		{"older Chrome", "GET", "Purpose: prefetch", ingest.Prefetch},
		{"Safari's top sites", "GET", "X-Purpose: preview", ingest.Prefetch},
		{"Firefox", "GET", "X-Moz: prefetch", ingest.Prefetch},
		{"header name in lower case", "GET", "sec-purpose: prefetch", ingest.Prefetch},
		{"value in capitals", "GET", "Purpose: Prefetch", ingest.Prefetch},
		{"HEAD ahead of a tap", "HEAD", "Purpose: prefetch", ingest.Head | ingest.Prefetch},
		{"another purpose", "GET", "Purpose: navigation", 0},
		{"another header", "GET", "X-Prefetch: prefetch", 0},
	} {
		got := e.send(t, c.method+" /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test\n"+c.header)
		_, click := got.location(t)
		if kept := e.one(t); kept.Reasons != c.want || kept.Reasons.Valid() != (c.want == 0) || click.Link != linkLive {
			t.Errorf("%s: reasons %q, want %q", c.name, kept.Reasons, c.want)
		}
	}
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	e := newEdge(t)
	for _, path := range []string{"/" + glowCode(linkLive), "/" + glowCode(linkExpired), "/nothing-here", "/", "/robots.txt", "/favicon.ico"} {
		request := path + " HTTP/1.1\nHost: go.glow.test"
		get, head := e.send(t, "GET "+request), e.send(t, "HEAD "+request)
		for _, a := range []reply{get, head} {
			a.header.Del("Date")
			if loc := a.header.Get("Location"); loc != "" {
				a.header.Set("Location", clickIDIn.ReplaceAllString(loc, "ID"))
			}
		}
		if head.status != get.status || head.body != "" || !maps.EqualFunc(get.header, head.header, slices.Equal) {
			t.Errorf("%s: GET %d %v, HEAD %d %v with body %q", path, get.status, get.header, head.status, head.header, head.body)
		}
	}
}

func TestPages(t *testing.T) {
	e := newEdge(t)
	for _, c := range []struct {
		host, path string
		status     int
		contains   string // in Location or body
	}{
		{"go.glow.test", "/", 200, "Glow & Co"},
		{"m.glow.test", "/", 302, "https://glow.example/"},
		{"m.glow.test", "/?utm_source=x", 302, "https://glow.example/"},
		{"go.glow.test", "/robots.txt", 200, "User-agent: *"},
		{"m.glow.test", "/robots.txt", 200, "User-agent: *"},
		{"nobody.test", "/robots.txt", 200, "User-agent: *"},
		{"go.glow.test", "/favicon.ico", 204, ""},
		{"go.glow.test", "/.well-known/assetlinks.json", 404, ""},
		{"m.glow.test", "/.well-known/apple-app-site-association", 404, ""},
		{"nobody.test", "/", 404, "no such link"},
		{"nobody.test", "/" + glowCode(linkLive), 404, "no such link"},
		{"127.0.0.1:8080", "/" + glowCode(linkLive), 404, "no such link"},
		{"glow.test", "/summer", 404, "no such link"},
		{"go.glow.test.evil.test", "/summer", 404, "no such link"},
	} {
		got := e.get(t, c.host, c.path)
		if got.status != c.status || !strings.Contains(got.header.Get("Location")+got.body, c.contains) {
			t.Errorf("%s%s answers %q, want %d with %q", c.host, c.path, got.raw, c.status, c.contains)
		}
	}
	if clicks := e.take(); len(clicks) != 0 {
		t.Errorf("%d clicks recorded", len(clicks))
	}
}

func TestWithoutATableTheAnswerIsToComeBack(t *testing.T) {
	e := newEdge(t)
	for name, b := range map[string]*Builder{"empty": NewBuilder(), "no visitor key": edgeBuilder(t), "no click-id key": edgeBuilder(t)} {
		switch name {
		case "no visitor key":
			b.SetKey(KeyRow{Kind: KeyVisitor, ID: edgeNow.Format(time.DateOnly), Retired: true})
		case "no click-id key":
			b.SetKey(KeyRow{Kind: KeyClickID, ID: "1", Retired: true})
		}
		e.server.SetTable(b.Table())
		if got := e.get(t, "go.glow.test", "/"+glowCode(linkLive)); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: answers %q", name, got.raw)
		}
	}
	e.server.SetTable(e.builder.Table())
	if got := e.get(t, "go.glow.test", "/"+glowCode(linkLive)); got.status != 302 {
		t.Errorf("with a table again: %q", got.raw)
	}
}
