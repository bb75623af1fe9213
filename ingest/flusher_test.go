package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/geo"
	"carom/ingest/chtest"
	"carom/ingest/metric/metrictest"
)

// noPlaces is a database that knows no place.
func noPlaces(t testing.TB) *geo.DB {
	t.Helper()
	places, err := geo.New(geo.Default())
	if err != nil {
		t.Fatal(err)
	}
	return places
}

// testIngest starts an ingest against dsn; change may adjust its configuration.
func testIngest(t *testing.T, dsn string, change func(*Config)) (*Ingest, *prometheus.Registry) {
	t.Helper()
	c := Default()
	c.ClickHouse, c.Node, c.BatchAge = dsn, 7, 50*time.Millisecond
	if change != nil {
		change(&c)
	}
	reg := prometheus.NewRegistry()
	in, err := New(c, noPlaces(t), reg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	in.Start()
	return in, reg
}

// stopIngest drains and fails the test when something is left.
func stopIngest(t *testing.T, in *Ingest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

// testClick is the n-th of many different clicks.
func testClick(n int, at time.Time) *Click {
	c := &Click{
		Millis: at.UnixMilli(), Addr: netip.MustParseAddr("::ffff:203.0.113.77").As16(), Visitor: uint64(n) + 1,
		AgentHash: uint64(len(chrome)), Link: uint32(n%50) + 1, Brand: 1, Campaign: uint32(n%3) + 1, Influencer: uint32(n%7) + 1,
		Tier: TierMicro, Format: FormatOf("reel"),
		Host: []byte("go.acme.localhost"), Slug: []byte("spring"), Agent: []byte(chrome),
		Query:    []byte("utm_source=instagram&utm_medium=social&utm_campaign=spring%20boots&utm_content=c" + fmt.Sprint(n%5) + "&sub1=a%26b&sub5=é&"),
		Referrer: []byte("https://l.instagram.com/?u=x"), Language: []byte("de-DE,de;q=0.9"),
	}
	for i := range c.ID {
		c.ID[i] = byte(n >> (8 * (i % 4)))
	}
	return c
}

func count(t *testing.T, db *chtest.DB, query string) (n uint64) {
	t.Helper()
	if err := db.Conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// Every click that was put in is one row, with everything that was known of it, in the raw table and in each rollup.
func TestClicksBecomeRows(t *testing.T) {
	db := chtest.New(t)
	in, reg := testIngest(t, db.DSN(engine.Edge), func(c *Config) { c.BatchRows = 700 })
	now := time.Now()
	const producers, each = 4, 1500
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if !in.PutClick(uint64(p), testClick(p*each+i, now)) {
					t.Error("a click was refused")
				}
			}
		})
	}
	wg.Wait()
	stopIngest(t, in)

	const total = producers * each
	for _, q := range []string{
		"SELECT count() FROM clicks",
		"SELECT uniqExact(click_id) FROM clicks",
		"SELECT sum(gross) FROM clicks_by_influencer_daily",
		"SELECT sum(gross) FROM clicks_by_utm_hourly",
		"SELECT sum(gross) FROM clicks_by_geo_daily",
		"SELECT sum(gross) FROM clicks_by_device_daily",
		"SELECT sum(rows) FROM clicks_by_batch",
	} {
		if n := count(t, db, q); n != total {
			t.Errorf("%s = %d, want %d", q, n, total)
		}
	}
	var row struct {
		clickID, source, campaign, content, sub1, sub5, country, platform, device, os, browser, language, prefix, tier, format, host, slug string
		node                                                                                                                               uint16
		reasons                                                                                                                            uint32
		valid                                                                                                                              uint8
		ts                                                                                                                                 string
	}
	err := db.Conn.QueryRow(t.Context(), `SELECT toString(click_id), utm_source, utm_campaign, utm_content, sub1, sub5, country, platform, device, os,
		browser, language, toString(ip_prefix), tier, content_format, host, slug, node, reasons, valid, formatDateTime(ts, '%F %H:%i:%S') FROM clicks WHERE visitor = 4`).
		Scan(&row.clickID, &row.source, &row.campaign, &row.content, &row.sub1, &row.sub5, &row.country, &row.platform, &row.device, &row.os,
			&row.browser, &row.language, &row.prefix, &row.tier, &row.format, &row.host, &row.slug, &row.node, &row.reasons, &row.valid, &row.ts)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v", row)
	want := fmt.Sprintf("{clickID:AwAAAAMAAAADAAAAAwAAAA source:instagram campaign:spring boots content:c3 sub1:a&b sub5:é country: "+
		"platform:instagram device:desktop os:Windows browser:Chrome language:de prefix:::ffff:203.0.113.0 tier:micro format:reel "+
		"host:go.acme.localhost slug:spring node:7 reasons:0 valid:1 ts:%v}", now.UTC().Format(time.DateTime))
	if got != want {
		t.Errorf("row\n got %s\nwant %s", got, want)
	}

	for metric, want := range map[string]float64{
		"carom_clicks_accepted_total": total, "carom_clicks_stored_total": total, "carom_flush_rows_total": total, "carom_clicks_waiting": 0,
	} {
		if v := metrictest.Sum(t, reg, metric); v != want {
			t.Errorf("%s = %v, want %v", metric, v, want)
		}
	}
	// The ledger agrees with what ClickHouse holds.
	var accepted, stored, waiting, dropped uint64
	var balanced bool
	if err := db.Conn.QueryRow(t.Context(), `SELECT toUInt64(sum(accepted)), toUInt64(sum(stored)), toUInt64(sum(waiting)),
		toUInt64(sum(dropped)), min(balanced) = 1 FROM report_ledger`).
		Scan(&accepted, &stored, &waiting, &dropped, &balanced); err != nil {
		t.Fatal(err)
	}
	if accepted != total || stored != total || waiting != 0 || dropped != 0 || !balanced {
		t.Errorf("ledger: accepted %d, stored %d, waiting %d, dropped %d, balanced %v", accepted, stored, waiting, dropped, balanced)
	}
}

// A batch never crosses a partition, and clicks of several weeks all arrive.
func TestWeeksAreSeparateBatches(t *testing.T) {
	db := chtest.New(t)
	in, _ := testIngest(t, db.DSN(engine.Edge), nil)
	monday := time.UnixMilli(weekOf(time.Now().UnixMilli())*millisPerWeek + firstMonday)
	for i, at := range []time.Time{monday.Add(-time.Millisecond), monday, monday.Add(-time.Hour), monday.Add(time.Hour), monday.AddDate(0, 0, -8)} {
		in.PutClick(0, testClick(i, at))
	}
	stopIngest(t, in)
	if n := count(t, db, "SELECT count() FROM clicks"); n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
	if n := count(t, db, "SELECT max(w) FROM (SELECT uniqExact(toMonday(ts)) w FROM clicks GROUP BY batch_id)"); n != 1 {
		t.Errorf("a batch spans %d weeks", n)
	}
}

func TestRepeatIsDuplicateAndNotBillable(t *testing.T) {
	db := chtest.New(t)
	in, reg := testIngest(t, db.DSN(engine.Edge), nil)
	now := time.Now()
	for i := range 3 {
		c := testClick(1, now.Add(time.Duration(i)*time.Second))
		in.PutClick(0, c)
	}
	later := testClick(1, now.Add(2*Default().DuplicateSpan))
	other := testClick(1, now)
	other.Link++
	in.PutClick(0, later)
	in.PutClick(0, other)
	ahead, tapped := testClick(2, now), testClick(2, now.Add(time.Second))
	ahead.Reasons = Prefetch
	in.PutClick(0, ahead)
	in.PutClick(0, tapped)
	stopIngest(t, in)
	if n := count(t, db, "SELECT count() FROM clicks WHERE has(reason_names, 'duplicate') AND valid = 1 AND billable = 0"); n != 2 {
		t.Errorf("%d duplicates, want 2", n)
	}
	if n := count(t, db, "SELECT count() FROM clicks WHERE billable = 1"); n != 4 {
		t.Errorf("%d billable clicks, want 4: the first, one later, one on another link, and the tap after a prefetch", n)
	}
	if v := metrictest.Sum(t, reg, "carom_clicks_flagged_total"); v != 3 {
		t.Errorf("carom_clicks_flagged_total sums to %v, want 3", v)
	}
}

func TestConversionsBecomeRows(t *testing.T) {
	db := chtest.New(t)
	in, _ := testIngest(t, db.DSN(engine.Edge), nil)
	now := time.Now().Truncate(time.Millisecond)
	for _, status := range []Status{Pending, Approved} {
		if !in.PutConversion(&Conversion{
			Received: now.UnixMilli(), Millis: now.UnixMilli() - 1000, ClickTime: now.UnixMilli() - 5000, Amount: 129_9500,
			Brand: 1, Campaign: 2, Influencer: 3, Link: 4, Status: status, Source: FromPostback, Signed: true,
			ClickID: "AwAAAAMAAAADAAAAAwAAAA", Event: "sale", TxID: "T-1", Currency: "EUR", Customer: "c1", Coupon: "LENA10",
		}) {
			t.Fatal("refused")
		}
	}
	stopIngest(t, in)
	var got string
	if err := db.Conn.QueryRow(t.Context(), `SELECT toString(groupArray((brand_id, campaign_id, influencer_id, link_id, click_id, event, txid,
		amount, currency, customer_id, coupon, toString(status), toString(source), signed, node, ts - click_ts)))
		FROM (SELECT * FROM conversions ORDER BY status)`).Scan(&got); err != nil {
		t.Fatal(err)
	}
	one := "(1,2,3,4,'AwAAAAMAAAADAAAAAwAAAA','sale','T-1',129.95,'EUR','c1','LENA10','%s','postback',true,7,4)"
	if want := "[" + fmt.Sprintf(one, "pending") + "," + fmt.Sprintf(one, "approved") + "]"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// The ring is full because ClickHouse cannot be reached: clicks are refused at once, each is counted, and what
// could not be delivered when the node must end is counted too.
func TestNothingIsLostSilently(t *testing.T) {
	db := chtest.New(t)
	const puts = 20_000
	in, reg := testIngest(t, "clickhouse://u:p@127.0.0.1:1/"+db.Name, func(c *Config) {
		c.Ring.Lanes, c.Ring.SegmentBytes, c.Ring.BudgetBytes = 2, 64<<10, 8*64<<10
	})
	refused := 0
	began := time.Now()
	for i := range puts {
		if !in.PutClick(uint64(i), testClick(i, began)) {
			refused++
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d puts took %v: something waits", puts, took)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := in.Stop(ctx); err == nil {
		t.Error("Stop reports nothing although clicks were not delivered")
	}
	accepted, stored := metrictest.Sum(t, reg, "carom_clicks_accepted_total"), metrictest.Sum(t, reg, "carom_clicks_stored_total")
	dropped := metrictest.Sum(t, reg, "carom_clicks_dropped_total")
	if accepted != puts || stored != 0 || dropped != puts || refused == 0 {
		t.Errorf("accepted %v, stored %v, dropped %v (refused %d), want %d, 0, %d", accepted, stored, dropped, refused, puts, puts)
	}
	if v := metrictest.Sum(t, reg, "carom_flush_errors_total"); v == 0 {
		t.Error("no flush error is counted")
	}
}
