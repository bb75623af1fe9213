package report

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// sample has a value of every kind, text that a spreadsheet or a terminal would obey, others and a total.
func sample() *Result {
	return &Result{
		Columns: []string{"influencer", "signed", "node", "gross", "roi", "revenue", "reasons", "currency"},
		Keys:    3,
		Rows: [][]any{
			{"=HYPERLINK(\"http://evil\")", true, uint16(1), uint64(1234567), 0.125, dec("12.5"), map[string]uint64{"full": 2, "expired": 1}, "EUR"},
			{"née, \"Bé\"\x1b[31m", false, uint16(2), uint64(0), nil, dec("-3.0005"), map[string]uint64{}, "EUR"},
			{"-5", false, uint16(3), uint64(9), 1e-7, dec("1000"), map[string]uint64{}, "JPY"},
		},
		Others: [][]any{{nil, nil, nil, uint64(3), 0.5, dec("0.01"), map[string]uint64{}, "EUR"}},
		Top:    3, Rank: "gross",
		Totals: [][]any{{nil, nil, nil, uint64(1234567), -1.0, dec("9.4995"), map[string]uint64{}, "EUR"}},
	}
}

func TestWrite(t *testing.T) {
	tests := map[Format]string{
		Table: `
influencer                 signed  node    gross      roi  revenue  reasons           currency
=HYPERLINK("http://evil")  true       1  1234567   0.1250    12.50  expired=1 full=2  EUR
née, "Bé"�[31m             false      2        0        -    -3.00                    EUR
-5                         false      3        9   0.0000     1000                    JPY
(others)                                       3   0.5000     0.01                    EUR
-------------------------  ------  ----  -------  -------  -------  ----------------  --------
total                                    1234567  -1.0000     9.50                    EUR
(others) adds up all rows but the 3 with the highest gross; a larger top shows more, up to 50000
`,
		CSV: `
influencer,signed,node,gross,roi,revenue,reasons,currency
"'=HYPERLINK(""http://evil"")",true,1,1234567,0.1250,12.5000,expired=1 full=2,EUR
"née, ""Bé""` + "\x1b" + `[31m",false,2,0,,-3.0005,,EUR
-5,false,3,9,0.0000,1000.0000,,JPY
(others),,,3,0.5000,0.0100,,EUR
`,
		JSON: `
[
{"influencer":"=HYPERLINK(\"http://evil\")","signed":true,"node":1,"gross":1234567,"roi":0.1250,"revenue":"12.5000","reasons":{"expired":1,"full":2},"currency":"EUR"},
{"influencer":"née, \"Bé\"\u001b[31m","signed":false,"node":2,"gross":0,"roi":null,"revenue":"-3.0005","reasons":{},"currency":"EUR"},
{"influencer":"-5","signed":false,"node":3,"gross":9,"roi":0.0000,"revenue":"1000.0000","reasons":{},"currency":"JPY"},
{"influencer":null,"signed":null,"node":null,"gross":3,"roi":0.5000,"revenue":"0.0100","reasons":{},"currency":"EUR","others":true}
]
`,
	}
	for format, want := range tests {
		t.Run(string(format), func(t *testing.T) {
			var out strings.Builder
			if err := sample().Write(&out, format); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), out.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDisarm(t *testing.T) {
	tests := []struct{ cell, want string }{
		{"", ""},
		{"ana", "ana"},
		{"a=1", "a=1"},
		{"=1+1", "'=1+1"},
		{"+SUM(A1)", "'+SUM(A1)"},
		{"-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"},
		{"@import", "'@import"},
		{"\t=1", "'\t=1"},
		{"\r=1", "'\r=1"},
		{"\n=1", "'\n=1"},
		{"=", "'="},
		{"-", "'-"},
		{"-5", "-5"},
		{"+49.5", "+49.5"},
		{"-5-5", "'-5-5"},
		{"-1e9", "'-1e9"},
		{"'=1", "'=1"},
	}
	for _, tt := range tests {
		if got := Disarm(tt.cell); got != tt.want {
			t.Errorf("Disarm(%q) = %q, want %q", tt.cell, got, tt.want)
		}
	}
}

func TestMoney(t *testing.T) {
	tests := []struct{ amount, currency, table, exact string }{
		{"0", "EUR", "0.00", "0.0000"},
		{"12.5", "EUR", "12.50", "12.5000"},
		{"0.0049", "EUR", "0.00", "0.0049"},
		{"0.0050", "EUR", "0.01", "0.0050"},
		{"-7.005", "USD", "-7.01", "-7.0050"},
		{"100.25", "JPY", "100", "100.2500"},
		{"1.5", "KWD", "1.500", "1.5000"},
		{"99999999999999.9949", "EUR", "99999999999999.99", "99999999999999.9949"},
		{"3", "", "3.0000", "3.0000"},
	}
	for _, tt := range tests {
		amount := decimal.RequireFromString(tt.amount)
		if table, exact := rounded(amount, tt.currency), text(amount); table != tt.table || exact != tt.exact {
			t.Errorf("%s %s: %q in a table, %q exactly; want %q, %q", tt.amount, tt.currency, table, exact, tt.table, tt.exact)
		}
	}
}

func TestTableOfWhatIsSmallUnknownOrNotThere(t *testing.T) {
	r := &Result{
		Columns: []string{"country", "epc", "currency"}, Keys: 1, Rows: [][]any{{"", dec("0.0123"), "EUR"}},
		From: monday, To: monday.AddDate(0, 0, 7),
	}
	var out strings.Builder
	if err := r.Write(&out, Table); err != nil || !strings.Contains(out.String(), "\n-        0.0123  EUR\n") {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	r.Rows = nil
	want := "no rows from " + monday.Format(dateLayout) + " to " + r.To.Format(dateLayout) + "\n"
	if err := r.Write(&out, Table); err != nil || out.String() != want {
		t.Errorf("%q, %v; want %q", out.String(), err, want)
	}
}

// TestAnyTextSurvives writes any text into a cell: CSV and JSON give it back, and no line of a table holds anything that a
// terminal obeys.
func TestAnyTextSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		r := &Result{Columns: []string{"influencer", "gross"}, Keys: 1, Rows: [][]any{{text, uint64(1)}}}
		written := func(f Format) string {
			var out strings.Builder
			if err := r.Write(&out, f); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}

		records, err := csv.NewReader(strings.NewReader(written(CSV))).ReadAll()
		if err != nil || len(records) != 2 {
			t.Fatalf("CSV: %v, %q", err, records)
		}
		crlf := strings.NewReplacer("\r\n", "\n") // which readers of CSV make of it
		if got := strings.TrimPrefix(records[1][0], "'"); crlf.Replace(got) != crlf.Replace(strings.TrimPrefix(text, "'")) {
			t.Errorf("CSV gave back %q", records[1][0])
		}
		var objects []map[string]any
		if err := json.Unmarshal([]byte(written(JSON)), &objects); err != nil || objects[0]["influencer"] != text {
			t.Errorf("JSON gave back %v, %v", objects, err)
		}
		table := written(Table)
		if strings.Count(table, "\n") != 2 || strings.ContainsFunc(table, func(c rune) bool { return c != '\n' && (c < ' ' || c == 0x7f) }) || !utf8.ValidString(table) {
			t.Errorf("table: %q", table)
		}
	})
}
