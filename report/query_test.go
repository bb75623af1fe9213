package report

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	now := time.Date(2026, time.March, 31, 23, 30, 0, 0, time.FixedZone("", -2*3600)) // the first of April in UTC
	tests := []struct {
		name     string
		params   Params
		from, to string // of the query
		param    string // that is refused
	}{
		{name: "the last thirty days", params: Params{Report: "utm"}, from: "2026-03-03", to: "2026-04-02"},
		{name: "days, the last excluded", params: Params{Report: "utm", From: "2026-03-01", To: "2026-03-02"}, from: "2026-03-01", to: "2026-03-02"},
		{name: "from alone", params: Params{Report: "utm", From: "2026-03-30"}, from: "2026-03-30", to: "2026-04-02"},
		{name: "to alone", params: Params{Report: "utm", To: "2026-01-31"}, from: "2026-01-01", to: "2026-01-31"},
		{name: "leap day", params: Params{Report: "utm", From: "2028-02-29", To: "2028-03-01"}, from: "2028-02-29", to: "2028-03-01"},
		{name: "grouped", params: Params{Report: "utm", By: []string{"day", "utm_source"}}, from: "2026-03-03", to: "2026-04-02"},
		{name: "ledger by node", params: Params{Report: "ledger", By: []string{"node"}}, from: "2026-03-03", to: "2026-04-02"},

		{name: "no report", params: Params{}, param: "report"},
		{name: "no such report", params: Params{Report: "clicks; DROP TABLE clicks"}, param: "report"},
		{name: "no such day", params: Params{Report: "utm", From: "2026-02-30"}, param: "from"},
		{name: "no day at all", params: Params{Report: "utm", From: "yesterday"}, param: "from"},
		{name: "day with time", params: Params{Report: "utm", To: "2026-03-01T00:00:00Z"}, param: "to"},
		{name: "before Unix time", params: Params{Report: "utm", From: "1969-12-31"}, param: "from"},
		{name: "after the last Date", params: Params{Report: "utm", To: "2149-06-07"}, param: "to"},
		{name: "SQL for a day", params: Params{Report: "utm", From: "2026-03-01' OR '1'='1"}, param: "from"},
		{name: "empty span", params: Params{Report: "utm", From: "2026-03-01", To: "2026-03-01"}, param: "from"},
		{name: "backwards", params: Params{Report: "utm", From: "2026-03-02", To: "2026-03-01"}, param: "from"},
		{name: "another report's key", params: Params{Report: "utm", By: []string{"country"}}, param: "by"},
		{name: "a measure as key", params: Params{Report: "utm", By: []string{"gross"}}, param: "by"},
		{name: "SQL for a key", params: Params{Report: "utm", By: []string{"brand) UNION SELECT (1"}}, param: "by"},
		{name: "key twice", params: Params{Report: "utm", By: []string{"day", "day"}}, param: "by"},
		{name: "empty key", params: Params{Report: "utm", By: []string{""}}, param: "by"},
		{name: "no such format", params: Params{Report: "utm", Format: "xlsx"}, param: "format"},
		{name: "a top", params: Params{Report: "utm", Top: MaxRows}, from: "2026-03-03", to: "2026-04-02"},
		{name: "a page", params: Params{Report: "utm", Limit: 100, Offset: 200}, from: "2026-03-03", to: "2026-04-02"},
		{name: "conflicts", params: Params{Report: "conversions", Conflicts: true, By: []string{"day", "txid"}}, from: "2026-03-03", to: "2026-04-02"},
		{name: "a top beyond what an answer holds", params: Params{Report: "utm", Top: MaxRows + 1}, param: "top"},
		{name: "a negative top", params: Params{Report: "utm", Top: -1}, param: "top"},
		{name: "a page beyond what an answer holds", params: Params{Report: "utm", Limit: MaxRows + 1}, param: "limit"},
		{name: "a page of nothing", params: Params{Report: "utm", Offset: 5}, param: "offset"},
		{name: "a page before the first", params: Params{Report: "utm", Limit: 5, Offset: -5}, param: "offset"},
		{name: "a page of a top", params: Params{Report: "utm", Limit: 5, Top: 5}, param: "top"},
		{name: "conflicts of clicks", params: Params{Report: "utm", Conflicts: true}, param: "conflicts"},
		{name: "a conversions' key of conflicts", params: Params{Report: "conversions", Conflicts: true, By: []string{"status"}}, param: "by"},
		{name: "brand of the ledger", params: Params{Report: "ledger", Brands: []string{"acme"}}, param: "brand"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, err := Parse(tt.params, now)
			var wrong *ParamError
			if errors.As(err, &wrong) && wrong.Param != tt.param || (err != nil) != (tt.param != "") {
				t.Fatalf("error %v, want one about %q", err, tt.param)
			}
			if from, to := q.From.Format(time.DateOnly), q.To.Format(time.DateOnly); err == nil && (from != tt.from || to != tt.to) {
				t.Errorf("from %s to %s, want from %s to %s", from, to, tt.from, tt.to)
			}
		})
	}
}

// TestGroupingKeepsRefundsFromSales asks for less than what a conversion has to be told apart by.
func TestGroupingKeepsRefundsFromSales(t *testing.T) {
	for _, tt := range []struct{ report, by, want string }{
		{"conversions", "day", "day event status signed"},
		{"conversions", "status,day", "status day event signed"},
		{"campaigns", "day", "day"},
	} {
		q := ask(t, Params{Report: tt.report, By: strings.Split(tt.by, ",")})
		if got := strings.Join(q.by, " "); got != tt.want {
			t.Errorf("%s by %s: grouped by %s, want %s", tt.report, tt.by, got, tt.want)
		}
	}
}

// FuzzParse feeds Parse what a stranger may send: what it accepts never becomes SQL.
func FuzzParse(f *testing.F) {
	f.Add("influencers", "2026-03-01", "2026-03-02", "acme", "day", "csv", 5, 0, 0)
	f.Add("ledger", "", "", "", "node", "", 0, 0, 0)
	f.Add("conversions", "", "", "", "status", "", 0, 10, 20)
	f.Add("utm", "0000-00-00", "2149-06-06", "'; DROP TABLE clicks --", "brand) --", "JSON", -1, 1<<40, -7)
	f.Fuzz(func(t *testing.T, report, from, to, brand, by, format string, top, limit, offset int) {
		p := Params{Report: report, From: from, To: to, By: []string{by}, Format: format, Top: top, Limit: limit, Offset: offset}
		if brand != "" {
			p.Brands = []string{brand}
		}
		q, err := Parse(p, monday)
		if err != nil {
			return
		}
		plain := ask(t, Params{Report: report, By: []string{by}, Limit: min(limit, 1)}) // names of ours, or Parse had refused them
		if q.statement() != plain.statement() {
			t.Errorf("the statement depends on what was sent:\n%s", q.statement())
		}
		if !q.From.Before(q.To) {
			t.Errorf("from %s to %s", q.From, q.To)
		}
		if n := max(q.Top, q.Limit); n < 1 || n > MaxRows || q.Offset < 0 {
			t.Errorf("%d rows after %d", n, q.Offset)
		}
	})
}
