package redirect

import "testing"

func TestAppLinks(t *testing.T) {
	const apple, android = `{"applinks":{"details":[]}}`, `[{"relation":["x"],"target":{}}]`
	e := newEdge(t)
	e.builder.SetDomain(DomainRow{ID: 4, Host: "go.volt.test", Brand: 2, AppleApps: apple, AssetLinks: android})
	e.builder.SetDomain(DomainRow{ID: 3, Host: "s.glow.test", Brand: 1, AppleApps: `{"applinks":`, AssetLinks: "<script>"})
	e.server.SetTable(e.builder.Table())
	const at = "/.well-known/"
	for _, c := range []struct{ host, path, want string }{ // want: the body of a 200; a 404 where it is empty
		{"go.volt.test", at + "apple-app-site-association", apple},
		{"go.volt.test", at + "apple-app-site-association?x=1", apple},
		{"go.volt.test", at + "assetlinks.json", android},
		{"go.volt.test", at + "assetlinks.json/", ""},
		{"go.volt.test", at + "Assetlinks.json", ""},
		{"go.volt.test", at + "%61ssetlinks.json", ""},
		{"go.volt.test", at + "../.well-known/assetlinks.json", ""},
		{"go.volt.test", at, ""},
		{"go.volt.test", at + "security.txt", ""},
		{"go.volt.test", "/apple-app-site-association", ""},
		{"go.glow.test", at + "assetlinks.json", ""},
		{"go.glow.test", at + "apple-app-site-association", ""},
		{"s.glow.test", at + "apple-app-site-association", ""}, // what does not parse is as good as none
		{"s.glow.test", at + "assetlinks.json", ""},
		{"nobody.test", at + "assetlinks.json", ""},
	} {
		got := e.get(t, c.host, c.path)
		if c.want == "" {
			if got.status != 404 || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s%s answers %q, want 404", c.host, c.path, got.raw)
			}
			continue
		}
		if got.status != 200 || got.body != c.want || got.header.Get("Content-Type") != "application/json" ||
			got.header.Get("Cache-Control") != "public, max-age=3600" || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s%s answers %q, want %s", c.host, c.path, got.raw, c.want)
		}
		if head := e.send(t, "HEAD "+c.path+" HTTP/1.1\nHost: "+c.host); head.status != 200 || head.body != "" ||
			head.header.Get("Content-Length") != got.header.Get("Content-Length") {
			t.Errorf("HEAD %s%s answers %q", c.host, c.path, head.raw)
		}
	}
	if clicks := e.take(); len(clicks) != 0 {
		t.Errorf("%d clicks recorded", len(clicks))
	}
}
