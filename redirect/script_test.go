package redirect

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/ingest"
)

// carom.js in a real browser: one visitor comes to a shop without a click id, with a forged one, through a link, and then
// buys. Every visit is a frame of one page, so that they share a cookie jar and the page is done when all of them are.
func TestScriptInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a few seconds")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is missing: install it with apt-get install chromium")
		}
		t.Skip("chromium is not installed")
	}
	w := newShop(t)
	w.builder.SetDomain(DomainRow{ID: 3, Host: "go.bolt.localhost", Brand: 2})
	w.server.SetTable(w.builder.Table())
	edge, err := url.Parse(w.base)
	if err != nil {
		t.Fatal(err)
	}
	id := shopClick(2, time.Hour)
	signed := fields{"click_id": id, "event": "lead", "ts": "1780000000", "txid": "L 1"}.signed("bolt secret")

	visit := func(convert string) string {
		return fmt.Sprintf(`<script src="http://go.bolt.localhost:%s/_/carom.js"></script>
			<script>parent.document.body.append("[" + carom.clickId() + " " + carom.convert(%s) + "]")</script>`, edge.Port(), convert)
	}
	sold := visit(`{txid: "Zoë & 1", amount: "49.90", currency: "USD", coupon: undefined}`)
	var cookie string
	shop := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/":
			fmt.Fprintf(rw, `<body><script>
				var visits = ["/sold", "/sold?click_id=forged", "/sold?click_id=%s", "/later", "/signed"];
				(function next() {
					if (visits.length) {
						var frame = document.createElement("iframe");
						frame.src = visits.shift();
						frame.onload = next;
						document.body.append(frame);
					}
				})();</script>`, id)
		case "/sold":
			fmt.Fprint(rw, sold)
		case "/later":
			cookie = r.Header.Get("Cookie")
			fmt.Fprint(rw, visit(`{event: "lead", txid: 2}`))
		case "/signed":
			fmt.Fprint(rw, visit(fmt.Sprintf(`{click_id: "%s", event: "lead", ts: 1780000000, txid: "L 1", sig: "%s"}`, id, signed["sig"])))
		}
	}))
	defer shop.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	page := strings.Replace(shop.URL, "127.0.0.1", "shop.localhost", 1) + "/"
	dom, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--dump-dom", page).Output()
	if err != nil {
		t.Fatalf("browser: %v\n%s", err, dom)
	}
	want := "[ false][ false][" + id + " true][" + id + " true][" + id + " true]"
	if got := bracketed(string(dom)); got != want {
		t.Errorf("visits say %s, want %s in\n%s", got, want, dom)
	}
	if cookie != "carom_click_id="+id {
		t.Errorf("the shop's server gets the cookie %q", cookie)
	}
	type sent struct {
		ClickID, Event, TxID string
		Amount               int64
		Source               ingest.Source
		Signed               bool
	}
	var got []sent
	for _, c := range w.drain() {
		got = append(got, sent{c.ClickID, c.Event, c.TxID, c.Amount, c.Source, c.Signed})
	}
	if diff := cmp.Diff([]sent{
		{id, "sale", "Zoë & 1", 499000, ingest.FromPixel, false},
		{id, "lead", "2", 0, ingest.FromPixel, false},
		{id, "lead", "L 1", 0, ingest.FromPixel, true},
	}, got); diff != "" {
		t.Errorf("conversions -want +got\n%s", diff)
	}
}

// bracketed joins the texts in square brackets outside scripts.
func bracketed(dom string) (out string) {
	_, dom, _ = strings.Cut(dom, "</script>")
	for {
		_, rest, found := strings.Cut(dom, "[")
		if !found {
			return out
		}
		text, after, _ := strings.Cut(rest, "]")
		out, dom = out+"["+text+"]", after
	}
}
