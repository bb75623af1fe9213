package control_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"carom/control"
)

// A caller asks the API of a world with one token.
type caller struct {
	t             *testing.T
	server, token string
}

func (w *world) caller(server string, role control.Role, brands ...string) caller {
	return caller{w.t, server + "/api/v1", w.token(role, brands...)}
}

// do sends a request; headers are names and values in turn.
func (c caller) do(method, path, body string, headers ...string) answer {
	c.t.Helper()
	return ask(c.t, method, c.server+path, c.token, body, headers...)
}

// must is do where anything but the status given ends the test.
func (c caller) must(status int, method, path, body string, headers ...string) answer {
	c.t.Helper()
	got := c.do(method, path, body, headers...)
	if got.status != status {
		c.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, got.status, got.body, status)
	}
	return got
}

// fields reads an answer that is a JSON object.
func (a answer) fields(t *testing.T) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(a.body), &fields); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return fields
}

// has reports whether the answer's object has these fields; others do not matter.
func (a answer) has(t *testing.T, want string) {
	t.Helper()
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	got := a.fields(t)
	for name, value := range wanted {
		if is, _ := json.Marshal(got[name]); string(is) != string(must(json.Marshal(value))) {
			t.Errorf("%s is %s, want %v; in %s", name, is, value, a.body)
		}
	}
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

// Every object is created, shown, listed, changed and deleted.
func TestObjectsOverTheAPI(t *testing.T) {
	w := newWorld(t)
	c := w.caller(w.serve(), control.Admin)
	for _, o := range []struct{ list, path, create, created, patch, patched string }{
		{
			"/brands", "/brands/acme", `{"brand":"acme","name":"Acme","currency":"EUR","destination_hosts":["shop.acme-goods.example"]}`,
			`{"timezone":"UTC","attribution_days":30,"unsigned_pixel":false,"app_schemes":[],"updated":"2026-03-10T12:00:00Z"}`,
			`{"name":"Acme Ltd","attribution_days":7,"unsigned_pixel":true,"destination_hosts":[]}`,
			`{"brand":"acme","name":"Acme Ltd","currency":"EUR","attribution_days":7,"unsigned_pixel":true,"destination_hosts":[]}`,
		},
		{
			"/domains", "/domains/go.acme.example", `{"host":"GO.acme.example","brand":"acme","home_url":"https://acme-goods.example/","default":true}`,
			`{"host":"go.acme.example","brand":"acme","vanity":"open","assetlinks":null,"default":true}`,
			`{"vanity":"signed","home_url":null,"apple_app_site_association":{"applinks":{"details":[]}}}`,
			`{"vanity":"signed","home_url":"","apple_app_site_association":{"applinks":{"details":[]}},"default":true}`,
		},
		{
			"/influencers", "/influencers/lena", `{"influencer":"lena","name":"Lena","platform":"Instagram","followers":640}`,
			`{"platform":"instagram","followers":640,"enabled":true}`,
			`{"followers":8200,"as_of":"2026-03-09","country":"de"}`,
			`{"name":"Lena","followers":640,"country":"DE"}`,
		},
		{
			"/campaigns", "/campaigns/boots", `{"campaign":"boots","brand":"acme","name":"Boots","destination":"https://shop.acme-goods.example/boots","starts":"2026-01-01"}`,
			`{"click_id_param":"click_id","starts":"2026-01-01T00:00:00Z","ends":null,"enabled":true}`,
			`{"ends":"2026-12-31","utm_source":"{platform}","starts":null}`,
			`{"name":"Boots","starts":null,"ends":"2026-12-31T00:00:00Z","utm_source":"{platform}"}`,
		},
		{
			"/links", "/links/spring", `{"link":"spring","domain":"go.acme.example","campaign":"boots","influencer":"lena","coupon":"lena10","fee":12.5,"has_cta":true}`,
			`{"brand":"acme","number":1,"coupon":"LENA10","fee":"12.5000","currency":"EUR","destination":"","effective_destination":"https://shop.acme-goods.example/boots","effective_utm_source":"{platform}","expires":null,"enabled":true,"state":"live","has_cta":true,"warnings":[]}`,
			`{"fee":"13","coupon":"","destination":"https://shop.acme-goods.example/sale","expires":"2027-03-10T12:00:00Z","enabled":false}`,
			`{"fee":"13.0000","coupon":"","effective_destination":"https://shop.acme-goods.example/sale","expires":"2027-03-10T12:00:00Z","enabled":false,"state":"disabled"}`,
		},
	} {
		created := c.must(http.StatusCreated, "POST", o.list, o.create)
		created.has(t, o.created)
		if got := created.header.Get("Location"); !strings.HasPrefix(got, "/api/v1"+o.path) {
			t.Errorf("%s created at %q", o.path, got)
		}
		if got := c.do("POST", o.list, o.create); got.status != http.StatusConflict || !strings.Contains(got.body, "is taken") {
			t.Errorf("%s created twice: %d %s", o.path, got.status, got.body)
		}
		shown := c.must(http.StatusOK, "GET", o.path, "")
		if shown.body != created.body || shown.header.Get("ETag") != created.header.Get("ETag") {
			t.Errorf("%s is shown as\n%s %s, was created as\n%s %s", o.path, shown.body, shown.header.Get("ETag"), created.body, created.header.Get("ETag"))
		}
		if unchanged := c.must(http.StatusOK, "PATCH", o.path, `{}`); unchanged.body != shown.body {
			t.Errorf("%s after an empty patch: %s", o.path, unchanged.body)
		}
		c.must(http.StatusOK, "PATCH", o.path, o.patch).has(t, o.patched)
		c.must(http.StatusOK, "GET", o.path, "").has(t, o.patched)
		if list := c.must(http.StatusOK, "GET", o.list, ""); !strings.Contains(list.body, strings.TrimSuffix(c.must(http.StatusOK, "GET", o.path, "").body, "\n")) {
			t.Errorf("%s is not in its list: %s", o.path, list.body)
		}
	}
	w.restart()
	c = w.caller(w.serve(), control.Admin)
	for _, path := range []string{"/brands/acme", "/domains/go.acme.example", "/campaigns/boots", "/influencers/lena"} {
		if got := c.do("DELETE", path, ""); got.status != http.StatusConflict {
			t.Errorf("delete %s, on which others hang: %d %s", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/links/spring", "/campaigns/boots", "/influencers/lena", "/domains/go.acme.example", "/brands/acme"} {
		before := c.must(http.StatusOK, "GET", path, "").header.Get("ETag")
		c.must(http.StatusNoContent, "DELETE", path, "", "If-Match", before)
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			if got := c.do(method, path, map[string]string{"PATCH": "{}"}[method]); got.status != http.StatusNotFound {
				t.Errorf("%s %s after it was deleted: %d %s", method, path, got.status, got.body)
			}
		}
		kind := path[:strings.LastIndex(path, "/")]
		if list := c.must(http.StatusOK, "GET", kind, ""); list.body != `{"`+kind[1:]+`":[],"next":""}`+"\n" {
			t.Errorf("list of %s after the only one was deleted: %s", kind[1:], list.body)
		}
	}
}
