package report

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"carom/deploy/engine"
	"carom/ingest"
	"carom/ingest/chtest"
)

// rollups pairs what a rollup says with the same from raw, for one brand. `keys` are columns of the rollup, with their
// expressions over raw where those differ.
func rollups() []struct{ table, keys, rawKeys, measures, rawMeasures, raw string } {
	const (
		creator    = "brand_id, campaign_id, influencer_id"
		sums       = "sum(gross) AS gross, sum(valid) AS valid, sum(billable) AS billable"
		rawSums    = "count() AS gross, sum(clicks.valid) AS valid, sum(clicks.billable) AS billable"
		visitors   = ", uniqCombined64Merge(visitors) AS unique"
		rawVisitor = ", uniqExactIf(visitor, clicks.valid = 1) AS unique"
		day        = "toDate(ts) AS day"
		hour       = "toStartOfHour(ts) AS hour"
		utm        = ", utm_source, utm_medium, utm_campaign, utm_content, utm_term"
		place      = ", country, region, city"
		agent      = ", platform, device, os, browser"
	)
	return []struct{ table, keys, rawKeys, measures, rawMeasures, raw string }{
		{
			"clicks_by_influencer_daily", "day, tier, " + creator, day + ", tier, " + creator,
			sums + visitors + ", sum(previews) AS previews",
			rawSums + rawVisitor + ", countIf(has(reason_names, 'preview')) AS previews", "clicks",
		},
		{"clicks_by_utm_hourly", "hour, " + creator + utm, hour + ", " + creator + utm, sums + visitors, rawSums + rawVisitor, "clicks"},
		{"clicks_by_geo_daily", "day, " + creator + place, day + ", " + creator + place, sums + visitors, rawSums + rawVisitor, "clicks"},
		{"clicks_by_device_daily", "day, brand_id, campaign_id" + agent, day + ", brand_id, campaign_id" + agent, sums, rawSums, "clicks"},
		{"clicks_by_batch", "hour, node, batch_id", hour + ", node, batch_id", "sum(rows) AS rows", "count() AS rows", "clicks"},
		{
			"conversions_by_influencer_daily", "brand_id, event, txid, signed", "brand_id, event, txid, signed",
			"min(first).amount AS amount, min(first).received AS received, max(last).status AS status, sum(messages) AS messages",
			"argMin(c.amount, (c.received, c.campaign_id, c.influencer_id, c.click_ts, c.amount)) AS amount, min(c.received) AS received, " +
				"argMax(c.status, (if(c.source = 'import', c.received, c.ts), c.status, c.received)) AS status, count() AS messages", "conversions AS c",
		},
	}
}

// equalRollups compares every rollup, merged, with raw.
func equalRollups(t testing.TB, db *chtest.DB) {
	t.Helper()
	for _, r := range rollups() {
		merged := selectRows(t, db, fmt.Sprintf("SELECT %s, %s FROM %s GROUP BY ALL", r.keys, r.measures, r.table))
		raw := selectRows(t, db, fmt.Sprintf("SELECT %s, %s FROM %s GROUP BY ALL", r.rawKeys, r.rawMeasures, r.raw))
		if diff := cmp.Diff(lines(raw), lines(merged)); diff != "" {
			t.Errorf("%s: -raw +rollup:\n%s", r.table, diff)
		}
	}
}

// TestResendCountsOnce sends every batch again: under its own token nothing changes anywhere, before and after merges.
func TestResendCountsOnce(t *testing.T) {
	db := chtest.New(t)
	w := newWorld()
	w.store(t, db)
	before := everything(t, db)

	w.resend(t, db)
	if diff := cmp.Diff(before, everything(t, db)); diff != "" {
		t.Fatalf("sent again: -before +after:\n%s", diff)
	}
	for _, r := range rollups() {
		if err := db.Conn.Exec(t.Context(), "OPTIMIZE TABLE "+r.table+" FINAL"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, everything(t, db)); diff != "" {
		t.Fatalf("after merges: -before +after:\n%s", diff)
	}

	// The test can tell: under another token the same rows count again.
	edge := chtest.Open(t, db.DSN(engine.Edge))
	insertEdge(t, edge, "clicks", "another", w.clicks[:1])
	if cmp.Equal(before, everything(t, db)) {
		t.Error("a click under a new token changed nothing")
	}
	equalRollups(t, db)
}

// TestResendMendsFailedView sends a batch again that one view did not get.
func TestResendMendsFailedView(t *testing.T) {
	db := chtest.New(t)
	w := newWorld()
	exec := func(statement string) {
		t.Helper()
		if err := db.Conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	edge := chtest.Open(t, db.DSN(engine.Edge))
	batch := w.clicks[:200]
	for i := range batch {
		batch[i].TS = batch[i].TS.Add(-batch[i].TS.Sub(monday) / 2) // within the week
	}
	for _, lost := range []string{"clicks_by_geo_daily", "clicks_by_influencer_daily", "clicks_by_batch"} {
		exec("DETACH TABLE " + lost + " SYNC")
		if err := sendEdge(t.Context(), edge, "clicks", "mended"+lost, batch); err == nil {
			t.Fatalf("an insert succeeded without %s", lost)
		}
		exec("ATTACH TABLE " + lost)
		insertEdge(t, edge, "clicks", "mended"+lost, batch)
		insertEdge(t, edge, "clicks", "mended"+lost, batch)
		equalRollups(t, db)
	}
	if got := selectRows(t, db, "SELECT count() AS n FROM clicks"); got[0]["n"] != "600" {
		t.Errorf("%s clicks, want 600", got[0]["n"])
	}
}

// everything is the content of all report views.
func everything(t testing.TB, db *chtest.DB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, view := range []string{
		"influencers", "campaigns", "utm", "geo", "conversions", "conversion_conflicts", "ledger",
	} {
		all[view] = lines(selectAll(t, db, "report_"+view))
	}
	all["devices"] = lines(selectRows(t, db, "SELECT day, device, sum(gross) AS gross FROM clicks_by_device_daily GROUP BY ALL"))
	return all
}

// TestRollupsEqualRawForAnyRows sends batches of any rows, some twice, and finds each rollup equal to raw after each.
func TestRollupsEqualRawForAnyRows(t *testing.T) {
	db := chtest.New(t)
	edge := chtest.Open(t, db.DSN(engine.Edge))
	fewChecks(t)
	text := rapid.SampledFrom([]string{"", "a", "b", "é\n'"})
	moments := rapid.Custom(func(t *rapid.T) time.Time {
		return monday.Add(time.Duration(rapid.Int64Range(0, int64(7*24*time.Hour/time.Millisecond)-1).Draw(t, "ms")) * time.Millisecond)
	})
	clicks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) click {
		c := click{
			TS: moments.Draw(t, "ts"), ID: "click-0000000000000000",
			Brand: rapid.Uint32Max(2).Draw(t, "brand"), Campaign: rapid.Uint32Max(2).Draw(t, "campaign"), Influencer: rapid.Uint32Max(2).Draw(t, "influencer"),
			UTMSource: text.Draw(t, "source"), UTMContent: text.Draw(t, "content"), UTMTerm: text.Draw(t, "term"),
			Country: text.Draw(t, "country"), City: text.Draw(t, "city"), Platform: text.Draw(t, "platform"), Device: text.Draw(t, "device"),
			Visitor: rapid.Uint64Max(9).Draw(t, "visitor"), Tier: text.Draw(t, "tier"),
			Node: rapid.Uint16Max(2).Draw(t, "node"), Batch: fmt.Sprintf("00000000000000aa-%d", rapid.IntRange(1, 3).Draw(t, "batch")),
		}
		c.setReasons(ingest.Reasons(rapid.Uint32Max(1<<9-1).Draw(t, "reasons")))
		return c
	}), 1, 40)
	conversions := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) conversion {
		ts := moments.Draw(t, "ts")
		return conversion{
			Received: ts.Truncate(time.Hour), TS: ts, ClickTS: ts, Brand: rapid.Uint32Max(1).Draw(t, "brand"), Campaign: 1,
			Influencer: rapid.Uint32Max(1).Draw(t, "influencer"), Event: text.Draw(t, "event"), TxID: text.Draw(t, "txid"),
			Amount: decimal.New(rapid.Int64Range(0, 3).Draw(t, "amount"), -4), Currency: "EUR",
			Status: rapid.SampledFrom([]string{"pending", "approved", "rejected"}).Draw(t, "status"), Source: "postback", Signed: rapid.Bool().Draw(t, "signed"),
		}
	}), 1, 40)

	batch := 0
	rapid.Check(t, func(rt *rapid.T) {
		batch++
		c, v := clicks.Draw(rt, "clicks"), conversions.Draw(rt, "conversions")
		for range rapid.IntRange(1, 2).Draw(rt, "times") {
			insertEdge(t, edge, "clicks", fmt.Sprint(batch), c)
			insertEdge(t, edge, "conversions", fmt.Sprint(batch), v)
		}
		equalRollups(t, db)
		if t.Failed() {
			rt.FailNow() // with the rows that did it
		}
	})
}

// fewChecks keeps a property short whose every check asks a server, unless the command line says how many.
func fewChecks(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	if was := checks.Value.String(); was == checks.DefValue {
		t.Cleanup(func() { _ = checks.Value.Set(was) })
		_ = checks.Value.Set("15")
	}
}
