package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLinksCheckCommand(t *testing.T) {
	var asked atomic.Int32
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/sold-out" {
			http.NotFound(w, r)
		}
	}))
	defer shop.Close()
	c := newControlled(t)
	c.importCampaign(shop.URL + "/boots")
	c.must("import", "links", c.file("links.csv", fmt.Sprintf("link,campaign,influencer,domain,destination,enabled\n"+
		"a,spring,lena,go.acme.example,,\nb,spring,lena,go.acme.example,,\nc,spring,lena,go.acme.example,%[1]s/sold-out,\n"+
		"d,spring,lena,go.acme.example,%[1]s/sold-out,\noff,spring,lena,go.acme.example,%[1]s/off,no\n", shop.URL)))

	// As the command line makes it, the command asks nothing at an address like the test's.
	got := c.carom("links", "check", "--format", "json")
	if got.code != exitFailed || strings.Count(got.out, `"verdict":"dead"`) != 4 || !strings.Contains(got.out, "not on the public internet") || asked.Load() > 0 {
		t.Errorf("%d requests to a loopback address: %+v", asked.Load(), got)
	}

	check := func(format string, all bool) (string, string, error) {
		var out, errOut bytes.Buffer
		command := linksCheckCommand{
			Concurrency: 4, PerHost: 2, Timeout: 10 * time.Second, All: all, Format: format,
			controlTarget: controlTarget{Server: c.server, Token: c.token},
			allowed:       []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		}
		err := command.Run(t.Context(), &console{Out: &out, Err: &errOut})
		return out.String(), errOut.String(), err
	}
	out, summary, err := check("csv", false)
	if err == nil || err.Error() != "1 destinations do not answer" {
		t.Errorf("the error is %v", err)
	}
	if want := "4 links lead to 2 destinations: 1 answer, 1 are dead, 0 unclear\n"; summary != want {
		t.Errorf("%q, want %q", summary, want)
	}
	want := [][]string{
		{"brand", "link", "verdict", "status", "reason", "destination"},
		{"acme", "c", "dead", "404", "not found", shop.URL + "/sold-out"},
		{"acme", "d", "dead", "404", "not found", shop.URL + "/sold-out"},
	}
	if diff := cmp.Diff(want, parseCSV(t, strings.NewReader(out))); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if asked.Load() != 3 { // HEAD for each, and GET for what is not found
		t.Errorf("%d requests for 2 destinations of 4 links", asked.Load())
	}
	out, _, _ = check("json", true)
	var objects []linkFinding
	if err := json.Unmarshal([]byte(out), &objects); err != nil || len(objects) != 4 ||
		objects[0] != (linkFinding{"acme", "a", "answers", 200, "", shop.URL + "/boots"}) {
		t.Errorf("%v: %s", err, out)
	}
	if out, _, _ := check("table", false); strings.Count(out, "\n") != 3 || !strings.HasPrefix(out, "BRAND  LINK  VERDICT  STATUS  REASON     DESTINATION\n") {
		t.Errorf("table:\n%s", out)
	}

	c.must("links", "disable", "c")
	c.must("links", "disable", "d")
	if out, _, err := check("json", false); err != nil || out != "[]\n" {
		t.Errorf("links that lead nowhere are checked: %v, %s", err, out)
	}
	if got := c.carom("links", "check", "--concurrency", "0"); got.code != exitUsage {
		t.Errorf("no host at a time: %+v", got)
	}
}
