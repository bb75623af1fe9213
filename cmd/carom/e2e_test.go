package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Two brands are imported, known clicks and conversions come in over HTTP, and every number of every report is what an
// independent model makes of them.
func TestClicksToReports(t *testing.T) {
	t.Parallel()
	s := startUp(t, filepath.Join(t.TempDir(), "data"), "--empty", "--trusted-proxies=127.0.0.0/8")
	hour := quietHour()
	m := &model{t: t, today: hour.Truncate(24 * time.Hour)}
	urls := loadWorld(s, m.today)
	secrets := postbackKeys(s)
	before := metrics(t, s.admin)

	named := map[string]*click{}
	for _, tap := range theTaps {
		c := tap.send(t, s.http, urls)
		m.clicks = append(m.clicks, c)
		if tap.name != "" {
			named[tap.name] = c
		}
	}
	pages := askForOtherThings(t, s, urls)
	for _, notice := range theNotices {
		if told := notice.send(t, s.http, secrets, named); told != nil {
			m.messages = append(m.messages, told)
		}
		time.Sleep(2 * time.Millisecond) // the order of what is received in one millisecond is nobody's
	}
	m.messages = append(m.messages, loadStatement(t, s, m.today, named)...)
	if !time.Now().UTC().Truncate(time.Hour).Equal(hour) {
		t.Fatal("this took longer than an hour's end allows: run it again")
	}
	s.eventually("all clicks and conversions are stored", func() bool {
		return s.count("SELECT count() FROM clicks") >= uint64(len(m.clicks)) &&
			s.count("SELECT count() FROM conversions") >= uint64(len(m.messages)) &&
			s.count("SELECT sum(accepted) FROM report_ledger WHERE waiting = 0") >= uint64(len(m.clicks))
	})

	t.Run("clicks", func(t *testing.T) { compareClicks(s.in(t), m) })
	t.Run("reports", func(t *testing.T) { compareReports(s.in(t), m) })
	t.Run("conversions", func(t *testing.T) { compareConversions(s.in(t), m) })
	t.Run("conflicts", func(t *testing.T) { compareConflicts(s.in(t)) })
	t.Run("ledger", func(t *testing.T) {
		n, at := strconv.Itoa(len(m.clicks)), hour.Format(time.RFC3339)
		rows := slices.DeleteFunc(s.in(t).report("ledger"), func(r map[string]any) bool { // the hour that has begun since
			return r["hour"] != at && fmt.Sprint(r["accepted"]) == "0"
		})
		compare(t, "report ledger", []row{{
			"hour": at, "node": "1", "accepted": n, "stored": n, "waiting": "0", "dropped": "0",
			"dropped_reasons": "map[]", "balanced": "true",
		}}, rows)
	})
	t.Run("rollups", func(t *testing.T) { compareRollups(s.in(t)) })
	t.Run("alerts", func(t *testing.T) { checkAlerts(t, before) })
	t.Run("metrics", func(t *testing.T) { compareMetrics(s.in(t), m, pages, before) })
}

// quietHour waits out the last seconds of an hour, so that all clicks are of one, and returns it.
func quietHour() time.Time {
	const enough = 30 * time.Second
	now := time.Now().UTC()
	if end := now.Truncate(time.Hour).Add(time.Hour); end.Sub(now) < enough {
		time.Sleep(end.Sub(now))
	}
	return time.Now().UTC().Truncate(time.Hour)
}

// postbackKeys makes a key for each brand and waits until the edge knows it.
func postbackKeys(s *system) map[string]string {
	s.t.Helper()
	secrets := map[string]string{}
	for _, brand := range []string{"acme", "nordic"} {
		secrets[brand] = strings.TrimSpace(s.carom("keys", "new", "--brand", brand, "--kind", "postback"))
	}
	// A message with the right key and an old time is refused for the time.
	stale := url.Values{"ts": {"1"}}
	s.eventually("the edge knows the keys", func() bool {
		for brand, secret := range secrets {
			got := ask(s.t, s.http, http.MethodGet, "http://go."+brand+".localhost/_/postback?"+signed(secret, stale), "")
			if !strings.Contains(got.body, `"field":"ts"`) {
				return false
			}
		}
		return true
	})
	return secrets
}

// askForOtherThings sends what is no click and returns how often each outcome of carom_redirects_total comes of it.
func askForOtherThings(t *testing.T, s *system, urls map[string]string) map[string]float64 {
	t.Helper()
	code := urls["acme/boots-lena"]
	forged := code[:len(code)-1] + string(map[bool]byte{true: 'a', false: 'b'}[code[len(code)-1] != 'a'])
	slug := urls["nordic/winter-lena"]
	const acme, nordic = "http://go.acme.localhost/", "http://go.nordic.localhost/"
	outcomes := map[string]float64{}
	for _, test := range []struct {
		method, address string
		status          int
		location        string
		outcome         string
	}{
		{"GET", forged, 302, "https://www.acme.example/not-found", "unknown"},
		{"GET", acme + "no-such-slug", 302, "https://www.acme.example/not-found", "unknown"},
		{"GET", nordic + code[strings.LastIndexByte(code, '/')+1:], 404, "", "unknown"}, // another brand's code
		{"GET", slug[:strings.IndexByte(slug, '~')], 404, "", "unknown"},                // without the signature that the domain demands
		{"GET", "http://elsewhere.localhost/x", 404, "", "unknown"},
		{"GET", acme, 302, "https://www.acme.example/", "page"},
		{"GET", nordic, 200, "", "page"},
		{"GET", acme + "robots.txt", 200, "", "page"},
		{"GET", acme + "favicon.ico", 204, "", "page"},
		{"GET", acme + "_/carom.js", 200, "", "page"},
		{"POST", code, 405, "", "method"},
		{"OPTIONS", code, 204, "", "method"},
	} {
		got := ask(t, s.http, test.method, test.address, "")
		if got.status != test.status || got.header.Get("Location") != test.location {
			t.Errorf("%s %s: %d to %q, want %d to %q", test.method, test.address, got.status, got.header.Get("Location"), test.status, test.location)
		}
		outcomes[test.outcome]++
	}
	return outcomes
}

// compareClicks checks each row of clicks, and that each id that was seen in a location is there once.
func compareClicks(s *system, m *model) {
	var want []map[string]string
	ids := map[string]bool{}
	for _, c := range m.clicks {
		want = append(want, c.row(s.t))
		ids[c.id] = true
	}
	got := clickRows(s)
	for _, r := range got {
		if !ids[r["click_id"]] {
			r["click_id"] = "" // of a link that has ended: the id was told to nobody
		}
	}
	byText := cmpopts.SortSlices(func(a, b map[string]string) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	if diff := cmp.Diff(want, got, byText); diff != "" {
		s.t.Errorf("rows of clicks (-want +got):\n%s", diff)
	}
	if n := s.count("SELECT toUInt64(count() - uniqExact(click_id)) FROM clicks"); n != 0 {
		s.t.Error("a click id is stored twice")
	}
	if n := s.count("SELECT countIf(ip_prefix = toIPv6('194.25.0.60')) FROM clicks"); n != 0 {
		s.t.Errorf("%d rows hold a whole address", n)
	}
}

// compareReports checks the reports of clicks and money, by their own keys over the whole span and by day or hour.
func compareReports(s *system, m *model) {
	facts := m.facts()
	clicksAndSales := slices.DeleteFunc(slices.Clone(facts), func(f fact) bool { return f.kind != "click" && f.kind != "sale" })
	creators := []string{"brand", "campaign", "influencer", "tier", "platform"}
	utm := []string{"brand", "campaign", "influencer", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"}
	geo := []string{"brand", "campaign", "influencer", "country", "region", "city"}
	for _, report := range []struct {
		name   string
		by     []string
		span   string // finest
		facts  []fact
		finish func(measures) row
	}{
		{"influencers", creators, "day", facts, creatorColumns},
		{"campaigns", []string{"brand", "campaign"}, "day", facts, creatorColumns},
		{"utm", utm, "hour", clicksAndSales, countsOf},
		{"geo", geo, "day", clicksAndSales, countsOf},
	} {
		compare(s.t, "report "+report.name, group(report.facts, report.by, report.finish), s.report(report.name))
		for _, by := range [][]string{append([]string{report.span}, report.by...), {"brand"}, {"day"}} {
			compare(s.t, fmt.Sprintf("report %s by %v", report.name, by), group(report.facts, by, report.finish),
				s.report(report.name, "--by", strings.Join(by, ",")))
		}
		acme := slices.DeleteFunc(slices.Clone(report.facts), func(f fact) bool { return f.keys["brand"] != "acme" })
		compare(s.t, "report "+report.name+" of acme", group(acme, report.by, report.finish), s.report(report.name, "--brand", "acme"))
	}
}

// compareRollups checks that each rollup adds up to the raw rows.
func compareRollups(s *system) {
	const raw = "brand_id, campaign_id, count(), sum(clicks.valid), sum(clicks.billable)"
	const rolled = "brand_id, campaign_id, sum(gross), sum(valid), sum(billable)"
	visitors := map[string]string{raw: ", uniqExactIf(visitor, clicks.valid)", rolled: ", uniqCombined64Merge(visitors)"}
	sums := func(columns, table string) string {
		var text string
		statement := "SELECT toString(groupArray(tuple(*))) FROM (SELECT " + columns + " FROM " + table + " GROUP BY ALL ORDER BY ALL)"
		if err := s.db.QueryRow(s.t.Context(), statement).Scan(&text); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
		return text
	}
	for _, table := range []string{"clicks_by_influencer_daily", "clicks_by_utm_hourly", "clicks_by_geo_daily"} {
		if want, got := sums(raw+visitors[raw], "clicks"), sums(rolled+visitors[rolled], table); want != got {
			s.t.Errorf("%s: %s, raw rows say %s", table, got, want)
		}
	}
	if want, got := sums(raw, "clicks"), sums(rolled, "clicks_by_device_daily"); want != got {
		s.t.Errorf("clicks_by_device_daily: %s, raw rows say %s", got, want)
	}
	if want, got := s.count("SELECT count() FROM clicks"), s.count("SELECT sum(rows) FROM clicks_by_batch"); want != got {
		s.t.Errorf("clicks_by_batch: %d rows of %d", got, want)
	}
	if want, got := s.count("SELECT count() FROM conversions"), s.count("SELECT sum(messages) FROM conversions_by_influencer_daily"); want != got {
		s.t.Errorf("conversions_by_influencer_daily: %d messages of %d", got, want)
	}
}

// compareMetrics checks what Prometheus is told: the names, and that the numbers are those of the model.
func compareMetrics(s *system, m *model, outcomes, before map[string]float64) {
	got := metrics(s.t, s.admin)
	want := map[string]float64{
		"carom_clicks_accepted_total": float64(len(m.clicks)), "carom_clicks_stored_total": float64(len(m.clicks)), "carom_clicks_waiting": 0,
		"carom_flush_rows_total": float64(len(m.clicks)), "carom_links": float64(len(theLinks)), "carom_spool_oldest_unflushed_seconds": 0,
	}
	for _, reason := range []string{"buffer_full", "shutdown", "damaged"} {
		want[`carom_clicks_dropped_total{reason="`+reason+`"}`] = 0
	}
	outcomes = maps.Clone(outcomes)
	for _, c := range m.clicks {
		outcome := "redirect"
		for _, reason := range c.reasons {
			want[`carom_clicks_flagged_total{reason="`+reason+`"}`]++
			if reason == "expired" || reason == "disabled" {
				outcome = reason
			}
		}
		outcomes[outcome]++
	}
	for outcome, n := range outcomes {
		want[`carom_redirects_total{outcome="`+outcome+`"}`] = n
	}
	accepted := `carom_conversions_total{outcome="accepted"}`
	for _, n := range theNotices {
		if n.refused == "" {
			want[accepted]++
		} else {
			want[`carom_conversions_total{outcome="`+n.refused+`"}`]++
		}
	}
	for name, n := range want {
		value := got[name]
		if strings.Contains(name, "_total") {
			value -= before[name]
		}
		if value != n {
			s.t.Errorf("%s is %v, want %v", name, value, n)
		}
	}
	names := slices.Collect(maps.Keys(got))
	for _, name := range []string{
		"carom_redirect_duration_seconds_count", "carom_spool_bytes", "carom_flush_duration_seconds_count", "carom_flush_errors_total{",
		"carom_link_table_age_seconds", "carom_geo_database_age_seconds", "carom_build_info{",
	} {
		if !slices.ContainsFunc(names, func(sample string) bool { return strings.HasPrefix(sample, name) }) {
			s.t.Errorf("there is no %s", name)
		}
	}
	for name := range got {
		if strings.Contains(name, "localhost") || strings.Contains(name, "Mozilla") {
			s.t.Errorf("a label holds what a request has said: %s", name)
		}
	}
}
