package control_test

import (
	"bytes"
	"strings"
	"testing"

	"carom/control"
)

// TestLinkStateIsWhatTheEdgeDoes stops a link in each way there is and looks at it where people do.
func TestLinkStateIsWhatTheEdgeDoes(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("domains", "host,brand,vanity", "signed.acme.example,acme,signed")
	w.load("campaigns", "campaign,brand,name,destination,starts,ends",
		"over,acme,Over,https://shop.acme-goods.example/,2026-01-01,2026-03-10",
		"later,acme,Later,https://shop.acme-goods.example/,2026-03-11,",
		"off,acme,Off,https://shop.acme-goods.example/,,")
	w.load("links", "link,domain,campaign,influencer,slug,starts,expires,enabled",
		"plain,go.acme.example,boots,tom,,2026-03-01,,",
		"stopped,go.acme.example,boots,tom,,2026-03-01,,false",
		"expired,go.acme.example,boots,tom,,2026-03-01,2026-03-10T12:00:00Z,",
		"early,go.acme.example,boots,tom,,2026-03-10T12:00:01Z,,",
		"over,go.acme.example,over,tom,,2026-03-01,,",
		"later,go.acme.example,later,tom,,2026-03-01,,",
		"off,go.acme.example,off,tom,,2026-03-01,,",
		"lena,go.acme.example,boots,lena,,2026-03-01,,")
	c := connect(t, w.serve(), w.token(control.Admin))
	for _, target := range []control.Target{{Campaign: "off"}, {Influencer: "lena"}} {
		if links, err := c.SetEnabled(t.Context(), target, false); err != nil || links != 1 {
			t.Fatalf("%+v: %d links, %v", target, links, err)
		}
	}
	check := func(link, state, why string) {
		t.Helper()
		got, err := w.Link(t.Context(), control.LocalScope(), "", link)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != state || got.Enabled != (state == "live") || got.Why != why {
			t.Errorf("%s: state %q, enabled %v, why %q; want %q, %q", link, got.State, got.Enabled, got.Why, state, why)
		}
		var export bytes.Buffer
		if err := c.Export(t.Context(), control.LinkFilter{}, "csv", &export); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(export.String()) {
			if cells := strings.Split(strings.TrimSpace(line), ","); cells[0] == link && (cells[8] == "true") != got.Enabled {
				t.Errorf("%s: the export says enabled %s", link, cells[8])
			}
		}
	}
	check("plain", "live", "")
	check("stopped", "disabled", "the link itself is disabled")
	check("expired", "expired", "the link itself is expired since 2026-03-10T12:00:00Z")
	check("early", "not begun", "the link itself is not begun until 2026-03-10T12:00:01Z")
	check("over", "expired (campaign)", "campaign over is expired since 2026-03-10T00:00:00Z")
	check("later", "not begun (campaign)", "campaign later is not begun until 2026-03-11T00:00:00Z")
	check("off", "disabled (campaign)", "campaign off is disabled")
	check("lena", "disabled (creator)", "creator lena is disabled")

	w.load("links", "link,domain,campaign,influencer,slug,starts",
		"open,go.acme.example,boots,tom,toms-boots,2026-03-01", "signed,signed.acme.example,boots,tom,toms-tents,2026-03-01")
	if _, err := c.RotateKey(t.Context(), "acme", "code"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RetireKey(t.Context(), "acme", "code", "0"); err != nil {
		t.Fatal(err)
	}
	const retired = "its key is retired: nothing that it has signed is answered"
	check("plain", "key retired", retired)
	check("signed", "key retired", retired)
	check("open", "live", retired)
	check("lena", "disabled (creator)", "creator lena is disabled; "+retired)

	row := "SELECT * REPLACE (true AS deleted, version + 1 AS version) FROM domains FINAL WHERE host = 'go.acme.example'"
	if err := w.db.Conn.Exec(t.Context(), "INSERT INTO domains "+row); err != nil {
		t.Fatal(err)
	}
	w.restart()
	c = connect(t, w.serve(), w.token(control.Admin))
	check("open", "deleted (domain)", "domain go.acme.example is deleted; "+retired)
}
