package control_test

import (
	"archive/zip"
	"net/http"
	"strings"
	"testing"

	"carom/control"
	"carom/control/qr/qrtest"
)

func TestQRCodesOfTheAPI(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	api := w.serve() + "/api/v1"
	everything, acme := w.token(control.Analyst), w.token(control.Analyst, "acme")
	link, err := w.Link(t.Context(), control.LocalScope(), "other", "l1")
	if err != nil {
		t.Fatal(err)
	}

	got := ask(t, http.MethodGet, api+"/links/l1/qr?brand=other", everything, "")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "image/png" {
		t.Fatalf("%+v", got)
	}
	if read, err := qrtest.DecodePNG(strings.NewReader(got.body)); err != nil || read != link.ShortURL {
		t.Errorf("the code of %s reads as %q, %v", link.ShortURL, read, err)
	}
	got = ask(t, http.MethodGet, api+"/links/l2/qr?format=svg&level=H&size=64", acme, "")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(got.body, "<svg ") {
		t.Errorf("SVG: %+v", got)
	}

	got = ask(t, http.MethodGet, api+"/campaigns/boots/qr.zip", acme, "")
	archive, err := zip.NewReader(strings.NewReader(got.body), int64(len(got.body)))
	if err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name)
	}
	if list := strings.Join(names, " "); list != "l1.png l2.png links.csv" || got.header.Get("Content-Type") != "application/zip" {
		t.Errorf("zip of %s, %v", list, got.header)
	}

	if _, _, err := w.RotateKey(t.Context(), control.LocalScope(), "other", "code"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RetireKey(t.Context(), control.LocalScope(), "other", "code", "0"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		why, path, token string
		status           int
		says             string
	}{
		{"another brand's link", "/links/o2/qr", acme, http.StatusNotFound, `link \"o2\": not found`},
		{"a link that is not there", "/links/none/qr", acme, http.StatusNotFound, `link \"none\": not found`},
		{"a key of two brands", "/links/l1/qr", everything, http.StatusConflict, "several brands have it"},
		{"a retired key", "/links/o2/qr", everything, http.StatusConflict, "its key is retired"},
		{"another brand's campaign", "/campaigns/hats/qr.zip", acme, http.StatusNotFound, `campaign \"hats\": not found`},
		{"too small", "/links/l2/qr?size=30", acme, http.StatusUnprocessableEntity, `"location":"query.size"`},
		{"too large for a zip", "/campaigns/boots/qr.zip?size=100000", acme, http.StatusUnprocessableEntity, `"location":"query.size"`},
		{"another format", "/links/l2/qr?format=gif", acme, http.StatusUnprocessableEntity, "query.format"},
		{"no token", "/links/l2/qr", "", http.StatusUnauthorized, "bearer token"},
	} {
		if got := ask(t, http.MethodGet, api+test.path, test.token, ""); got.status != test.status || !strings.Contains(got.body, test.says) {
			t.Errorf("%s: %d %s, want %d and %q", test.why, got.status, got.body, test.status, test.says)
		}
	}
}
