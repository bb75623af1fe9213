package control_test

import (
	"net/http"
	"strings"
	"testing"

	"carom/control"
)

// Reports know brands, campaigns and creators by key: none gets the key of one that was deleted, over the API or from a file, whether
// the process has seen the deletion or read of it.
func TestKeysOfTheDeletedAreNotGivenAgain(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("brands", "brand,name,currency", "other,Other,USD", "third,Third,USD")
	c := w.caller(w.serve(), control.Admin)
	deleted := []struct{ kind, column, key, object, file string }{
		{"brands", "brand", "third", `{"brand":"third","name":"New","currency":"USD"}`, csv("brand,name,currency", "third,New,USD")},
		{"influencers", "influencer", "tom", `{"influencer":"tom","name":"New"}`, csv("influencer,name", "tom,New")},
		{
			"campaigns", "campaign", "boots", `{"campaign":"boots","brand":"acme","name":"New","destination":"https://acme-goods.example/"}`,
			csv("campaign,brand,name,destination", "boots,acme,New,https://acme-goods.example/"),
		},
	}
	for _, d := range deleted {
		c.must(http.StatusNoContent, "DELETE", "/"+d.kind+"/"+d.key, "")
	}
	refused := func() {
		t.Helper()
		for _, d := range deleted {
			got := c.do("POST", "/"+d.kind, d.object)
			if got.status != http.StatusConflict || !strings.Contains(got.body, `"location":"body.`+d.column+`"`) || !strings.Contains(got.body, "taken for good") {
				t.Errorf("POST /%s with a deleted one's key: %d %s", d.kind, got.status, got.body)
			}
			rejected := w.run(control.LocalScope(), d.kind, d.file).Rejected
			if len(rejected) != 1 || rejected[0].Column != d.column || rejected[0].Value != d.key || !strings.Contains(rejected[0].Reason, "taken for good") {
				t.Errorf("import of %s with a deleted one's key: rejected %+v", d.kind, rejected)
			}
		}
	}
	refused()
	w.restart()
	c = w.caller(w.serve(), control.Admin)
	refused()
	// A campaign's key is its brand's: another brand may have one of the same key.
	c.must(http.StatusCreated, "POST", "/campaigns", `{"campaign":"boots","brand":"other","name":"Boots","destination":"https://other-goods.example/"}`)
	// A link's key and a domain's host are free again: links have numbers of their own, and a host leads where its owner says.
	const link = `{"link":"spring","domain":"go.acme.example","campaign":"tents","influencer":"lena"}`
	c.must(http.StatusCreated, "POST", "/links", link)
	c.must(http.StatusNoContent, "DELETE", "/links/spring", "")
	c.must(http.StatusCreated, "POST", "/links", link).has(t, `{"number":2}`)
}
