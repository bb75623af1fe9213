package report

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// everyone sees all.
var everyone = Scope{All: true}

// newReports reads the world as the analyst does, who may only read.
func newReports(t testing.TB, db *chtest.DB) *Reports {
	cfg := DefaultConfig()
	cfg.Conn = chtest.Open(t, db.DSN(engine.Analyst))
	return New(cfg)
}

// span of the whole world, coupons and missing clicks included.
var allDays = Params{From: "2026-01-01", To: "2026-06-01"}

func ask(t testing.TB, p Params) Query {
	t.Helper()
	q, err := Parse(p, day(30))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func rowsOf(r *Result, values [][]any) []row {
	var rows []row
	for _, v := range values {
		rows = append(rows, named(r.Columns, v))
	}
	return rows
}

// answersMergeOverTheSpan compares answers, grouped in many ways and cut to spans and brands, with the world: unique
// is right for each row and for the totals, whatever they span.
func answersMergeOverTheSpan(t *testing.T, db *chtest.DB, w *world) {
	reports := newReports(t, db)

	tests := []struct {
		report, from, to string
		brands, by       []string
	}{
		{report: "influencers"},
		{report: "influencers", from: "2026-03-04", to: "2026-03-06"},
		{report: "influencers", by: []string{"day", "brand", "campaign", "influencer", "tier", "platform"}},
		{report: "influencers", by: []string{"tier"}, brands: []string{"acme"}},
		{report: "campaigns"},
		{report: "campaigns", by: []string{"week", "campaign"}},
		{report: "campaigns", by: []string{"brand"}, from: "2026-03-03"},
		{report: "utm"},
		{report: "utm", by: []string{"hour"}, from: "2026-03-03", to: "2026-03-04"},
		{report: "utm", by: []string{"month", "utm_source", "utm_content"}, brands: []string{"bolt", "acme"}},
		{report: "geo"},
		{report: "geo", by: []string{"country"}},
		{report: "geo", by: []string{"day", "country"}, brands: []string{"bolt"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(append([]string{tt.report}, tt.by...), " "), func(t *testing.T) {
			p := Params{Report: tt.report, From: tt.from, To: tt.to, Brands: tt.brands, By: tt.by}
			if p.From == "" {
				p.From = allDays.From
			}
			if p.To == "" {
				p.To = allDays.To
			}
			q := ask(t, p)
			got, err := reports.Run(t.Context(), q, everyone)
			if err != nil {
				t.Fatal(err)
			}
			facts, numbers := w.factsOf(tt.report)
			facts = slices.DeleteFunc(facts, func(f fact) bool {
				key := w.brands[f.brand-1].Key
				return f.hour.Before(q.From) || !f.hour.Before(q.To) || len(tt.brands) > 0 && !slices.Contains(tt.brands, key)
			})
			equalRows(t, w.group(facts, q.by, numbers), rowsOf(got, got.Rows))
			if !slices.IsSortedFunc(got.Rows, func(a, b []any) int { return slices.Compare(keysOf(a, got), keysOf(b, got)) }) {
				t.Error("rows are not in the order of their keys")
			}

			totals := w.group(facts, nil, numbers)
			for _, total := range totals {
				for _, key := range q.by {
					total[key] = null
				}
			}
			equalRows(t, totals, rowsOf(got, got.Totals))
		})
	}
}

func keysOf(values []any, r *Result) []string {
	keys := make([]string, r.Keys)
	for i := range keys {
		keys[i] = values[i].(string)
	}
	return keys
}

// answersAgreeWithViews finds the same numbers in an answer grouped like a view, derived columns included.
func answersAgreeWithViews(t *testing.T, db *chtest.DB) {
	reports := newReports(t, db)
	for view, by := range map[string][]string{
		"influencers": {"day", "brand", "campaign", "influencer", "tier", "platform"},
		"campaigns":   {"day", "brand", "campaign"},
		"conversions": {"day", "brand", "campaign", "influencer", "event", "status", "signed"},
		"ledger":      {"hour", "node"},
	} {
		got, err := reports.Run(t.Context(), ask(t, Params{Report: view, From: allDays.From, To: allDays.To, By: by}), everyone)
		if err != nil {
			t.Fatal(err)
		}
		equalRows(t, selectAll(t, db, "report_"+view), rowsOf(got, got.Rows))
	}
}

// conversionTotalsKeepEventsApart adds neither refunds to sales nor pixels to postbacks.
func conversionTotalsKeepEventsApart(t *testing.T, db *chtest.DB, w *world) {
	got, err := newReports(t, db).Run(t.Context(), ask(t, Params{Report: "conversions", From: allDays.From, To: allDays.To}), everyone)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{}
	for _, c := range w.once() {
		want[c.Event+c.Status+w.currency(c.Brand)+map[bool]string{true: "true", false: "false"}[c.Signed]] += c.Amount.InexactFloat64()
	}
	if len(got.Totals) != len(want) {
		t.Errorf("%d totals, want one for each of %d events, statuses, currencies and ways of signing", len(got.Totals), len(want))
	}
	for _, r := range rowsOf(got, got.Totals) {
		key := r["event"] + r["status"] + r["currency"] + r["signed"]
		if _, ok := want[key]; !ok || r["brand"] != null {
			t.Errorf("unexpected total %v", r)
		}
	}
}

// scopeHidesOtherBrands: a scope keeps a brand's numbers from everybody else.
func scopeHidesOtherBrands(t *testing.T, db *chtest.DB) {
	reports := newReports(t, db)
	onlyBolt := Scope{Brands: []string{"bolt"}}
	run := func(report string, scope Scope, brands ...string) ([]string, error) {
		r, err := reports.Run(t.Context(), ask(t, Params{Report: report, From: allDays.From, To: allDays.To, Brands: brands}), scope)
		if err != nil {
			return nil, err
		}
		var seen []string
		for _, values := range r.Rows {
			seen = append(seen, values[slices.Index(r.Columns, "brand")].(string))
		}
		slices.Sort(seen)
		return slices.Compact(seen), nil
	}
	for _, report := range []string{"influencers", "campaigns", "utm", "geo", "conversions"} {
		tests := []struct {
			scope  Scope
			brands []string
			want   []string
			err    error
		}{
			{scope: everyone, want: []string{"acme", "bolt"}},
			{scope: everyone, brands: []string{"acme"}, want: []string{"acme"}},
			{scope: everyone, brands: []string{"nobody"}, err: ErrUnknownBrand},
			{scope: everyone, brands: []string{"acme", "' OR 1=1 --"}, err: ErrUnknownBrand},
			{scope: onlyBolt, want: []string{"bolt"}},
			{scope: onlyBolt, brands: []string{"bolt"}, want: []string{"bolt"}},
			{scope: onlyBolt, brands: []string{"acme"}, err: ErrUnknownBrand},
			{scope: onlyBolt, brands: []string{"bolt", "acme"}, err: ErrUnknownBrand},
			{scope: Scope{}, want: nil},
			{scope: Scope{Brands: []string{"gone"}}, want: nil},
		}
		for _, tt := range tests {
			got, err := run(report, tt.scope, tt.brands...)
			if !errors.Is(err, tt.err) || !slices.Equal(got, tt.want) {
				t.Errorf("%s of %q for %+v: %v, %v, want %v, %v", report, tt.brands, tt.scope, got, err, tt.want, tt.err)
			}
		}
	}
	if _, err := run("ledger", onlyBolt); !errors.Is(err, ErrForbidden) {
		t.Errorf("ledger for one brand: %v, want ErrForbidden", err)
	}
}

func TestRunOfEmptyDatabase(t *testing.T) {
	reports := newReports(t, chtest.New(t))
	for _, name := range Names() {
		r, err := reports.Run(t.Context(), ask(t, Params{Report: name}), everyone)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(r.Rows) > 0 || len(r.Totals) > 0 {
			t.Errorf("%s of an empty database: %v, totals %v", name, r.Rows, r.Totals)
		}
		for _, f := range []Format{Table, CSV, JSON} {
			var out strings.Builder
			if err := r.Write(&out, f); err != nil || out.Len() == 0 {
				t.Errorf("%s as %s: %q, %v", name, f, out.String(), err)
			}
		}
	}
}

// TestRunWithoutClickHouse says within its time what is the matter and what to do about it.
func TestRunWithoutClickHouse(t *testing.T) {
	db := chtest.New(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	absent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	absent.Close()
	dsn, err := url.Parse(db.DSN(engine.Admin))
	if err != nil {
		t.Fatal(err)
	}
	at := func(host string) string {
		other := *dsn
		other.Host, other.RawQuery = host, "dial_timeout=1s"
		return other.String()
	}
	tests := map[string]struct {
		dsn     string
		timeout time.Duration
		want    error
		says    string
	}{
		"nobody listens":        {at(absent.Addr().String()), time.Minute, ErrUnavailable, "see that it runs"},
		"nobody answers":        {at(silent.Addr().String()), time.Second, ErrUnavailable, "see that it runs"},
		"no schema":             {chtest.NewEmpty(t).DSN(engine.Admin), time.Minute, ErrNoSchema, "carom schema apply"},
		"no time for an answer": {db.DSN(engine.Admin), 1, ErrTooLong, "fewer days"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Conn, cfg.Timeout = chtest.Open(t, tt.dsn), tt.timeout
			_, err := New(cfg).Run(t.Context(), ask(t, Params{Report: "geo"}), everyone)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v with %q", err, tt.want, tt.says)
			}
			if password, _ := dsn.User.Password(); strings.Contains(fmt.Sprint(err), password) {
				t.Error("the error shows the password")
			}
		})
	}
}
