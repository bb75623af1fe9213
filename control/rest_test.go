package control_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"carom/control"
)

// A caller asks the API of a world with one token.
type caller struct {
	t             testing.TB
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
func (a answer) fields(t testing.TB) map[string]any {
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
		c.keepsWhatItTells(o.path)
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

// keepsWhatItTells sends an answer back, without the fields that are only told: nothing may change.
func (c caller) keepsWhatItTells(path string) {
	c.t.Helper()
	told := c.must(http.StatusOK, "GET", path, "")
	fields := told.fields(c.t)
	for name, value := range fields {
		body := string(must(json.Marshal(map[string]any{name: value})))
		if got := c.do("PATCH", path, body); strings.Contains(got.body, "only told") {
			delete(fields, name)
		} else if got.status != http.StatusOK || got.body != told.body {
			c.t.Errorf("PATCH %s %s, which it told: %d %s", path, body, got.status, got.body)
		}
	}
	if _, told := fields["updated"]; told || len(fields) < 5 {
		c.t.Errorf("%s: fields that can be set are %v", path, fields)
	}
	if again := c.must(http.StatusOK, "PATCH", path, string(must(json.Marshal(fields)))); again.header.Get("ETag") != told.header.Get("ETag") {
		c.t.Errorf("PATCH %s with all that it told changed it to %s", path, again.body)
	}
}

// curl -d calls every body a form; what it sends is read as the JSON it is.
func TestBodiesAsCurlSendsThem(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	c := w.caller(w.serve(), control.Admin)
	for path, body := range map[string]string{
		"/links":       `{"link":"a","domain":"go.acme.example","campaign":"boots","influencer":"lena"}`,
		"/links/token": `{"domain":"go.acme.example","campaign":"boots","influencer":"lena"}`,
		"/keys":        `{"brand":"acme","kind":"postback"}`,
		"/disable":     `{"campaign":"boots"}`,
	} {
		if got := c.do("POST", path, body, "Content-Type", "application/x-www-form-urlencoded"); got.status >= http.StatusMultipleChoices {
			t.Errorf("POST %s: %d %s", path, got.status, got.body)
		}
	}
}

// A refusal names the field, and says in one sentence what to do.
func TestRefusedFieldsAreNamed(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := w.caller(w.serve(), control.Admin)
	const link = `"link":"new","domain":"go.acme.example","campaign":"boots","influencer":"lena"`
	for _, r := range []struct {
		why, method, path, body string
		status                  int
		location, says          string
	}{
		{"not JSON", "POST", "/brands", `{"brand":`, 400, "body", "cannot be read"},
		{"not an object", "POST", "/brands", `["acme"]`, 400, "body", "must be a JSON object"},
		{"null", "POST", "/brands", `null`, 400, "body", "must be a JSON object"},
		{"a field twice", "POST", "/brands", `{"brand":"a","brand":"b"}`, 400, "body", `the field \"brand\" twice`},
		{"a misspelt field", "POST", "/links", `{` + link + `,"slugg":"abc"}`, 422, "body.slugg", `did you mean \"slug\"?`},
		{"a field that is only told", "POST", "/links", `{` + link + `,"state":"live"}`, 422, "body.state", "only told"},
		{"a switch that is not there", "PATCH", "/campaigns/hats", `{"enabled":false}`, 422, "body.enabled", "only told"},
		{"a required field is missing", "POST", "/brands", `{"brand":"a","name":"A"}`, 422, "body.currency", "is required"},
		{"a key is missing", "POST", "/links", `{"domain":"go.acme.example"}`, 422, "body.link", "is required"},
		{"a required field is cleared", "PATCH", "/brands/acme", `{"name":null}`, 422, "body.name", "is required"},
		{"more than one object takes", "POST", "/brands", `{"brand":"` + strings.Repeat("a", 1<<20) + `"}`, 413, "", "too large"},
		{"a number for a text", "PATCH", "/brands/acme", `{"name":5}`, 422, "body.name", "must be a string"},
		{"a text for a number", "PATCH", "/brands/acme", `{"hold_days":"5"}`, 422, "body.hold_days", "must be a whole number"},
		{"half a day", "PATCH", "/brands/acme", `{"hold_days":0.5}`, 422, "body.hold_days", "whole number from 0 to 365"},
		{"a text for a flag", "PATCH", "/links/l2", `{"enabled":"true"}`, 422, "body.enabled", "true or false"},
		{"a text for a list", "PATCH", "/brands/acme", `{"app_schemes":"myapp"}`, 422, "body.app_schemes", "a list of words"},
		{"two words in one", "PATCH", "/brands/acme", `{"app_schemes":["my app"]}`, 422, "body.app_schemes", "without blanks"},
		{"a text for a document", "PATCH", "/domains/go.acme.example", `{"assetlinks":"[]"}`, 422, "body.assetlinks", "a JSON list"},
		{"a day that is none", "PATCH", "/links/l2", `{"expires":"2026-02-30"}`, 422, "body.expires", "must be a day"},
		{"an exponent", "PATCH", "/links/l2", `{"fee":1e3}`, 422, "body.fee", "plain decimal"},
		{"invalid UTF-8", "PATCH", "/brands/acme", "{\"name\":\"\xff\"}", 422, "body.name", "not valid UTF-8"},
		{"a script for an address", "PATCH", "/links/l2", `{"destination":"javascript:alert(1)"}`, 422, "body.destination", "javascript"},
		{"another host", "PATCH", "/domains/go.acme.example", `{"host":"go2.acme.example"}`, 422, "body.host", "cannot change"},
		{"another campaign", "PATCH", "/links/l2", `{"campaign":"hats"}`, 422, "body.campaign", "cannot change"},
		{"a key that is a path of the API", "POST", "/links", `{"link":"export","domain":"go.acme.example","campaign":"boots","influencer":"lena"}`, 422, "body.link", "is reserved"},
		{"an unknown domain to mint on", "POST", "/links/token", `{"domain":"go.absent.example","campaign":"boots","influencer":"lena"}`, 422, "body.domain", "is unknown"},
		{"an unknown campaign", "POST", "/links", `{"link":"new","domain":"go.acme.example","campaign":"x","influencer":"lena"}`, 422, "body.campaign", "unknown"},
		{"a slug that another link has", "POST", "/links", `{` + link + `,"slug":"lena-2"}`, 409, "body.slug", "is taken"},
		{"a host that another brand has", "POST", "/domains", `{"host":"go.acme.example","brand":"other"}`, 422, "body.brand", "cannot change"},
		{"a campaign that several brands have", "PATCH", "/campaigns/boots", `{}`, 409, "", "name the brand"},
		{"a campaign with links", "DELETE", "/campaigns/hats", "", 409, "", `campaign \"hats\" has 1 link: delete`},
		{"a domain with links", "DELETE", "/domains/go.acme.example", "", 409, "", "has 2 links"},
		{"a creator with links", "DELETE", "/influencers/lena", "", 409, "", "has 4 links"},
		{"a brand with both", "DELETE", "/brands/other", "", 409, "", "has 1 domain and 2 campaigns"},
		{"a cursor of nobody", "GET", "/campaigns?cursor=%25", "", 422, "query.cursor", "not a cursor"},
		{"a filter by what is not there", "GET", "/domains?brand=nobody", "", 404, "", "not found"},
		{"a brand's brand", "GET", "/brands/acme?brand=acme", "", 422, "query.brand", "unknown query parameter"},
		{"not a list", "POST", "/links/bulk", `{}`, 400, "body", "must be a JSON list"},
		{"too long a list", "POST", "/links/bulk", "[" + strings.Repeat("{},", control.ChunkRows) + "{}]", 400, "body", "more than 10000 objects"},
	} {
		got := c.do(r.method, r.path, r.body)
		if got.status != r.status || !strings.Contains(got.body, r.says) || !strings.Contains(got.body, `"location":"`+r.location+`"`) && r.location != "" {
			t.Errorf("%s: %d %s, want %d at %q …%s…", r.why, got.status, got.body, r.status, r.location, r.says)
		}
		if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s: content type %s", r.why, kind)
		}
	}
}

func TestETags(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := w.caller(w.serve(), control.Admin)
	const path = "/links/l2"
	first := c.must(http.StatusOK, "GET", path, "").header.Get("ETag")
	for _, match := range []string{first, "W/" + first, `"x", ` + first, "*"} {
		if got := c.do("GET", path, "", "If-None-Match", match); got.status != http.StatusNotModified || got.body != "" || got.header.Get("ETag") != first {
			t.Errorf("GET of what %s names: %+v", match, got)
		}
		if got := c.do("PATCH", path, `{}`, "If-Match", match); got.status != http.StatusOK || got.header.Get("ETag") != first {
			t.Errorf("empty PATCH of what %s names: %+v", match, got)
		}
	}
	second := c.must(http.StatusOK, "PATCH", path, `{"coupon":"x"}`, "If-Match", first).header.Get("ETag")
	for _, method := range []string{"PATCH", "DELETE"} {
		got := c.do(method, path, map[string]string{"PATCH": `{"coupon":"y"}`}[method], "If-Match", first)
		if got.status != http.StatusPreconditionFailed || !strings.Contains(got.body, `"location":"header.If-Match"`) {
			t.Errorf("%s of what has changed: %d %s", method, got.status, got.body)
		}
	}
	// What is told of a link changes with its campaign, the link itself does not.
	c.must(http.StatusOK, "POST", "/disable", `{"brand":"acme","campaign":"boots"}`)
	if got := c.do("GET", path, "", "If-None-Match", second); got.status != http.StatusOK || !strings.Contains(got.body, `"state":"disabled (campaign)"`) {
		t.Errorf("GET after its campaign was stopped: %d %s", got.status, got.body)
	}
	c.must(http.StatusOK, "PATCH", path, `{"coupon":"z"}`, "If-Match", second).has(t, `{"coupon":"Z"}`)
}

// Two who edit at the same time both count: the slower one is told and tries again.
func TestConcurrentEdits(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	c := w.caller(w.serve(), control.Admin)
	const editors, rounds = 4, 5
	var all sync.WaitGroup
	for range editors {
		all.Go(func() {
			for done := 0; done < rounds; {
				seen := c.do("GET", "/campaigns/boots", "")
				var campaign struct{ Goal string }
				if err := json.Unmarshal([]byte(seen.body), &campaign); err != nil {
					t.Error(err)
					return
				}
				patch := fmt.Sprintf(`{"goal":"%s+"}`, campaign.Goal)
				switch got := c.do("PATCH", "/campaigns/boots", patch, "If-Match", seen.header.Get("ETag")); got.status {
				case http.StatusOK:
					done++
				case http.StatusPreconditionFailed:
				default:
					t.Errorf("%d %s", got.status, got.body)
					return
				}
			}
		})
	}
	all.Wait()
	c.must(http.StatusOK, "GET", "/campaigns/boots", "").has(t, `{"goal":"`+strings.Repeat("+", editors*rounds)+`"}`)
}

// A slug that was printed for a creator leads nowhere or to that creator, never to another one. A number never serves again.
func TestWhatADeletedLinkLeaves(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	c := w.caller(w.serve(), control.Editor)
	link := func(key, creator string) string {
		return fmt.Sprintf(`{"link":"%s","domain":"go.acme.example","campaign":"boots","influencer":"%s","slug":"spring"}`, key, creator)
	}
	c.must(http.StatusCreated, "POST", "/links", link("first", "lena"))
	c.must(http.StatusNoContent, "DELETE", "/links/first", "")
	if got := c.do("POST", "/links", link("second", "tom")); got.status != http.StatusConflict || !strings.Contains(got.body, `printed for creator \"lena\"`) {
		t.Errorf("the slug for another creator: %d %s", got.status, got.body)
	}
	c.must(http.StatusCreated, "POST", "/links", link("first", "lena")).has(t, `{"number":2,"slug":"spring"}`)
	// Who takes a slug from a link before deleting it says that it is free. The earlier tombstone still has this one.
	c.must(http.StatusOK, "PATCH", "/links/first", `{"slug":"summer"}`)
	c.must(http.StatusOK, "PATCH", "/links/first", `{"slug":null}`)
	c.must(http.StatusNoContent, "DELETE", "/links/first", "")
	if got := c.do("POST", "/links", link("third", "tom")); got.status != http.StatusConflict {
		t.Errorf("the first deletion is forgotten: %d %s", got.status, got.body)
	}
	c.must(http.StatusCreated, "POST", "/links", strings.Replace(link("third", "tom"), "spring", "summer", 1))
	if rows := one[uint64](w, "SELECT count() FROM links FINAL WHERE deleted"); rows != 2 {
		t.Errorf("%d tombstones, want 2", rows)
	}
	// Nor does the host forget when it is deleted and made again.
	c.must(http.StatusNoContent, "DELETE", "/links/third", "")
	c.must(http.StatusNoContent, "DELETE", "/domains/go.acme.example", "")
	c.must(http.StatusCreated, "POST", "/domains", `{"host":"go.acme.example","brand":"acme"}`)
	if got := c.do("POST", "/links", link("fourth", "tom")); got.status != http.StatusConflict {
		t.Errorf("the slug for another creator on the same host, made again: %d %s", got.status, got.body)
	}
	c.must(http.StatusCreated, "POST", "/links", link("fourth", "lena"))
}

// The description holds every column of the import files with a type, and what is told besides.
func TestDescriptionHasTheFieldsOfObjects(t *testing.T) {
	w := newWorld(t)
	var description struct {
		Components struct {
			Schemas map[string]struct {
				Required   []string
				Properties map[string]struct {
					Type                any
					OneOf               []any
					ReadOnly, WriteOnly bool
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(ask(t, "GET", w.serve()+"/api/v1/openapi.json", "", "").body), &description); err != nil {
		t.Fatal(err)
	}
	for kind, name := range map[string]string{"brands": "Brand", "domains": "Domain", "influencers": "Influencer", "campaigns": "Campaign", "links": "Link"} {
		whole, patch := description.Components.Schemas[name], description.Components.Schemas[name+"Patch"]
		for _, column := range control.Columns(kind) {
			field, required := strings.CutSuffix(column, "*")
			p, ok := whole.Properties[field]
			if !ok || p.Type == nil && p.OneOf == nil || p.ReadOnly || required != slices.Contains(whole.Required, field) {
				t.Errorf("%s.%s is described as %+v", name, field, p)
			}
			if _, ok := patch.Properties[field]; !ok || len(patch.Required) > 0 {
				t.Errorf("%sPatch lacks %s, or requires %v", name, field, patch.Required)
			}
		}
		if !whole.Properties["updated"].ReadOnly {
			t.Errorf("%s.updated is not read-only", name)
		}
	}
	if state := description.Components.Schemas["Link"].Properties["state"]; !state.ReadOnly || state.Type != "string" {
		t.Errorf("Link.state is described as %+v", state)
	}
}
