package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// A row is a row of a report, each value as text.
type row map[string]string

// A fact is what one click, conversion or payment adds to the reports: keys to group by, and measures. It is Carom's arithmetic
// once more, told in Go from what was sent, without a look at what was stored.
type fact struct {
	kind string // click, sale, refund or cost
	keys row
	measures
}

type measures struct {
	gross, valid, billable, previews, conversions, newCustomers int
	revenue, refunds, commission, fee, product                  decimal.Decimal
	visitors                                                    map[string]bool // of the valid clicks
}

func (m *measures) add(o measures) {
	m.gross += o.gross
	m.valid += o.valid
	m.billable += o.billable
	m.previews += o.previews
	m.conversions += o.conversions
	m.newCustomers += o.newCustomers
	m.revenue, m.refunds = m.revenue.Add(o.revenue), m.refunds.Add(o.refunds)
	m.commission, m.fee, m.product = m.commission.Add(o.commission), m.fee.Add(o.fee), m.product.Add(o.product)
	if m.visitors == nil {
		m.visitors = map[string]bool{}
	}
	maps.Copy(m.visitors, o.visitors)
}

// A model is all that was sent.
type model struct {
	t        *testing.T
	today    time.Time // and the hour of all clicks
	clicks   []*click
	messages []*message
}

// perEvent is what a campaign pays a creator: a share of net sales or an amount per install.
func perEvent(campaign, influencer, event string, net decimal.Decimal, conversions int) decimal.Decimal {
	rates := map[string]string{"boots/lena": "0.123", "boots/tom": "0.08", "boots/chiara": "0.08", "winter/mei": "0.1"}
	switch rate, ok := rates[campaign+"/"+influencer]; {
	case event == "sale" && ok:
		return net.Mul(decimal.RequireFromString(rate)).Round(4)
	case event == "install" && campaign == "app":
		return decimal.RequireFromString("1.50").Mul(decimal.NewFromInt(int64(conversions)))
	}
	return decimal.Zero
}

// perClick is what it pays for a billable click.
func perClick(campaign, influencer string) decimal.Decimal {
	if campaign == "boots" && influencer == "tom" {
		return decimal.RequireFromString("0.05")
	}
	return decimal.Zero
}

// costs are fees, products and the flat commission, with how many days ago they counted.
var costs = []struct {
	link                string
	ago                 int
	fee, product, extra string
}{
	{"acme/boots-lena", 3, "100.00", "20.50", "0"},
	{"acme/boots-tom", 0, "50.00", "0", "0"},
	{"nordic/winter-lena", 1, "30.00", "0", "0"},
	{"nordic/winter-mei", 3, "0", "0", "25.00"},
}

// keysOf are the keys of something that a link brought at a moment. The tier is that of the day: Lena has grown.
func (m *model) keysOf(l worldLink, at time.Time) row {
	tier := l.tier
	if l.influencer == "lena" && at.Before(m.today.AddDate(0, 0, -1)) {
		tier = "nano"
	}
	return row{
		"day": at.UTC().Format(time.DateOnly), "hour": at.UTC().Truncate(time.Hour).Format(time.RFC3339),
		"brand": l.brand, "campaign": l.campaign, "influencer": l.influencer, "tier": tier, "platform": l.home,
		"currency": map[string]string{"acme": "EUR", "nordic": "USD"}[l.brand],
		"country":  "", "region": "", "city": "",
		"utm_source": "", "utm_medium": "", "utm_campaign": "", "utm_content": "", "utm_term": "",
	}
}

// clickKeys are those of a click, with its country and UTM values.
func (m *model) clickKeys(c *click) row {
	keys := m.keysOf(c.worldLink, c.sent)
	params := c.params(m.t, c.more)
	for name := range keys {
		if strings.HasPrefix(name, "utm_") {
			keys[name] = params.Get(name)
		}
	}
	keys["country"] = c.by.country
	return keys
}

// facts are what all reports but those of conversions and of the ledger add up.
func (m *model) facts() []fact {
	var facts []fact
	for _, c := range m.clicks {
		f := fact{kind: "click", keys: m.clickKeys(c), measures: measures{gross: 1}}
		if c.valid() {
			f.valid, f.visitors = 1, map[string]bool{c.by.address + c.by.agent: true}
		}
		if c.billable() {
			f.billable, f.commission = 1, perClick(c.campaign, c.influencer)
		}
		if c.has("preview") {
			f.previews = 1
		}
		facts = append(facts, f)
	}
	facts = append(facts, m.money()...)
	for _, cost := range costs {
		facts = append(facts, fact{kind: "cost", keys: m.keysOf(theLinks[cost.link], m.today.AddDate(0, 0, -cost.ago)), measures: measures{
			fee: decimal.RequireFromString(cost.fee), product: decimal.RequireFromString(cost.product),
			commission: decimal.RequireFromString(cost.extra),
		}})
	}
	return facts
}

// money is what conversions earn, each on the day of its click, and the commission on it.
func (m *model) money() []fact {
	var facts []fact
	paid := map[string]*fact{} // commission is rounded once per day, creator and event
	once := m.once()
	firsts := firstSales(once)
	left := map[*message]decimal.Decimal{} // of what sales have earned
	for _, c := range once {
		if !c.signed || c.status == "rejected" {
			continue
		}
		f := fact{kind: "sale", keys: m.messageKeys(c), measures: measures{conversions: 1, revenue: c.amount}}
		event := c.event
		if event == "sale" {
			left[c] = c.amount
		}
		if event == "refund" { // stands where its sale stands
			sale := saleOf(once, c)
			if sale == nil {
				continue
			}
			back := decimal.Min(c.amount, left[sale])
			left[sale] = left[sale].Sub(back)
			f, event = fact{kind: "refund", keys: m.messageKeys(sale), measures: measures{refunds: back}}, "sale"
		}
		if firsts[c.brand+c.customer] == c {
			f.newCustomers = 1
		}
		facts = append(facts, f)
		key := fmt.Sprint(event, f.keys["day"], f.keys["brand"], f.keys["campaign"], f.keys["influencer"])
		if paid[key] == nil {
			paid[key] = &fact{kind: event, keys: f.keys}
		}
		paid[key].add(f.measures)
	}
	for _, p := range paid {
		amount := perEvent(p.keys["campaign"], p.keys["influencer"], p.kind, p.revenue.Sub(p.refunds), p.conversions)
		facts = append(facts, fact{kind: "cost", keys: p.keys, measures: measures{commission: amount}})
	}
	return facts
}

// saleOf is the sale that a refund takes back from, nil where nobody told of it.
func saleOf(once []*message, refund *message) *message {
	i := slices.IndexFunc(once, func(c *message) bool {
		return c.signed && c.brand == refund.brand && c.event == "sale" && c.txid == refund.refunded
	})
	if i < 0 {
		return nil
	}
	return once[i]
}

// messageKeys are those of the click that has earned a conversion; without one nothing is known of country and UTM values.
func (m *model) messageKeys(c *message) row {
	if c.click != nil {
		return m.clickKeys(c.click)
	}
	return m.keysOf(c.worldLink, c.happened)
}

// once are the conversions, as first told, each with the last word on its status.
func (m *model) once() []*message {
	var all []*message
	known := map[string]*message{}
	for _, told := range m.messages {
		key := fmt.Sprint(told.brand, told.event, told.txid, told.signed)
		if known[key] != nil {
			known[key].status = told.status
			continue
		}
		first := *told
		known[key] = &first
		all = append(all, &first)
	}
	return all
}

// firstSales are the first approved sale of each customer with a brand.
func firstSales(once []*message) map[string]*message {
	firsts := map[string]*message{}
	for _, c := range once {
		key := c.brand + c.customer
		if c.customer == "" || c.event != "sale" || c.status != "approved" || !c.signed {
			continue
		}
		if known := firsts[key]; known == nil || c.happened.Before(known.happened) {
			firsts[key] = c
		}
	}
	return firsts
}

// group adds facts up by keys and by currency, and finishes each sum into a row.
func group(facts []fact, by []string, finish func(measures) row) []row {
	by = append(slices.Clone(by), "currency")
	sums, keys := map[string]*measures{}, map[string]row{}
	for _, f := range facts {
		key := row{}
		for _, name := range by {
			key[name] = f.keys[name]
		}
		id := fmt.Sprint(key)
		if sums[id] == nil {
			sums[id], keys[id] = &measures{}, key
		}
		sums[id].add(f.measures)
	}
	var rows []row
	for id, sum := range sums {
		maps.Copy(keys[id], finish(*sum))
		rows = append(rows, keys[id])
	}
	return rows
}

// countsOf are the columns that all click reports have.
func countsOf(m measures) row {
	return row{
		"gross": strconv.Itoa(m.gross), "valid": strconv.Itoa(m.valid), "unique": strconv.Itoa(len(m.visitors)),
		"billable": strconv.Itoa(m.billable), "conversions": strconv.Itoa(m.conversions), "revenue": moneyText(m.revenue),
	}
}

// creatorColumns are those of the reports by creator and by campaign.
func creatorColumns(m measures) row {
	net := m.revenue.Sub(m.refunds)
	cost := m.commission.Add(m.fee).Add(m.product)
	r := countsOf(m)
	maps.Copy(r, row{
		"previews": strconv.Itoa(m.previews), "refunds": moneyText(m.refunds), "net_revenue": moneyText(net),
		"commission": moneyText(m.commission), "fee": moneyText(m.fee), "product_cost": moneyText(m.product), "cost": moneyText(cost),
		"roi": "null", "epc": "null", "conversion_rate": "null", "new_customers": strconv.Itoa(m.newCustomers),
	})
	if !cost.IsZero() {
		r["roi"] = floatText(net.Sub(cost).InexactFloat64() / cost.InexactFloat64())
	}
	if m.valid > 0 {
		r["epc"] = moneyText(net.DivRound(decimal.NewFromInt(int64(m.valid)), 4))
		r["conversion_rate"] = floatText(float64(m.conversions) / float64(m.valid))
	}
	return r
}

// moneyText is exact, ratios have as many digits.
func moneyText(d decimal.Decimal) string { return d.StringFixed(4) }

func floatText(f float64) string { return strconv.FormatFloat(f, 'f', 4, 64) }

// compare fails the test where a report has other rows than the model.
func compare(t *testing.T, what string, want []row, got []map[string]any) {
	t.Helper()
	var rows []row
	for _, values := range got {
		r := row{}
		for name, value := range values {
			r[name] = valueText(value)
		}
		rows = append(rows, r)
	}
	sortRows(want)
	sortRows(rows)
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("%s (-model +report):\n%s", what, diff)
	}
}

func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return floatText(f)
		}
	}
	return fmt.Sprint(value)
}

func sortRows(rows []row) {
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}
