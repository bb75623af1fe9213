package redirect

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/ingest"
)

const day = 24 * time.Hour

// What becomes of the fields of a signed message.
func TestConversionIsAttributed(t *testing.T) {
	table := shopBuilder(t).Table()
	at := func(link uint32, ago time.Duration) (string, int64) {
		return shopClick(link, ago), shopNow.Add(-ago).UnixMilli()
	}
	id, clicked := at(1, time.Hour)
	deleted, deletedAt := at(3, 29*day)
	old, oldAt := at(1, 90*day)
	ahead, aheadAt := at(1, -30*time.Second)
	want := func(change func(*ingest.Conversion)) ingest.Conversion {
		c := ingest.Conversion{
			Received: 1780000000123, Millis: 1780000000000, ClickTime: clicked, Amount: 499000,
			Brand: 1, Campaign: 11, Influencer: 5, Link: 1, Status: ingest.Approved, Source: ingest.FromPostback, Signed: true,
			ClickID: id, Event: "sale", TxID: "1001", Currency: "EUR",
		}
		change(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		fields fields
		want   func(*ingest.Conversion)
	}{
		{"a sale", sale(), func(*ingest.Conversion) {}},
		{
			"names as other networks have them", sale("cid", id, "order_id", "A-7").without("click_id", "txid"),
			func(c *ingest.Conversion) { c.TxID = "A-7" },
		},
		{"subid", sale("subid", id).without("click_id"), func(*ingest.Conversion) {}},
		{"our names win over others", sale("cid", "customer 7", "subid", "x", "order_id", "y"), func(*ingest.Conversion) {}},
		{"empty is as good as left out", sale("event", "", "status", "", "coupon", "", "ref_txid", ""), func(*ingest.Conversion) {}},
		{"fields of the shop's own", sale("basket", strings.Repeat("x", 5000)), func(*ingest.Conversion) {}},
		{
			"every field", sale("event", "Sub.Scription-2_x", "ref_txid", "R", "customer_id", "Zoë", "coupon", "sara10", "status", "pending"),
			func(c *ingest.Conversion) {
				c.Event, c.RefTxID, c.Customer, c.Coupon, c.Status = "sub.scription-2_x", "R", "Zoë", "SARA10", ingest.Pending
			},
		},
		{"a click converts once per event", sale().without("txid"), func(c *ingest.Conversion) { c.TxID = id }},
		{
			"a lead needs no amount", sale("event", "lead").without("amount", "currency"),
			func(c *ingest.Conversion) { c.Event, c.Amount = "lead", 0 },
		},
		{"a sale of nothing", sale("amount", "0.00"), func(c *ingest.Conversion) { c.Amount = 0 }},
		{"the highest amount", sale("amount", "999999999999.99"), func(c *ingest.Conversion) { c.Amount = 9999999999999900 }},
		{"rejected", sale("status", "rejected"), func(c *ingest.Conversion) { c.Status = ingest.Rejected }},
		{
			"a refund has its own txid", sale("event", "refund", "txid", "R1", "ref_txid", "1001"),
			func(c *ingest.Conversion) { c.Event, c.TxID, c.RefTxID = "refund", "R1", "1001" },
		},
		{
			"a refund is never too late", sale("event", "refund", "txid", "R1", "ref_txid", "1001", "click_id", old),
			func(c *ingest.Conversion) {
				c.Event, c.TxID, c.RefTxID, c.ClickID, c.ClickTime = "refund", "R1", "1001", old, oldAt
			},
		},
		{"nor a rejection", sale("status", "rejected", "click_id", old), func(c *ingest.Conversion) {
			c.Status, c.ClickID, c.ClickTime = ingest.Rejected, old, oldAt
		}},
		{"a click on a link that is deleted by now", sale("click_id", deleted), func(c *ingest.Conversion) {
			c.ClickID, c.ClickTime, c.Link, c.Influencer = deleted, deletedAt, 3, 6
		}},
		{"a node whose clock is ahead", sale("click_id", ahead), func(c *ingest.Conversion) {
			c.ClickID, c.ClickTime, c.Millis = ahead, aheadAt, aheadAt
		}},
		{"no time of its own", sale().without("ts"), func(c *ingest.Conversion) { c.Millis = c.Received }},
		{"a coupon goes to its newest link", sale("coupon", "Sara10").without("click_id"), func(c *ingest.Conversion) {
			c.ClickID, c.ClickTime, c.Coupon, c.Link, c.Influencer = "", c.Millis, "SARA10", 4, 6
		}},
		{"a click id wins over a coupon", sale("coupon", "SARA10"), func(c *ingest.Conversion) { c.Coupon = "SARA10" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := message{fields: c.fields, source: ingest.FromPostback, signed: true, received: shopNow}
			got, why := table.conversion(table.Domain([]byte("acme.test")), m)
			if why != nil {
				t.Fatalf("refused: %+v", why)
			}
			if diff := cmp.Diff(want(c.want), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// What is refused, under which field and outcome. The same table is sent over a socket in postback_test.go.
var refusedConversions = []struct {
	name    string
	fields  fields
	outcome conversionOutcome
	field   string
}{
	{"no click id and no coupon", sale().without("click_id"), conversionBadField, "click_id"},
	{"a forged click id", sale("click_id", shopClickUnder([]byte("somebody's secret")[:16], 1, time.Hour)), conversionBadClick, "click_id"},
	{"an altered click id", sale("click_id", "B"+shopClick(1, time.Hour)[1:]), conversionBadClick, "click_id"},
	{"a shortened click id", sale("click_id", shopClick(1, time.Hour)[:21]), conversionBadClick, "click_id"},
	{"a click id that a coupon should make up for", sale("click_id", "x", "coupon", "SARA10"), conversionBadClick, "click_id"},
	{"a click id in another spelling", sale("click_id", shopClick(1, time.Hour)+"=="), conversionBadClick, "click_id"},
	{"a click of the future", sale("click_id", shopClick(1, -2*time.Minute)), conversionBadClick, "click_id"},
	{"a click on a link nobody knows", sale("click_id", shopClick(99, time.Hour)), conversionBadClick, "click_id"},
	{"a click on a link beyond all", sale("click_id", shopClick(MaxLink, time.Hour)), conversionBadClick, "click_id"},
	{"another brand's click", sale("click_id", shopClick(2, time.Hour)), conversionForeign, "click_id"},
	{"a click longer ago than the brand attributes", sale("click_id", shopClick(1, 30*day+time.Second)), conversionTooOld, "click_id"},
	{"an old click, pending", sale("click_id", shopClick(1, 31*day), "status", "pending"), conversionTooOld, "click_id"},
	{"an unknown coupon", sale("coupon", "NOBODY").without("click_id"), conversionBadCoupon, "coupon"},
	{"a deleted link's coupon", sale("coupon", "TOM10").without("click_id"), conversionBadCoupon, "coupon"},
	{"another brand's coupon", sale("coupon", "BOLT5").without("click_id"), conversionBadCoupon, "coupon"},
	{"a coupon without a txid", sale("coupon", "SARA10").without("click_id", "txid"), conversionBadField, "txid"},

	{"a sale without an amount", sale().without("amount"), conversionBadField, "amount"},
	{"a refund without an amount", sale("event", "refund", "ref_txid", "1").without("amount"), conversionBadField, "amount"},
	{"a negative amount", sale("amount", "-1"), conversionBadField, "amount"},
	{"not a number", sale("amount", "NaN"), conversionBadField, "amount"},
	{"infinite", sale("amount", "Infinity"), conversionBadField, "amount"},
	{"an exponent", sale("amount", "1e3"), conversionBadField, "amount"},
	{"overflow", sale("amount", "1000000000000"), conversionBadField, "amount"},
	{"over-precise", sale("amount", "49.905"), conversionBadField, "amount"},
	{"a comma", sale("amount", "49,90"), conversionBadField, "amount"},
	{"an amount without a currency", sale().without("currency"), conversionBadField, "currency"},
	{"an unknown currency", sale("currency", "EUX"), conversionBadField, "currency"},
	{"a currency in lower case", sale("currency", "eur"), conversionBadField, "currency"},
	{"another currency than the brand's", sale("currency", "USD"), conversionBadField, "currency"},
	{"another currency and no amount", sale("event", "lead", "currency", "USD").without("amount"), conversionBadField, "currency"},

	{"an unknown status", sale("status", "paid"), conversionBadField, "status"},
	{"an event of two words", sale("event", "big sale"), conversionBadField, "event"},
	{"an event too long", sale("event", strings.Repeat("e", maxEvent+1)), conversionBadField, "event"},
	{"a refund without a txid of its own", sale("event", "refund", "ref_txid", "1001").without("txid"), conversionBadField, "txid"},
	{"a refund of nothing", sale("event", "refund"), conversionBadField, "ref_txid"},
	{"a txid too long", sale("txid", strings.Repeat("x", maxField+1)), conversionBadField, "txid"},
	{"a txid of two lines", sale("txid", "1\r\n2"), conversionBadField, "txid"},
	{"a customer with a NUL", sale("customer_id", "a\x00"), conversionBadField, "customer_id"},
	{"a reference that is not UTF-8", sale("ref_txid", "\xff"), conversionBadField, "ref_txid"},
}

func TestConversionIsRefused(t *testing.T) {
	table := shopBuilder(t).Table()
	for _, c := range refusedConversions {
		m := message{fields: c.fields, source: ingest.FromPostback, signed: true, received: shopNow}
		_, why := table.conversion(table.Domain([]byte("acme.test")), m)
		if why == nil || why.outcome != c.outcome || why.field != c.field || why.text == "" {
			t.Errorf("%s: %+v, want outcome %v for %q", c.name, why, c.outcome, c.field)
		}
	}
}

// A visitor can send what they like to a pixel that needs no signature: it never takes from anybody.
func TestUnsignedConversionTakesNothingBack(t *testing.T) {
	table := shopBuilder(t).Table()
	for field, f := range map[string]fields{
		"event":  sale("event", "Refund", "ref_txid", "1001"),
		"status": sale("status", "rejected"),
		"ts":     sale("ts", "1"),
	} {
		m := message{fields: f, source: ingest.FromPixel, received: shopNow}
		if _, why := table.conversion(table.Domain([]byte("acme.test")), m); why == nil || why.field != field {
			t.Errorf("unsigned %q: %+v", f, why)
		}
		if _, why := table.conversion(table.Domain([]byte("acme.test")), message{fields: sale(), received: shopNow}); why != nil {
			t.Errorf("unsigned sale: %+v", why)
		}
	}
}
