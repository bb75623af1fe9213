package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A shopSite is a shop's web site: its pages carry carom.js of the short domain.
type shopSite struct {
	*httptest.Server
	mu     sync.Mutex
	landed []url.Values // parameters of each arrival on the landing page
}

// newShopSite has a landing page that leads on to /thanks, where the visitor has bought something: its parameters are the
// conversion, its address says nothing of the click any more.
func newShopSite(t *testing.T, shortDomain string) *shopSite {
	t.Helper()
	shop := &shopSite{}
	script := fmt.Sprintf(`<!DOCTYPE html><title>shop</title><script src="http://%s/_/carom.js"></script><body><script>`, shortDomain)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /landing", func(w http.ResponseWriter, r *http.Request) {
		shop.mu.Lock()
		shop.landed = append(shop.landed, r.URL.Query())
		shop.mu.Unlock()
		_, _ = io.WriteString(w, script+`location.href = "/thanks"</script>`) // an error is the browser's to see
	})
	pages.HandleFunc("GET /thanks", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, script+`
			document.body.dataset.click = carom.clickId();
			document.body.dataset.sent = carom.convert({txid: "web-" + carom.clickId(), amount: "49.90", currency: "EUR"});
		</script>`)
	})
	shop.Server = httptest.NewServer(pages)
	t.Cleanup(shop.Close)
	return shop
}

func (s *shopSite) arrivals() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.landed)
}

// browse opens an address in Chromium and returns the page it ends on. Names below .localhost are this machine to it.
func browse(t *testing.T, address string, flags ...string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is missing: install it with apt-get install chromium")
		}
		t.Skip("chromium is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--user-data-dir=" + t.TempDir(), "--virtual-time-budget=10000", "--dump-dom",
	}, flags...)
	cmd := exec.CommandContext(ctx, browser, append(args, address)...)
	var log bytes.Buffer
	cmd.Stderr = &log
	page, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium %s: %v\n%s", address, err, log.String())
	}
	return string(page)
}

// A real browser follows a sample link, lands in a shop with UTM values and a click id, and buys: the pixel's conversion is the
// right creator's.
func TestBrowser(t *testing.T) {
	t.Parallel()
	s := startUp(t, filepath.Join(t.TempDir(), "data"))
	_, port, _ := strings.Cut(s.public, ":")
	shop := newShopSite(t, "go.acme.localhost:"+port)
	s.load("brands", "brand,name,currency,unsigned_pixel\nacme,Acme Outdoor,EUR,true\n")
	s.load("links", "link,campaign,influencer,domain,destination,content_format\nweb,spring-boots,camp-chiara,go.acme.localhost,"+
		strings.Replace(shop.URL, "127.0.0.1", "shop.localhost", 1)+"/landing?ref=carom#top,reel\n")
	link := s.shortURLs()["acme/web"]
	s.eventually("the link is known", func() bool {
		return strings.Contains(ask(t, s.http, http.MethodHead, link, "").header.Get("Location"), "/landing")
	})

	for _, test := range []struct {
		name  string
		flags []string
		click string // device, system, browser, language, reasons, valid
	}{
		{"as itself", nil, "bot other other en [bot] 0"}, // it says HeadlessChrome
		{"as people have it", []string{"--user-agent=" + desktopChrome}, "desktop Linux Chrome en [] 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, before := s.in(t), len(shop.arrivals())
			page := browse(t, link, test.flags...)
			landed := shop.arrivals()[before:]
			if len(landed) != 1 {
				t.Fatalf("the browser has landed %d times; its page is %s", len(landed), page)
			}
			id := landed[0].Get("click_id")
			want := url.Values{
				"ref": {"carom"}, "utm_source": {"tiktok"}, "utm_medium": {"influencer"}, "utm_campaign": {"spring-boots"},
				"utm_content": {"camp-chiara-reel"}, "click_id": {id},
			}
			if diff := cmp.Diff(want, landed[0]); diff != "" || len(id) != 22 {
				t.Errorf("parameters on landing (-want +got), click id %q:\n%s", id, diff)
			}
			if !strings.Contains(page, fmt.Sprintf(`data-click="%s" data-sent="true"`, id)) {
				t.Errorf("the page after the purchase: %s", page)
			}

			s.eventually("click and conversion are stored", func() bool {
				return s.count("SELECT count() FROM clicks WHERE click_id = ?", id) == 1 &&
					s.count("SELECT count() FROM conversions WHERE click_id = ?", id) == 1
			})
			var click string
			if err := s.db.QueryRow(t.Context(), "SELECT concat(device, ' ', os, ' ', browser, ' ', language, ' ', toString(reason_names), ' ', "+
				"toString(valid)) FROM clicks WHERE click_id = ?", id).Scan(&click); err != nil {
				t.Fatal(err)
			}
			if click = strings.ReplaceAll(click, "'", ""); click != test.click {
				t.Errorf("the click is %q, want %q", click, test.click)
			}
		})
	}

	bought := row{
		"influencer": "camp-chiara", "campaign": "spring-boots", "event": "sale",
		"status": "approved", "signed": "false", "currency": "EUR", "conversions": "2", "amount": "99.8000", "conflicts": "0",
	}
	conversions := s.report("conversions", "--by", "campaign,influencer,event,status,signed")
	for _, line := range conversions {
		delete(line, "median_hours_to_convert")
	}
	compare(t, "report conversions", []row{bought}, conversions)
	for _, line := range s.report("influencers", "--by", "influencer") {
		if valueText(line["conversions"]) != "0" {
			t.Errorf("unsigned pixels count in the report of creators: %v", line)
		}
	}
}
