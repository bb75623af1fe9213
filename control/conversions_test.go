package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carom/control"
	"carom/redirect"
)

// clickID makes the id of a click under a cluster key.
func (w *world) clickID(keyID string, link uint32, at time.Time) string {
	w.t.Helper()
	key, err := redirect.NewClickIDKey(w.secretOf(0, redirect.KeyClickID, keyID))
	if err != nil {
		w.t.Fatal(err)
	}
	var block [16]byte
	key.Seal(&block, redirect.Click{Link: link, Millis: at.UnixMilli()})
	return string(redirect.AppendClickID(nil, &block))
}

func TestConversionsAreAttributedByClickAndCoupon(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("links", "link,domain,campaign,influencer,coupon",
		"old,go.acme.example,boots,lena,SAVE10", "new,go.acme.example,tents,tom,SAVE10", "other,go.acme.example,boots,tom,")
	if _, _, err := w.RotateKey(t.Context(), control.LocalScope(), "", redirect.KeyClickID); err != nil {
		t.Fatal(err)
	}
	clicked := day0.Add(-time.Hour).Truncate(time.Second)
	file := csv("click_id,coupon,event,txid,amount,currency,ts,customer_id,status,ref_txid",
		w.clickID("1", 3, clicked)+",,,order-1,100.50,EUR,"+day0.Format(time.RFC3339)+",c1,,",
		w.clickID("2", 1, clicked)+",save10,lead,lead-1,,,,,pending,",
		",Save10,,order-2,20,EUR,2026-03-09,,approved,",
		",SAVE10,refund,refund-1,5,EUR,,,,order-2",
	)
	got := w.run(control.Scope{Role: control.Editor, Brands: []string{"acme"}}, "conversions", file)
	if countsOf(got) != (counts{created: 4}) {
		t.Fatalf("%+v", got)
	}
	rows := one[string](w, `SELECT arrayStringConcat(groupArray(row), '\n') FROM (SELECT concat_ws(' ', txid, event, toString(link_id),
		toString(brand_id), toString(campaign_id), toString(influencer_id), toString(amount), currency, toString(status), toString(ts), toString(click_ts),
		customer_id, coupon, ref_txid, toString(source), toString(signed)) AS row FROM conversions ORDER BY txid)`)
	want := strings.Join([]string{
		"lead-1 lead 1 1 1 1 0 EUR pending 2026-03-10 12:00:00.000 2026-03-10 11:00:00.000  SAVE10  import true",
		"order-1 sale 3 1 1 2 100.5 EUR approved 2026-03-10 12:00:00.000 2026-03-10 11:00:00.000 c1   import true",
		"order-2 sale 2 1 2 2 20 EUR approved 2026-03-09 00:00:00.000 2026-03-09 00:00:00.000  SAVE10  import true",
		"refund-1 refund 2 1 2 2 5 EUR approved 2026-03-10 12:00:00.000 2026-03-10 12:00:00.000  SAVE10 order-2 import true",
	}, "\n")
	if rows != want {
		t.Errorf("stored\n%s\nwant\n%s", rows, want)
	}
	if again := w.run(control.LocalScope(), "conversions", file); countsOf(again) != (counts{unchanged: 4}) {
		t.Errorf("the same file again: %+v", again)
	}
	changed := csv("coupon,txid,amount,currency,status", "SAVE10,order-2,20,EUR,rejected", "SAVE10,order-2,20,EUR,rejected", "SAVE10,order-2,99,EUR,approved")
	if got := w.run(control.LocalScope(), "conversions", changed); countsOf(got) != (counts{created: 2, unchanged: 1}) {
		t.Errorf("another status and another amount are kept, a repeat is not: %+v", got)
	}
}

func TestConversionsAreRejected(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	w.load("links", "link,domain,campaign,influencer,coupon", "c1,go.acme.example,boots,lena,BOTH", "c2,go.other.example,boots,lena,BOTH",
		"c3,go.acme.example,boots,lena,OURS", "c4,go.other.example,boots,lena,THEIRS")
	recent, old := w.clickID("1", 1, day0.Add(-time.Hour)), w.clickID("1", 1, day0.AddDate(0, 0, -31))
	foreign, absent := w.clickID("1", 3, day0.Add(-time.Hour)), w.clickID("1", 999, day0.Add(-time.Hour))
	acme := control.Scope{Role: control.Editor, Brands: []string{"acme"}}
	const header = "click_id,coupon,txid,event,amount,currency,ts,status,ref_txid"
	for _, c := range []struct {
		why, row, column, reason string
	}{
		{"no txid", recent + ",,,,,,,,", "txid", "is required"},
		{"neither click nor coupon", ",,t1,,,,,,", "click_id", "or coupon is required"},
		{"a forged click id", strings.Repeat("A", 22) + ",,t1,,,,,,", "click_id", "is not a click id of this cluster"},
		{"a truncated click id", recent[:21] + ",,t1,,,,,,", "click_id", "is not a click id of this cluster"},
		{"a click of another brand", foreign + ",,t1,,,,,,", "click_id", "is not a click id of this cluster"},
		{"a click of no link", absent + ",,t1,,,,,,", "click_id", "is not a click id of this cluster"},
		{"a click too old", old + ",,t1,,,,,,", "click_id", "the brand attributes for 30 days"},
		{"a sale before its click", recent + ",,t1,,,,2026-03-01,,", "ts", "is earlier than the click"},
		{"a sale to come", recent + ",,t1,,,,2026-03-11,,", "ts", "is in the future"},
		{"an unknown coupon", ",NOPE,t1,,,,,,", "coupon", "is unknown"},
		{"another brand's coupon", ",THEIRS,t1,,,,,,", "coupon", "is unknown"},
		{"a negative amount", recent + ",,t1,,-1,EUR,,,", "amount", "plain decimal number"},
		{"not a number", recent + ",,t1,,NaN,EUR,,,", "amount", "plain decimal number"},
		{"infinite", recent + ",,t1,,Inf,EUR,,,", "amount", "plain decimal number"},
		{"an exponent", recent + ",,t1,,1e3,EUR,,,", "amount", "plain decimal number"},
		{"too large", recent + ",,t1,,1000000000000,EUR,,,", "amount", "12 digits before the point"},
		{"too precise", recent + ",,t1,,1.001,EUR,,,", "amount", "EUR has 2"},
		{"a sale of no amount", recent + ",,t1,,,EUR,,,", "amount", "is required by a sale"},
		{"no currency", recent + ",,t1,,1,,,,", "currency", "is required with an amount"},
		{"another currency", recent + ",,t1,,1,USD,,,", "currency", "must be EUR, the brand's currency"},
		{"an unknown status", recent + ",,t1,,1,EUR,,paid,", "status", "must be one of pending, approved, rejected"},
		{"a refund of nothing", recent + ",,t1,refund,1,EUR,,,", "ref_txid", "is required by a refund"},
	} {
		got := w.run(acme, "conversions", csv(header, c.row))
		if len(got.Rejected) != 1 || got.Rejected[0].Column != c.column || !strings.Contains(got.Rejected[0].Reason, c.reason) {
			t.Errorf("%s: %+v, want %s …%s…", c.why, got, c.column, c.reason)
		}
	}
	late := w.run(acme, "conversions", csv(header, old+",,t1,,1,EUR,,rejected,", old+",,t2,refund,1,EUR,,,t1"))
	if countsOf(late) != (counts{created: 2}) {
		t.Errorf("what takes money back is never too late: %+v", late)
	}
	got := w.run(control.LocalScope(), "conversions", csv(header, ",BOTH,t1,,,,,,"))
	if len(got.Rejected) != 1 || !strings.Contains(got.Rejected[0].Reason, "is ambiguous: brands acme, other") {
		t.Errorf("a coupon of two brands: %+v", got)
	}
	if n := one[uint64](w, "SELECT count() FROM conversions"); n != 2 {
		t.Errorf("%d conversions stored of 2 that were accepted", n)
	}
}

func TestPostsAreStoredPerDay(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	const header = "link,as_of,likes,reach"
	acme := control.Scope{Role: control.Editor, Brands: []string{"acme"}}
	for _, step := range []struct {
		why, header, row string
		want             counts
		stored           string
	}{
		{"a first day", header, "l2,2026-03-01,10,100", counts{created: 1}, "2 2026-03-01 10 0 100"},
		{"the same", header, "l2,2026-03-01,10,100", counts{unchanged: 1}, "2 2026-03-01 10 0 100"},
		{"another column", "link,as_of,comments", "l2,2026-03-01,7", counts{updated: 1}, "2 2026-03-01 10 7 100"},
		{"another day", header, "l2,2026-03-02,12,", counts{created: 1}, "2 2026-03-01 10 7 100, 2 2026-03-02 12 0 0"},
	} {
		if got := w.run(acme, "posts", csv(step.header, step.row)); countsOf(got) != step.want {
			t.Errorf("%s: %+v, want %+v", step.why, got, step.want)
		}
		stored := one[string](w, `SELECT arrayStringConcat(groupArray(concat_ws(' ', toString(link_id), toString(as_of), toString(likes), toString(comments), toString(reach))), ', ')
			FROM (SELECT * FROM posts FINAL ORDER BY ALL)`)
		if stored != step.stored {
			t.Errorf("%s: stored %q, want %q", step.why, stored, step.stored)
		}
	}
	for _, c := range []struct {
		scope       control.Scope
		row, reason string
	}{
		{control.LocalScope(), "l1,2026-03-01,1,1", "is ambiguous: brands acme, other"},
		{acme, "o2,2026-03-01,1,1", "is unknown"},
		{acme, "l2,today,1,1", "must be a day"},
		{acme, "l2,2026-03-01,-1,1", "whole number"},
	} {
		got := w.run(c.scope, "posts", csv(header, c.row))
		if len(got.Rejected) != 1 || !strings.Contains(got.Rejected[0].Reason, c.reason) {
			t.Errorf("%s: %s", c.row, fmt.Sprintf("%+v, want …%s…", got, c.reason))
		}
	}
}
