package report

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// topAddsUpTheOthers finds the rows with the most clicks by themselves, and all others in one row for each currency that is
// exact: visitors are counted once, money is kept apart, and top and others come to the totals.
func topAddsUpTheOthers(t *testing.T, db *chtest.DB, w *world) {
	reports := newReports(t, db)
	tests := []struct {
		report string
		by     []string
		top    int
	}{
		{"utm", nil, 1},
		{"utm", nil, 7},
		{"utm", []string{"hour"}, 100},
		{"utm", []string{"utm_content", "day"}, 10},
		{"geo", []string{"country", "region", "city"}, 2},
		{"influencers", nil, 3},
		{"campaigns", []string{"campaign"}, 1},
		{"campaigns", []string{"campaign"}, 1000}, // more than there are
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.report, tt.by, tt.top), func(t *testing.T) {
			q := ask(t, Params{Report: tt.report, From: allDays.From, To: allDays.To, By: tt.by, Top: tt.top})
			got, err := reports.Run(t.Context(), q, everyone)
			if err != nil {
				t.Fatal(err)
			}
			facts, numbers := w.factsOf(tt.report)
			all := w.group(facts, q.by, numbers)
			slices.SortFunc(all, func(a, b row) int { return cmp.Or(gross(b)-gross(a), strings.Compare(keyOf(a, q), keyOf(b, q))) })
			top := all[:min(tt.top, len(all))]
			inTop := map[string]bool{}
			for _, r := range top {
				inTop[keyOf(r, q)] = true
			}
			beyond := slices.DeleteFunc(facts, func(f fact) bool { return inTop[keyOf(w.dimensions(f), q)] })
			equalRows(t, top, rowsOf(got, got.Rows))
			others := w.group(beyond, nil, numbers)
			for _, r := range others {
				for _, key := range q.by {
					r[key] = null
				}
			}
			if diff := gocmp.Diff(lines(others), lines(rowsOf(got, got.Others))); diff != "" {
				t.Errorf("others: -want +got:\n%s", diff)
			}
			whole, err := reports.Run(t.Context(), ask(t, Params{Report: tt.report, From: allDays.From, To: allDays.To, By: tt.by}), everyone)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(lines(rowsOf(whole, whole.Totals)), lines(rowsOf(got, got.Totals))); diff != "" || len(whole.Others) > 0 {
				t.Errorf("totals depend on the top:\n%s", diff)
			}
		})
	}
}

func gross(r row) int {
	n, _ := strconv.Atoi(r["gross"])
	return n
}

// keyOf is what a row is grouped by, in the order in which rows stand.
func keyOf(r map[string]string, q Query) string {
	var key strings.Builder
	for _, name := range append(q.by, "currency") {
		key.WriteString(r[name] + "\x00")
	}
	return key.String()
}

// othersOfEveryReport folds each report to a single row, the ledger to one that does not balance.
func othersOfEveryReport(t *testing.T, db *chtest.DB) {
	reports := newReports(t, db)
	for _, p := range []Params{
		{Report: "influencers"},
		{Report: "campaigns"},
		{Report: "utm"},
		{Report: "geo"},
		{Report: "conversions"},
		{Report: "ledger"},
		{Report: "ledger", By: []string{"node"}},
		{Report: "conversions", Conflicts: true},
		{Report: "conversions", By: []string{"status", "day"}},
	} {
		p.From, p.To, p.Top = allDays.From, allDays.To, 1
		got, err := reports.Run(t.Context(), ask(t, p), everyone)
		if err != nil {
			t.Errorf("%+v: %v", p, err)
			continue
		}
		if len(got.Rows) != 1 || len(got.Others) == 0 {
			t.Errorf("%+v: %d rows and %d of others, want one row", p, len(got.Rows), len(got.Others))
		}
		if rows := rowsOf(got, got.Rows); p.Report == "ledger" && rows[0]["balanced"] != "false" {
			t.Errorf("%+v: the top is %v, want what does not balance", p, rows[0])
		}
	}
}

// TestFloodOfTerms sends more UTM terms than an answer has rows, beside one that people mean.
func TestFloodOfTerms(t *testing.T) {
	db := chtest.New(t)
	const flood = MaxRows + 10_000
	w := references()
	insert(t, db.Conn, "brands", w.brands)
	exec := func(statement string) {
		t.Helper()
		if err := db.Conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec(fmt.Sprintf(`INSERT INTO clicks (ts, brand_id, campaign_id, influencer_id, utm_term, visitor, valid, billable)
		SELECT '2026-03-02 12:00:00', 1, 1, 1, if(number %% 2, 'shoes', '(' || toString(number) || ')'), number, 1, number %% 4 = 0
		FROM numbers(%d)`, 2*flood))
	q := ask(t, Params{Report: "utm", From: "2026-03-01", To: "2026-04-01", Format: "csv"})
	got, err := newReports(t, db).Run(t.Context(), q, everyone)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != MaxRows || len(got.Others) != 1 {
		t.Fatalf("%d rows, %d of others", len(got.Rows), len(got.Others))
	}
	others := rowsOf(got, got.Others)[0]
	if others["gross"] != fmt.Sprint(flood-MaxRows+1) || others["valid"] != others["gross"] || others["utm_term"] != null {
		t.Errorf("others: %v, want %d clicks", others, flood-MaxRows+1)
	}
	if !slices.ContainsFunc(rowsOf(got, got.Rows), func(r row) bool { return r["utm_term"] == "shoes" && r["gross"] == fmt.Sprint(flood) }) {
		t.Error("what people meant is not among the top")
	}
	if total := rowsOf(got, got.Totals)[0]; total["gross"] != fmt.Sprint(2*flood) {
		t.Errorf("total: %v, want %d clicks", total, 2*flood)
	}
}

// TestFloodOfEvents: pixels may name any event. Beyond a brand's hundred most frequent they are one event; what is signed is
// told apart whatever its name, until that is too much.
func TestFloodOfEvents(t *testing.T) {
	db := chtest.New(t)
	w := references()
	insert(t, db.Conn, "brands", w.brands)
	flood := func(signed bool, events int) {
		t.Helper()
		err := db.Conn.Exec(t.Context(), fmt.Sprintf(`INSERT INTO conversions (received, ts, click_ts, brand_id, campaign_id, influencer_id, event, txid, amount,
				currency, status, source, signed)
			SELECT '2026-03-02 12:00:00' AS at, at, at, 1, 1, 1, if(number < 3, 'quiz', 'e' || toString(number)), toString(number), 1, 'EUR', 'approved', 'pixel', %v
			FROM numbers(%d)`, signed, events))
		if err != nil {
			t.Fatal(err)
		}
	}
	reports := newReports(t, db)
	run := func() (*Result, error) {
		return reports.Run(t.Context(), ask(t, Params{Report: "conversions", From: "2026-03-01", To: "2026-04-01", By: []string{"event"}}), everyone)
	}
	flood(false, 1000)
	got, err := run()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]string{}
	for _, r := range rowsOf(got, got.Rows) {
		counts[r["event"]] = r["conversions"]
	}
	if len(counts) != 101 || counts["quiz"] != "3" || counts["(others)"] != fmt.Sprint(1000-3-99) {
		t.Errorf("%d events, quiz %s, others %s", len(counts), counts["quiz"], counts["(others)"])
	}
	flood(true, MaxRows+10)
	if _, err := run(); !errors.Is(err, ErrTooManyRows) {
		t.Errorf("%d signed events: %v, want ErrTooManyRows", MaxRows+10, err)
	}
}

// pagesHaveAllRows reads an answer page by page, whose rows are those of the whole, in the order of their keys.
func pagesHaveAllRows(t *testing.T, db *chtest.DB) {
	reports := newReports(t, db)
	p := Params{Report: "geo", From: allDays.From, To: allDays.To, By: []string{"day", "country"}}
	whole, err := reports.Run(t.Context(), ask(t, p), everyone)
	if err != nil {
		t.Fatal(err)
	}
	p.Limit = 5
	var rows [][]any
	for more := true; more; p.Offset += p.Limit {
		page, err := reports.Run(t.Context(), ask(t, p), everyone)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rows) > p.Limit || len(page.Rows) == 0 || page.Totals != nil || page.Others != nil {
			t.Fatalf("page from %d: %d rows, totals %v, others %v", p.Offset, len(page.Rows), page.Totals, page.Others)
		}
		rows, more = append(rows, page.Rows...), page.More
	}
	if diff := gocmp.Diff(rowsOf(whole, whole.Rows), rowsOf(whole, rows)); diff != "" {
		t.Errorf("-whole +pages:\n%s", diff)
	}
	if page, err := reports.Run(t.Context(), ask(t, p), everyone); err != nil || len(page.Rows) > 0 || page.More {
		t.Errorf("a page beyond the last: %+v, %v", page, err)
	}
}

// conflictsStandBehindConversions lists what the column conflicts counts.
func conflictsStandBehindConversions(t *testing.T, db *chtest.DB, w *world) {
	reports := newReports(t, db)
	p := Params{Report: "conversions", From: allDays.From, To: allDays.To, Conflicts: true}
	got, err := reports.Run(t.Context(), ask(t, p), everyone)
	if err != nil {
		t.Fatal(err)
	}
	var want []row
	for _, r := range w.conflictRows() {
		for _, left := range []string{"day", "received", "other_received"} {
			delete(r, left)
		}
		want = append(want, r)
	}
	equalRows(t, want, rowsOf(got, got.Rows))

	kinds := map[string]uint64{}
	for _, r := range want {
		n, _ := strconv.ParseUint(r["times"], 10, 64)
		kinds[r["kind"]] += n
	}
	told := map[string]uint64{}
	for _, values := range got.Totals {
		r := named(got.Columns, values)
		n, _ := strconv.ParseUint(r["times"], 10, 64)
		told[r["kind"]] += n
	}
	if diff := gocmp.Diff(kinds, told); diff != "" || len(slices.Collect(maps.Keys(kinds))) != 4 {
		t.Errorf("totals of the four kinds: -want +got:\n%s", diff)
	}
	onlyBolt := Scope{Brands: []string{"bolt"}}
	if got, err = reports.Run(t.Context(), ask(t, p), onlyBolt); err != nil || slices.ContainsFunc(rowsOf(got, got.Rows), func(r row) bool { return r["brand"] != "bolt" }) {
		t.Errorf("conflicts of another brand: %v, %v", got, err)
	}
}

// TestRefunds settles refunds in whatever order they come, as edges record them: no sale nets less than nothing.
func TestRefunds(t *testing.T) {
	db := chtest.New(t)
	w := references()
	insert(t, db.Conn, "brands", w.brands)
	edge := chtest.Open(t, db.DSN(engine.Edge))
	tell := func(n int, event, txid, ref, amount, status string) {
		t.Helper()
		ts := at(n, 0)
		insertEdge(t, edge, "conversions", fmt.Sprint(n, event, txid, amount, status), []conversion{{
			Received: ts, TS: ts, Brand: acme, Campaign: spring, Influencer: ana, Link: 1, ClickTS: at(0, 0), Event: event, TxID: txid,
			RefTxID: ref, Amount: dec(amount), Currency: "EUR", Status: status, Source: "postback", Signed: true,
		}})
	}
	check := func(when, revenue, refunds string, conflicts ...string) {
		t.Helper()
		got := selectRows(t, db, "SELECT sum(revenue) AS revenue, sum(refunds) AS refunds, min(net_revenue) < 0 AS negative FROM report_influencers")
		if got[0]["revenue"] != revenue || got[0]["refunds"] != refunds || got[0]["negative"] != "0" {
			t.Errorf("%s: %v, want revenue %s, refunds %s", when, got[0], revenue, refunds)
		}
		var told []string
		for _, r := range selectRows(t, db, "SELECT kind, txid, amount, other_amount FROM report_conversion_conflicts ORDER BY txid") {
			told = append(told, strings.Join([]string{r["txid"], r["kind"], r["amount"], r["other_amount"]}, ", "))
		}
		if diff := gocmp.Diff(conflicts, told); diff != "" {
			t.Errorf("%s: conflicts: -want +got:\n%s", when, diff)
		}
	}
	tell(3, "refund", "r1", "s1", "20", "approved")
	check("before the sale", "0", "0", "r1, refund without sale, 0, 20")
	tell(9, "sale", "s1", "", "50", "pending")
	check("the sale comes", "50", "20")
	tell(10, "refund", "r1", "s1", "20", "approved")
	check("the refund comes again", "50", "20")
	tell(11, "refund", "r2", "s1", "40", "approved")
	check("more than is left", "50", "50", "r2, refund above its sale, 30, 10")
	tell(12, "sale", "s1", "", "50", "rejected")
	check("the sale is rejected", "0", "0", "r1, refund of a rejected sale, 0, 20", "r2, refund of a rejected sale, 0, 40")
	tell(13, "sale", "s1", "", "50", "approved")
	tell(14, "refund", "r1", "s1", "20", "rejected")
	check("the first refund is rejected", "50", "40")
	tell(15, "refund", "r2", "s1", "45", "approved")
	check("another amount for a refund", "50", "40", "r2, another amount, 40, 45")
	tell(16, "lead", "s2", "", "7", "approved")
	tell(17, "refund", "r3", "s2", "7", "approved")
	check("a lead is no sale", "57", "40", "r2, another amount, 40, 45", "r3, refund without sale, 0, 7")
}
