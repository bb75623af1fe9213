package control_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carom/control"
)

// TestBrandsDoNotSeeEachOther asks for what another brand has and for what nobody has: the answers are the same, the names aside.
func TestBrandsDoNotSeeEachOther(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := w.caller(w.serve(), control.Admin, "acme")
	link := func(domain, campaign string) string {
		return fmt.Sprintf(`{"link":"l9","domain":"%s","campaign":"%s","influencer":"lena"}`, domain, campaign)
	}
	const theirs, absent = "other", "othex"
	name := strings.NewReplacer("other", absent, "hats", "hatx", "o2", "ox", "lena-1", "lena-x")
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/brands/other", ""},
		{"PATCH", "/brands/other", `{"name":"Mine"}`},
		{"DELETE", "/brands/other", ""},
		{"POST", "/brands", `{"brand":"other","name":"Mine","currency":"EUR"}`},
		{"GET", "/domains/go.other.example", ""},
		{"PATCH", "/domains/go.other.example", `{"vanity":"open"}`},
		{"DELETE", "/domains/go.other.example", ""},
		{"GET", "/domains?brand=other", ""},
		{"POST", "/domains", `{"host":"new.other.example","brand":"other"}`},
		{"GET", "/campaigns/hats", ""},
		{"GET", "/campaigns/hats?brand=other", ""},
		{"GET", "/campaigns/boots?brand=other", ""},
		{"PATCH", "/campaigns/hats", `{"goal":"mine"}`},
		{"PATCH", "/campaigns/boots?brand=other", `{"goal":"mine"}`},
		{"DELETE", "/campaigns/hats", ""},
		{"DELETE", "/campaigns/boots?brand=other", ""},
		{"GET", "/campaigns?brand=other", ""},
		{"POST", "/campaigns", `{"campaign":"hats","brand":"other","name":"Mine","destination":"https://a.example/"}`},
		{"GET", "/links/o2", ""},
		{"GET", "/links/o2?brand=other", ""},
		{"PATCH", "/links/o2", `{"slug":"mine"}`},
		{"DELETE", "/links/o2", ""},
		{"DELETE", "/links/l1?brand=other", ""},
		{"GET", "/links?brand=other", ""},
		{"GET", "/links?campaign=hats", ""},
		{"GET", "/links?domain=go.other.example", ""},
		{"POST", "/links", link("go.other.example", "boots")},
		{"POST", "/links", link("go.acme.example", "hats")},
		{"POST", "/links/bulk", "[" + link("go.other.example", "boots") + "," + link("go.acme.example", "hats") + "]"},
		{"POST", "/links/token", `{"domain":"go.other.example","campaign":"boots","influencer":"lena"}`},
		{"POST", "/links/token", `{"domain":"go.acme.example","campaign":"hats","influencer":"lena"}`},
	} {
		before := w.tableRows()
		got, none := c.do(r.method, r.path, r.body), c.do(r.method, name.Replace(r.path), name.Replace(r.body))
		if got.status != none.status || name.Replace(got.body) != none.body {
			t.Errorf("%s %s %s: %d %s; what nobody has: %d %s", r.method, r.path, r.body, got.status, got.body, none.status, none.body)
		}
		if diff := cmp.Diff(before, w.tableRows()); diff != "" {
			t.Errorf("%s %s changed something:\n%s", r.method, r.path, diff)
		}
	}
	for _, list := range []string{"/brands", "/domains", "/campaigns", "/links"} {
		if got := c.must(http.StatusOK, "GET", list, ""); strings.Contains(got.body, theirs) || strings.Contains(got.body, "hats") {
			t.Errorf("%s shows another brand's: %s", list, got.body)
		}
	}
	// A slug of the other brand is free here, and a key of both is this one's.
	c.must(http.StatusCreated, "POST", "/links", `{"link":"l9","domain":"go.acme.example","campaign":"boots","influencer":"lena","slug":"lena-1"}`)
	c.must(http.StatusOK, "PATCH", "/campaigns/boots", `{"goal":"mine"}`).has(t, `{"brand":"acme"}`)
	c.must(http.StatusOK, "GET", "/links/l1", "").has(t, `{"brand":"acme"}`)
}

func TestRolesOfObjects(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	server := w.serve()
	analyst, editor, admin := w.caller(server, control.Analyst), w.caller(server, control.Editor), w.caller(server, control.Admin)
	ofAcme := w.caller(server, control.Admin, "acme")
	brand := `{"brand":"third","name":"Third","currency":"EUR"}`
	for _, r := range []struct {
		why                string
		who                caller
		method, path, body string
		status             int
	}{
		{"analysts read", analyst, "GET", "/campaigns", "", 200},
		{"and change nothing", analyst, "PATCH", "/links/l2", `{}`, 403},
		{"nor delete", analyst, "DELETE", "/links/l2", "", 403},
		{"nor create", analyst, "POST", "/links/bulk", `[]`, 403},
		{"editors change", editor, "PATCH", "/links/l2", `{"coupon":"x"}`, 200},
		{"also brands", editor, "PATCH", "/brands/acme", `{"name":"Acme Ltd"}`, 200},
		{"but do not add them", editor, "POST", "/brands", brand, 403},
		{"nor delete them", editor, "DELETE", "/brands/acme", "", 403},
		{"an admin of some brands adds none", ofAcme, "POST", "/brands", brand, 403},
		{"nor deletes its own", ofAcme, "DELETE", "/brands/acme", "", 403},
		{"creators are everybody's to add", ofAcme, "POST", "/influencers", `{"influencer":"mia","name":"Mia"}`, 201},
		{"and to see", ofAcme, "GET", "/influencers/lena", "", 200},
		{"but not to change", ofAcme, "PATCH", "/influencers/lena", `{"name":"Helena"}`, 403},
		{"nor to delete", ofAcme, "DELETE", "/influencers/mia", "", 403},
		{"admins of all brands do", admin, "DELETE", "/influencers/mia", "", 204},
		{"and add brands", admin, "POST", "/brands", brand, 201},
		{"and delete them", admin, "DELETE", "/brands/third", "", 204},
	} {
		if got := r.who.do(r.method, r.path, r.body); got.status != r.status {
			t.Errorf("%s: %s %s: %d %s, want %d", r.why, r.method, r.path, got.status, got.body, r.status)
		}
	}
	rejected := w.run(control.Scope{Role: control.Editor, All: true}, "brands", csv("brand,name,currency", "third,Third,EUR")).Rejected
	if len(rejected) != 1 || !strings.Contains(rejected[0].Reason, "needs the role admin") {
		t.Errorf("an editor's import of a new brand: %+v", rejected)
	}
}

// A token of a brand that was deleted is worth nothing, and no other brand gets its key, under which reports show what it did.
func TestTokenOfADeletedBrand(t *testing.T) {
	w := newWorld(t)
	server := w.serve()
	c := w.caller(server, control.Admin)
	const brand = `{"brand":"acme","name":"Acme","currency":"EUR"}`
	c.must(http.StatusCreated, "POST", "/brands", brand)
	old := w.caller(server, control.Admin, "acme")
	c.must(http.StatusNoContent, "DELETE", "/brands/acme", "")
	c.must(http.StatusConflict, "POST", "/brands", brand)
	old.must(http.StatusNotFound, "GET", "/brands/acme", "")
	if list := old.must(http.StatusOK, "GET", "/brands", ""); strings.Contains(list.body, "acme") {
		t.Errorf("it sees %s", list.body)
	}
}
