package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// A row is an answer's row by column, its values as text.
type row map[string]string

const null = "NULL"

// TestReports stores the world once and reads it in every way. Nothing here writes.
func TestReports(t *testing.T) {
	db := chtest.New(t)
	w := newWorld()
	w.store(t, db)
	t.Run("views tell what happened", func(t *testing.T) { viewsTellWhatHappened(t, db, w) })
	t.Run("rollups equal raw", func(t *testing.T) { equalRollups(t, db) })
	t.Run("answers merge over the span", func(t *testing.T) { answersMergeOverTheSpan(t, db, w) })
	t.Run("answers agree with views", func(t *testing.T) { answersAgreeWithViews(t, db) })
	t.Run("conversion totals keep events apart", func(t *testing.T) { conversionTotalsKeepEventsApart(t, db, w) })
	t.Run("a scope hides other brands", func(t *testing.T) { scopeHidesOtherBrands(t, db) })
	t.Run("a top adds up the others", func(t *testing.T) { topAddsUpTheOthers(t, db, w) })
	t.Run("every report has others", func(t *testing.T) { othersOfEveryReport(t, db) })
	t.Run("pages have all rows", func(t *testing.T) { pagesHaveAllRows(t, db) })
	t.Run("conflicts", func(t *testing.T) { conflictsStandBehindConversions(t, db, w) })
	t.Run("API", func(t *testing.T) { apiAnswers(t, db) })
}

// viewsTellWhatHappened compares every number of every report view with what the rows of the world come to.
func viewsTellWhatHappened(t *testing.T, db *chtest.DB, w *world) {
	t.Run("influencers", func(t *testing.T) {
		by := []string{"day", "brand", "campaign", "influencer", "tier", "platform"}
		equalRows(t, w.group(w.creatorFacts(), by, creatorNumbers), selectAll(t, db, "report_influencers"))
	})
	t.Run("campaigns", func(t *testing.T) {
		by := []string{"day", "brand", "campaign"}
		equalRows(t, w.group(w.creatorFacts(), by, creatorNumbers), selectAll(t, db, "report_campaigns"))
	})
	t.Run("utm", func(t *testing.T) {
		by := []string{
			"hour", "brand", "campaign", "influencer", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term",
		}
		equalRows(t, w.group(w.clickFacts(), by, clickNumbers), selectAll(t, db, "report_utm"))
	})
	t.Run("geo", func(t *testing.T) {
		by := []string{"day", "brand", "campaign", "influencer", "country", "region", "city"}
		equalRows(t, w.group(w.clickFacts(), by, clickNumbers), selectAll(t, db, "report_geo"))
	})
	t.Run("conversions", func(t *testing.T) {
		equalRows(t, w.conversionRows(), selectAll(t, db, "report_conversions"))
	})
	t.Run("conflicts", func(t *testing.T) {
		equalRows(t, w.conflictRows(), selectAll(t, db, "report_conversion_conflicts"))
	})
	t.Run("ledger", func(t *testing.T) {
		equalRows(t, w.ledgerRows(), selectAll(t, db, "report_ledger"))
	})
	t.Run("devices", func(t *testing.T) {
		equalRows(t, w.deviceRows(), selectRows(t, db, `
			SELECT day, brand_id, campaign_id, platform, device, os, browser,
				sum(gross) AS gross, sum(valid) AS valid, sum(billable) AS billable
			FROM clicks_by_device_daily GROUP BY ALL`))
	})
}

// TestEmptyDatabase has nothing to report, and says so without failing.
func TestEmptyDatabase(t *testing.T) {
	db := chtest.New(t)
	for _, view := range []string{
		"influencers", "campaigns", "utm", "geo", "conversions", "conversion_conflicts", "ledger",
	} {
		if rows := selectAll(t, db, "report_"+view); len(rows) > 0 {
			t.Errorf("report_%s of an empty database: %v", view, rows)
		}
	}
}

func newWorld() *world {
	rng := rand.New(rand.NewPCG(1, 2))
	w := references()
	w.addClicks(3000, rng)
	w.addConversions(rng)
	w.addLedger()
	return w
}

// store writes the world as control and the edges do: conversions first, before their clicks land, and clicks in
// batches that keep to a week.
func (w *world) store(t testing.TB, db *chtest.DB) {
	t.Helper()
	insert(t, db.Conn, "brands", w.brands)
	insert(t, db.Conn, "campaigns", w.campaigns)
	insert(t, db.Conn, "influencers", w.influencers)
	insert(t, db.Conn, "influencer_followers", w.followers)
	insert(t, db.Conn, "links", w.links)
	insert(t, db.Conn, "commission_rules", w.rules)
	w.resend(t, db)
	insert(t, db.Conn, "node_ledger", w.ledger)
}

// resend sends every batch of an edge, under its token; doing it again changes nothing.
func (w *world) resend(t testing.TB, db *chtest.DB) {
	t.Helper()
	edge := chtest.Open(t, db.DSN(engine.Edge))
	for i := range batches {
		n := len(w.conversions)
		insertEdge(t, edge, "conversions", fmt.Sprint("conversions-", i), w.conversions[n*i/batches:n*(i+1)/batches])
	}
	byBatch := map[string][]click{}
	for _, c := range w.clicks {
		week := int(c.TS.Sub(monday) / (7 * 24 * time.Hour))
		id := fmt.Sprint(week, "-", c.Batch)
		byBatch[id] = append(byBatch[id], c)
	}
	for id, rows := range byBatch {
		insertEdge(t, edge, "clicks", id, rows)
	}
}

// selectAll reads a whole view.
func selectAll(t testing.TB, db *chtest.DB, view string) []row {
	t.Helper()
	return selectRows(t, db, "SELECT * FROM "+view)
}

func selectRows(t testing.TB, db *chtest.DB, query string) []row {
	t.Helper()
	rows, err := db.Conn.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		values, err := scan(rows)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, named(rows.Columns(), values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func named(columns []string, values []any) row {
	r := row{}
	for i, v := range values {
		switch v := v.(type) {
		case nil:
			r[columns[i]] = null
		case float64:
			r[columns[i]] = ratio(v)
		default:
			r[columns[i]] = fmt.Sprint(v)
		}
	}
	return r
}

// ratio is a floating-point number up to what two ways of computing it may differ.
func ratio(v float64) string { return strconv.FormatFloat(v, 'g', 12, 64) }

// equalRows compares rows in any order.
func equalRows(t testing.TB, want, got []row) {
	t.Helper()
	if len(want) == 0 {
		t.Error("the world says nothing about this report")
	}
	if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func lines(rows []row) []string {
	all := make([]string, len(rows))
	for i, r := range rows {
		all[i] = strings.TrimPrefix(fmt.Sprint(map[string]string(r)), "map")
	}
	slices.Sort(all)
	return all
}

func (w *world) ledgerRows() []row {
	type account struct {
		ledgerRow
		stored, lost uint64
	}
	accounts := map[string]*account{}
	newest := map[string]ledgerRow{}
	for _, r := range w.ledger {
		id := r.Spool + r.Hour.String()
		if r.Batch >= newest[id].Batch {
			newest[id] = r
		}
	}
	for _, r := range newest {
		id := fmt.Sprint(r.Hour, r.Node)
		a := accounts[id]
		if a == nil {
			a = &account{ledgerRow: ledgerRow{Hour: r.Hour, Node: r.Node, Dropped: map[string]uint64{}}}
			accounts[id] = a
		}
		a.Accepted += r.Accepted
		a.Waiting += r.Waiting
		for reason, n := range r.Dropped {
			a.Dropped[reason] += n
			a.lost += n
		}
		for _, c := range w.clicks {
			if c.Batch[:16] == r.Spool && c.TS.Truncate(time.Hour).Equal(r.Hour) && batchNumber(c.Batch) <= r.Batch {
				a.stored++
			}
		}
	}
	var rows []row
	for _, a := range accounts {
		rows = append(rows, row{
			"hour": a.Hour.Format(time.RFC3339), "node": fmt.Sprint(a.Node), "accepted": count(a.Accepted), "stored": count(a.stored),
			"waiting": count(a.Waiting), "dropped": count(a.lost), "dropped_reasons": fmt.Sprint(a.Dropped),
			"balanced": fmt.Sprint(a.Accepted == a.stored+a.Waiting+a.lost),
		})
	}
	return rows
}

func batchNumber(batch string) uint64 {
	n, err := strconv.ParseUint(batch[17:], 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	return n
}

func (w *world) deviceRows() []row {
	groups := map[string]sums{}
	keys := map[string]row{}
	for _, c := range w.clicks {
		key := row{
			"day": c.TS.Format(time.DateOnly), "brand_id": fmt.Sprint(c.Brand), "campaign_id": fmt.Sprint(c.Campaign),
			"platform": c.Platform, "device": c.Device, "os": c.OS, "browser": c.Browser,
		}
		total := groups[fmt.Sprint(key)]
		total.add(clickSums(c))
		groups[fmt.Sprint(key)], keys[fmt.Sprint(key)] = total, key
	}
	var rows []row
	for id, key := range keys {
		s := groups[id]
		key["gross"], key["valid"], key["billable"] = count(s.gross), count(s.valid), count(s.billable)
		rows = append(rows, key)
	}
	return rows
}
