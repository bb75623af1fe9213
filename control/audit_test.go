package control_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/control"
	"carom/redirect"
)

// audit reads the audit as scope may see it, the oldest entry first, each as one line.
func (w *world) audit(scope control.Scope, filter control.AuditFilter) []string {
	w.t.Helper()
	var lines []string
	for cursor, more := "", true; more; more = cursor != "" {
		page, err := w.Audit(w.t.Context(), scope, filter, cursor, 3)
		if err != nil {
			w.t.Fatal(err)
		}
		cursor = page.Next
		for _, e := range page.Entries {
			line := fmt.Sprintf("%s %s %s/%s %s %d", e.Token, e.Action, e.Brand, e.Object, e.Key, e.Rows)
			for _, change := range e.Changes {
				line += fmt.Sprintf(" %s:%s>%s", change.Column, change.Before, change.After)
			}
			if !e.Stored {
				line += " not stored"
			}
			lines = append([]string{line}, lines...)
		}
	}
	return lines
}

// TestAuditTellsWhoChangedWhat does each sort of change once and reads the account of it.
func TestAuditTellsWhoChangedWhat(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	server := w.serve()
	token := w.token(control.Admin, "acme")
	c, begun := connect(t, server, token), len(w.audit(control.LocalScope(), control.AuditFilter{}))
	do := func(method, path, body string, status int) {
		t.Helper()
		if got := ask(t, method, server+"/api/v1"+path, token, body); got.status != status {
			t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do("PATCH", "/campaigns/boots", `{"destination":"https://acme-goods.example/new"}`, http.StatusOK)
	do("PATCH", "/campaigns/boots", `{"destination":"https://acme-goods.example/new"}`, http.StatusOK) // changes nothing
	do("PATCH", "/campaigns/hats", `{"name":"Ours"}`, http.StatusNotFound)
	_, err := c.Import(t.Context(), "links", 2, []byte(csv("link,domain,campaign,influencer,coupon",
		"l1,go.acme.example,boots,lena,A", "l3,go.acme.example,boots,lena,", "l4,go.acme.example,boots,lena,")))
	must(err)
	_, err = c.SetEnabled(t.Context(), control.Target{Campaign: "boots"}, false)
	must(err)
	key, err := c.NewKey(t.Context(), "acme", redirect.KeyPostback)
	must(err)
	_, err = c.RotateKey(t.Context(), "acme", redirect.KeyCode)
	must(err)
	_, err = c.RetireKey(t.Context(), "acme", redirect.KeyCode, "0")
	must(err)
	made, err := c.NewToken(t.Context(), control.TokenRequest{Name: "robot", Role: control.Editor, Brands: []string{"acme"}})
	must(err)
	must(c.RevokeToken(t.Context(), made.ID))
	do("DELETE", "/links/l2", "", http.StatusNoContent)

	got := w.audit(control.LocalScope(), control.AuditFilter{})[begun:]
	want := []string{
		"test update acme/campaigns boots 1 destination:https://acme-goods.example/>https://acme-goods.example/new",
		"test create acme/links  2",
		"test update acme/links l1 1",
		"test disable acme/campaigns boots 1",
		"test new acme/keys postback 1 1",
		"test rotate acme/keys code 1 2",
		"test retire acme/keys code 0 1",
		"test new acme/tokens " + made.ID + " 1",
		"test revoke acme/tokens " + made.ID + " 1",
		"test delete acme/links l2 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := one[uint64](w, "SELECT count() FROM audit WHERE position(toString(tuple(*)), ?) > 0 OR position(toString(tuple(*)), ?) > 0",
		key.Secret, made.Secret); n != 0 {
		t.Error("the audit holds a secret")
	}
	if n := one[uint64](w, "SELECT count() FROM audit FINAL WHERE version > 0 AND version NOT IN (SELECT version FROM (SELECT version FROM campaigns "+
		"UNION ALL SELECT version FROM links UNION ALL SELECT version FROM keys UNION ALL SELECT version FROM tokens UNION ALL SELECT version FROM brands "+
		"UNION ALL SELECT version FROM domains UNION ALL SELECT version FROM influencers))"); n != 0 {
		t.Errorf("%d entries name a version that no row has", n)
	}
	w.restart()
	w.load("influencers", "influencer,name", "tom,Tom")
	if again := w.audit(control.LocalScope(), control.AuditFilter{}); len(again) != begun+len(want)+1 {
		t.Errorf("%d entries after a restart and one change more, want %d", len(again), begun+len(want)+1)
	}
}

// TestAuditIsScoped: brand A sees nothing of brand B, and filters choose.
func TestAuditIsScoped(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	server := w.serve()
	acme, all := w.token(control.Admin, "acme"), w.token(control.Admin)
	w.token(control.Admin, "other")
	if _, err := connect(t, server, acme).Import(t.Context(), "influencers", 2, []byte(csv("influencer,name", "kim,Kim"))); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, server, all).SetEnabled(t.Context(), control.Target{Brand: "acme", Link: "l2"}, false); err != nil {
		t.Fatal(err)
	}
	list := func(token, query string) (page control.AuditPage, got answer) {
		got = ask(t, "GET", server+"/api/v1/audit?"+query, token, "")
		if err := json.Unmarshal([]byte(got.body), &page); err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
		return page, got
	}
	page, got := list(acme, "limit=1000")
	if strings.Contains(got.body, "other") || strings.Contains(got.body, "hats") || len(page.Entries) != 7 {
		t.Errorf("acme sees %d entries, want 7: %s", len(page.Entries), got.body)
	}
	if newest := page.Entries[0]; newest.Action != "disable" || newest.TokenID == "" || newest.Token != "" {
		t.Errorf("the name of a token for all brands is shown to one of them: %+v", newest)
	}
	for query, want := range map[string]int{
		"object=links":                     2,
		"object=links&key=l2":              1,
		"brand=acme":                       6,
		"token=" + page.Entries[0].TokenID: 1,
		"token=00000000":                   0,
		"from=" + day0.Add(time.Hour).Format(time.RFC3339): 0,
		"to=" + day0.Add(time.Hour).Format(time.RFC3339):   7,
	} {
		if page, _ := list(acme, query); len(page.Entries) != want {
			t.Errorf("%s: %d entries, want %d", query, len(page.Entries), want)
		}
	}
	for query, status := range map[string]int{
		"brand=other": http.StatusNotFound, "brand=none": http.StatusNotFound, "cursor=x": http.StatusUnprocessableEntity,
	} {
		if _, got := list(acme, query); got.status != status {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if _, got := list(w.token(control.Editor), ""); got.status != http.StatusForbidden {
		t.Errorf("an editor: %d", got.status)
	}
}
