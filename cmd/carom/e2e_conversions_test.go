package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// loadStatement imports theStatement and returns its lines as messages.
func loadStatement(t *testing.T, s *system, today time.Time, clicks map[string]*click) []*message {
	t.Helper()
	text := onDays(today, strings.ReplaceAll(theStatement, "{winter}", clicks["winter"].id))
	sent := time.Now()
	s.load("conversions", text)
	known := time.Now()
	lines := parseCSV(t, strings.NewReader(text))
	var told []*message
	for _, line := range lines[1:] {
		fields := url.Values{}
		for i, name := range lines[0] {
			fields.Set(name, line[i])
		}
		from, to, name := sent, known, ""
		if ts, err := time.Parse(time.RFC3339, fields.Get("ts")); err == nil {
			from, to = ts, ts
		}
		if fields.Get("click_id") != "" {
			name = "winter"
		}
		told = append(told, newMessage(fields, clicks, name, from, to))
	}
	return told
}

// compareConversions checks the report of conversions, on their own days. How long a conversion took is known between
// bounds, and so is the median.
func compareConversions(s *system, m *model) {
	keys := []string{"day", "brand", "campaign", "influencer", "event", "status", "signed"}
	groups := map[string][]*message{}
	keysOf := map[string]row{}
	for _, c := range m.once() {
		r := m.keysOf(c.worldLink, c.happened)
		r["event"], r["status"], r["signed"] = c.event, c.status, strconv.FormatBool(c.signed)
		key := row{"currency": r["currency"]}
		for _, name := range keys {
			key[name] = r[name]
		}
		groups[fmt.Sprint(key)] = append(groups[fmt.Sprint(key)], c)
		keysOf[fmt.Sprint(key)] = key
	}
	got := s.report("conversions", "--by", strings.Join(keys, ","))
	const rounding = 0.00005 // of four digits
	var want []row
	for id, conversions := range groups {
		r := keysOf[id]
		sum, contradicted := decimal.Zero, 0
		for _, c := range conversions {
			sum = sum.Add(c.amount)
			if c.signed && slices.Contains([]string{"sale 1001", "refund r3", "refund r4"}, c.event+" "+c.txid) {
				contradicted++
			}
		}
		r["conversions"], r["amount"], r["conflicts"] = strconv.Itoa(len(conversions)), moneyText(sum), strconv.Itoa(contradicted)
		r["median_hours_to_convert"] = "null"
		if low, high, ok := medianBounds(conversions); ok {
			r["median_hours_to_convert"] = fmt.Sprintf("%g to %g", low, high)
			for _, line := range got { // what is within the bounds is as good as what the model says
				if f, ok := within(line, r, keys); ok && f >= low-rounding && f <= high+rounding {
					line["median_hours_to_convert"] = r["median_hours_to_convert"]
				}
			}
		}
		want = append(want, r)
	}
	compare(s.t, "report conversions", want, got)
}

// within returns the median of the line with the keys of want.
func within(line map[string]any, want row, keys []string) (float64, bool) {
	for _, name := range keys {
		if valueText(line[name]) != want[name] {
			return 0, false
		}
	}
	number, ok := line["median_hours_to_convert"].(json.Number)
	if !ok {
		return 0, false
	}
	f, err := number.Float64()
	return f, err == nil
}

// medianBounds are the medians of the least and of the most hours from click to conversion, among those with a click.
func medianBounds(conversions []*message) (low, high float64, ok bool) {
	var least, most []float64
	for _, c := range conversions {
		if c.click == nil {
			continue
		}
		// Times are stored in whole milliseconds, and nothing converts before its click.
		const rounding = time.Millisecond
		least = append(least, max(0, (c.happened.Sub(c.click.known)-rounding).Hours()))
		most = append(most, max(0, (c.happenedLatest.Sub(c.click.sent)+rounding).Hours()))
	}
	if len(least) == 0 {
		return 0, 0, false
	}
	return median(least), median(most), true
}

func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// compareConflicts checks that an amount that was told otherwise stands as first told, that refunds take no more than their
// sale has earned, and that both is shown.
func compareConflicts(s *system) {
	rows, err := s.db.Query(s.t.Context(), `SELECT concat(brand, ' ', campaign, ' ', influencer, ' ', event, ' ', txid, ' ', toString(amount), ' not ',
		toString(other_amount), ' ', currency, ', told ', toString(times)) FROM report_conversion_conflicts ORDER BY ALL`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			s.t.Fatal(err)
		}
		got = append(got, line)
	}
	want := []string{
		"acme boots lena refund r4 0 not 5 EUR, told 1",
		"acme boots lena sale 1001 57.01 not 59.9 EUR, told 1",
		"acme boots tom refund r3 47.91 not 12.09 EUR, told 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("report_conversion_conflicts (-want +got):\n%s", diff)
	}
}
