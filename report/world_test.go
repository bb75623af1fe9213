package report

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"carom/ingest"
	"carom/ingest/chtest"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// The tests' world: two brands, three campaigns, four creators, as rows of the reference tables.

type brand struct {
	ID       uint32 `ch:"brand_id"`
	Key      string `ch:"brand"`
	Currency string `ch:"currency"`
	Deleted  bool   `ch:"deleted"`
	Version  uint64 `ch:"version"`
}

type campaign struct {
	ID      uint32 `ch:"campaign_id"`
	Key     string `ch:"campaign"`
	Brand   uint32 `ch:"brand_id"`
	Version uint64 `ch:"version"`
}

type influencer struct {
	ID        uint32 `ch:"influencer_id"`
	Key       string `ch:"influencer"`
	Platform  string `ch:"platform"`
	Followers uint64 `ch:"followers"`
	Deleted   bool   `ch:"deleted"`
	Version   uint64 `ch:"version"`
}

type followers struct {
	Influencer uint32    `ch:"influencer_id"`
	AsOf       time.Time `ch:"as_of"`
	Followers  uint64    `ch:"followers"`
	Version    uint64    `ch:"version"`
}

type link struct {
	ID          uint32          `ch:"link_id"`
	Brand       uint32          `ch:"brand_id"`
	Campaign    uint32          `ch:"campaign_id"`
	Influencer  uint32          `ch:"influencer_id"`
	Fee         decimal.Decimal `ch:"fee"`
	ProductCost decimal.Decimal `ch:"product_cost"`
	Starts      time.Time       `ch:"starts"`
	Deleted     bool            `ch:"deleted"`
	Version     uint64          `ch:"version"`
}

type rule struct {
	ID         uint32          `ch:"rule_id"`
	Campaign   uint32          `ch:"campaign_id"`
	Influencer uint32          `ch:"influencer_id"`
	Tier       string          `ch:"tier"`
	Event      string          `ch:"event"`
	Model      string          `ch:"model"`
	Rate       decimal.Decimal `ch:"rate"`
	Amount     decimal.Decimal `ch:"amount"`
	Starts     time.Time       `ch:"starts"`
	Ends       time.Time       `ch:"ends"`
	Deleted    bool            `ch:"deleted"`
	Version    uint64          `ch:"version"`
}

type click struct {
	TS          time.Time `ch:"ts"`
	ID          string    `ch:"click_id"`
	Link        uint32    `ch:"link_id"`
	Brand       uint32    `ch:"brand_id"`
	Campaign    uint32    `ch:"campaign_id"`
	Influencer  uint32    `ch:"influencer_id"`
	UTMSource   string    `ch:"utm_source"`
	UTMMedium   string    `ch:"utm_medium"`
	UTMCampaign string    `ch:"utm_campaign"`
	UTMContent  string    `ch:"utm_content"`
	UTMTerm     string    `ch:"utm_term"`
	Country     string    `ch:"country"`
	Region      string    `ch:"region"`
	City        string    `ch:"city"`
	Platform    string    `ch:"platform"`
	Device      string    `ch:"device"`
	OS          string    `ch:"os"`
	Browser     string    `ch:"browser"`
	Visitor     uint64    `ch:"visitor"`
	Reasons     uint32    `ch:"reasons"`
	Valid       uint8     `ch:"valid"`
	Billable    uint8     `ch:"billable"`
	Tier        string    `ch:"tier"`
	Node        uint16    `ch:"node"`
	Batch       string    `ch:"batch_id"`
}

type conversion struct {
	Received   time.Time       `ch:"received"`
	TS         time.Time       `ch:"ts"`
	Brand      uint32          `ch:"brand_id"`
	Campaign   uint32          `ch:"campaign_id"`
	Influencer uint32          `ch:"influencer_id"`
	Link       uint32          `ch:"link_id"`
	ClickID    string          `ch:"click_id"`
	ClickTS    time.Time       `ch:"click_ts"`
	Event      string          `ch:"event"`
	TxID       string          `ch:"txid"`
	RefTxID    string          `ch:"ref_txid"`
	Amount     decimal.Decimal `ch:"amount"`
	Currency   string          `ch:"currency"`
	Customer   string          `ch:"customer_id"`
	Coupon     string          `ch:"coupon"`
	Status     string          `ch:"status"`
	Source     string          `ch:"source"`
	Signed     bool            `ch:"signed"`
}

type ledgerRow struct {
	Hour     time.Time         `ch:"hour"`
	Node     uint16            `ch:"node"`
	Spool    string            `ch:"spool"`
	Batch    uint64            `ch:"batch"`
	Accepted uint64            `ch:"accepted"`
	Waiting  uint64            `ch:"waiting"`
	Dropped  map[string]uint64 `ch:"dropped"`
}

type world struct {
	brands      []brand
	campaigns   []campaign
	influencers []influencer
	followers   []followers
	links       []link
	rules       []rule
	clicks      []click
	conversions []conversion
	ledger      []ledgerRow
}

// monday is the first day of the world.
var monday = time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC)

func day(n int) time.Time                 { return monday.AddDate(0, 0, n) }
func at(n int, d time.Duration) time.Time { return day(n).Add(d) }
func dec(text string) decimal.Decimal     { return decimal.RequireFromString(text) }
func never() time.Time                    { return time.Unix(0, 0).UTC() }

const (
	acme, bolt             = 1, 2
	spring, summer, launch = 1, 2, 3
	ana, ben, cleo, dan    = 1, 2, 3, 4
)

// references are brands whose creators cover every way of being paid, a creator who grows into the next tier, one who
// was deleted, and links that cost something.
func references() *world {
	return &world{
		brands:    []brand{{acme, "acme", "EUR", false, 1}, {bolt, "bolt", "USD", true, 2}},
		campaigns: []campaign{{spring, "spring", acme, 3}, {summer, "summer", acme, 4}, {launch, "launch", bolt, 5}},
		influencers: []influencer{
			{ana, "ana", "instagram", 8_000, false, 6},
			{ben, "ben", "tiktok", 10_000, false, 8},
			{cleo, "cleo", "youtube", 2_000_000, true, 9},
			{dan, "dan", "x", 500, false, 10},
		},
		followers: []followers{{ben, day(0), 9_999, 7}, {ben, day(3), 10_000, 8}},
		links: []link{
			{ID: 1, Brand: acme, Campaign: spring, Influencer: ana, Fee: dec("150.50"), Starts: at(1, 9*time.Hour), Version: 11},
			{ID: 2, Brand: acme, Campaign: spring, Influencer: ben, ProductCost: dec("39.99"), Starts: day(-3), Version: 12},
			{ID: 3, Brand: acme, Campaign: summer, Influencer: cleo, Fee: dec("1000"), ProductCost: dec("10"), Starts: day(4), Deleted: true, Version: 13},
			{ID: 4, Brand: bolt, Campaign: launch, Influencer: ana, Starts: day(0), Version: 14},
			{ID: 5, Brand: bolt, Campaign: launch, Influencer: dan, Fee: dec("20"), Starts: at(2, 23*time.Hour), Version: 15},
			{ID: 6, Brand: acme, Campaign: spring, Influencer: ben, Fee: dec("5"), Starts: day(5), Version: 16},
			{ID: 7, Brand: acme, Campaign: summer, Influencer: ben, Starts: day(0), Version: 17},
		},
		rules: []rule{
			{ID: 1, Campaign: spring, Event: "sale", Model: "percent", Rate: dec("0.1"), Starts: day(-30), Ends: never()},
			{ID: 2, Campaign: spring, Influencer: ana, Event: "sale", Model: "cpa", Amount: dec("7.25"), Starts: day(2), Ends: at(5, 12*time.Hour)},
			{ID: 3, Campaign: spring, Tier: "micro", Event: "sale", Model: "percent", Rate: dec("0.123455"), Starts: day(-30), Ends: never()},
			{ID: 4, Campaign: spring, Event: "lead", Model: "cpa", Amount: dec("2"), Starts: day(-30), Ends: never()},
			{ID: 5, Campaign: summer, Event: "sale", Model: "cpc", Amount: dec("0.05"), Starts: day(0), Ends: never()},
			{ID: 6, Campaign: summer, Event: "sale", Model: "cpc", Amount: dec("0.0725"), Starts: at(4, 8*time.Hour), Ends: never()},
			{ID: 7, Campaign: summer, Event: "sale", Model: "percent", Rate: dec("1"), Starts: day(0), Ends: never(), Deleted: true},
			{ID: 8, Campaign: launch, Event: "sale", Model: "flat", Amount: dec("100"), Starts: day(12), Ends: never()},
			{ID: 9, Campaign: launch, Influencer: ana, Event: "sale", Model: "flat", Amount: dec("250"), Starts: day(-10), Ends: never()},
			{ID: 10, Campaign: launch, Tier: "unranked", Event: "sale", Model: "percent", Rate: dec("0.333333"), Starts: day(0), Ends: day(6)},
		},
	}
}

// spools names each node's rings; node 2 was started twice.
func spools() map[uint16][]string {
	return map[uint16][]string{1: {"00000000000000a1"}, 2: {"00000000000000b1", "00000000000000b2"}}
}

// batches is how many each spool sends a week.
const batches = 3

// addClicks puts n clicks of every kind into nine days, that is two weeks.
func (w *world) addClicks(n int, rng *rand.Rand) {
	for i := range n {
		l := w.links[rng.IntN(len(w.links))]
		ts := monday.Add(time.Duration(rng.Int64N(int64(9 * 24 * time.Hour)))).Truncate(time.Millisecond)
		node := uint16(1 + rng.IntN(2))
		rings := spools()[node]
		place := [][3]string{{"DE", "Berlin", "Berlin"}, {"DE", "Bavaria", "Munich"}, {"US", "", ""}, {"", "", ""}}[rng.IntN(4)]
		c := click{
			TS: ts, ID: fmt.Sprintf("click-%016d", i), Link: l.ID, Brand: l.Brand, Campaign: l.Campaign, Influencer: l.Influencer,
			UTMSource: pick(rng, "instagram", "newsletter"), UTMMedium: pick(rng, "social", ""), UTMCampaign: "c" + fmt.Sprint(l.Campaign),
			UTMContent: pick(rng, "", "story", "reel"), UTMTerm: pick(rng, "", "shoes"),
			Country: place[0], Region: place[1], City: place[2],
			Platform: pick(rng, "instagram", ""), Device: pick(rng, "mobile", "desktop"), OS: pick(rng, "iOS", "Android"), Browser: pick(rng, "Safari", "Chrome"),
			Visitor: uint64(rng.IntN(200)) * 0x9e3779b97f4a7c15,
			Tier:    w.tierAt(l.Influencer, ts.Add(-12*time.Hour)), // counts are imported at noon: a day may see two tiers
			Node:    node, Batch: fmt.Sprintf("%s-%d", rings[rng.IntN(len(rings))], 1+rng.IntN(batches)),
		}
		c.setReasons(randomReasons(rng))
		w.clicks = append(w.clicks, c)
	}
}

func (c *click) setReasons(r ingest.Reasons) {
	c.Reasons, c.Valid, c.Billable = uint32(r), 0, 0
	if r&^ingest.Duplicate == 0 {
		c.Valid = 1
	}
	if r == 0 {
		c.Billable = 1
	}
}

// randomReasons is nothing half of the time, and otherwise each reason and pairs of them.
func randomReasons(rng *rand.Rand) ingest.Reasons {
	if rng.IntN(2) == 0 {
		return 0
	}
	one, other := rng.IntN(9), rng.IntN(9)
	return 1<<one | 1<<other
}

func pick(rng *rand.Rand, from ...string) string { return from[rng.IntN(len(from))] }

// insertEdge writes rows as an edge does: its settings, one block under one token.
func insertEdge[R any](t testing.TB, edge driver.Conn, table, token string, rows []R) {
	t.Helper()
	if err := sendEdge(t.Context(), edge, table, token, rows); err != nil {
		t.Fatal(err)
	}
}

func sendEdge[R any](ctx context.Context, edge driver.Conn, table, token string, rows []R) error {
	return send(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"async_insert": 0, "insert_deduplicate": 1, "deduplicate_blocks_in_dependent_materialized_views": 1,
		"materialized_views_ignore_errors": 0, "insert_deduplication_token": token,
	})), edge, table, rows)
}

func insert[R any](t testing.TB, conn driver.Conn, table string, rows []R) {
	t.Helper()
	if err := send(t.Context(), conn, table, rows); err != nil {
		t.Fatal(err)
	}
}

func send[R any](ctx context.Context, conn driver.Conn, table string, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+columnsOf[R]()+")")
	if err != nil {
		return err
	}
	defer batch.Close()
	for i := range rows {
		if err := batch.AppendStruct(&rows[i]); err != nil {
			return err
		}
	}
	return batch.Send()
}

func columnsOf[R any]() string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[R]()) {
		names = append(names, f.Tag.Get("ch"))
	}
	return strings.Join(names, ", ")
}
