package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"carom/ingest"
)

// This file computes in plain Go, from the world's rows alone, what the reports have to say.

// A fact is a row's worth of numbers with everything it may be grouped by.
type fact struct {
	hour                        time.Time
	brand, campaign, influencer uint32
	tier                        string
	utm                         [5]string
	place                       [3]string

	sums
}

type sums struct {
	gross, valid, billable, previews, conversions, newCustomers uint64
	visitors                                                    map[uint64]bool
	revenue, refunds, commission, fee, productCost              decimal.Decimal
}

func (s *sums) add(o sums) {
	s.gross += o.gross
	s.valid += o.valid
	s.billable += o.billable
	s.previews += o.previews
	s.conversions += o.conversions
	s.newCustomers += o.newCustomers
	if s.visitors == nil {
		s.visitors = map[uint64]bool{}
	}
	maps.Copy(s.visitors, o.visitors)
	s.revenue = s.revenue.Add(o.revenue)
	s.refunds = s.refunds.Add(o.refunds)
	s.commission = s.commission.Add(o.commission)
	s.fee = s.fee.Add(o.fee)
	s.productCost = s.productCost.Add(o.productCost)
}

func clickSums(c click) sums {
	r := ingest.Reasons(c.Reasons)
	s := sums{gross: 1, visitors: map[uint64]bool{}}
	if r == 0 {
		s.billable = 1
	}
	if r == 0 || r == ingest.Duplicate {
		s.valid = 1
		s.visitors[c.Visitor] = true
	}
	if r&ingest.Preview != 0 {
		s.previews = 1
	}
	return s
}

func clickFact(c click) fact {
	return fact{
		hour: c.TS.Truncate(time.Hour), brand: c.Brand, campaign: c.Campaign, influencer: c.Influencer, tier: c.Tier,
		utm:   [5]string{c.UTMSource, c.UTMMedium, c.UTMCampaign, c.UTMContent, c.UTMTerm},
		place: [3]string{c.Country, c.Region, c.City}, sums: clickSums(c),
	}
}

// once is the conversions without repeats: the message that stands, with the newest status.
func (w *world) once() []conversion {
	type identity struct {
		brand       uint32
		event, txid string
		signed      bool
	}
	messages := map[identity][]conversion{}
	for _, c := range w.conversions {
		id := identity{c.Brand, c.Event, c.TxID, c.Signed}
		messages[id] = append(messages[id], c)
	}
	var all []conversion
	for _, same := range messages {
		first, last := same[0], same[0]
		for _, c := range same[1:] {
			if c.Received.Before(first.Received) || c.Received.Equal(first.Received) && c.Amount.LessThan(first.Amount) {
				first = c
			}
			if cmp.Or(c.sent().Compare(last.sent()), cmp.Compare(statusRank(c), statusRank(last)), c.Received.Compare(last.Received)) > 0 {
				last = c
			}
		}
		first.Status = last.Status
		all = append(all, first)
	}
	return all
}

// sent is when the sender said it: an import says what holds now.
func (c conversion) sent() time.Time {
	if c.Source == "import" {
		return c.Received
	}
	return c.TS
}

func statusRank(c conversion) int {
	return slices.Index([]string{"pending", "approved", "rejected"}, c.Status)
}

// clickFacts are all clicks and earning conversions, for the reports of UTM and geo.
func (w *world) clickFacts() []fact {
	var facts []fact
	byID := map[string]click{}
	for _, c := range w.clicks {
		facts = append(facts, clickFact(c))
		byID[c.ID] = c
	}
	for _, c := range w.once() {
		if !c.Signed || c.Status == "rejected" || c.Event == "refund" {
			continue
		}
		f := fact{hour: c.ClickTS.Truncate(time.Hour), brand: c.Brand, campaign: c.Campaign, influencer: c.Influencer}
		if clicked, ok := byID[c.ClickID]; ok {
			from := clickFact(clicked)
			f.utm, f.place = from.utm, from.place
		}
		f.sums = sums{conversions: 1, revenue: c.Amount}
		facts = append(facts, f)
	}
	return facts
}

// creatorFacts are clicks, conversions and costs, for the reports of creators and campaigns.
func (w *world) creatorFacts() []fact {
	var facts []fact
	for _, c := range w.clicks {
		f := clickFact(c)
		if f.billable > 0 {
			f.commission = w.rule(f, "cpc", "").Amount
		}
		facts = append(facts, f)
	}
	facts = append(facts, w.saleFacts()...)
	for _, l := range w.links {
		f := w.creatorDay(l.Starts, l.Brand, l.Campaign, l.Influencer)
		f.sums = sums{fee: l.Fee, productCost: l.ProductCost}
		if !l.Fee.IsZero() || !l.ProductCost.IsZero() {
			facts = append(facts, f)
		}
	}
	return append(facts, w.flatFacts()...)
}

// saleFacts are conversions by creator, day and event, which is how commission is rounded.
func (w *world) saleFacts() []fact {
	type bucket struct {
		day                         time.Time
		brand, campaign, influencer uint32
		event                       string
	}
	buckets := map[bucket]sums{}
	newest := w.firstSales()
	for _, c := range w.once() {
		if !c.Signed || c.Status == "rejected" {
			continue
		}
		b := bucket{c.ClickTS.Truncate(24 * time.Hour), c.Brand, c.Campaign, c.Influencer, c.Event}
		s := sums{conversions: 1, revenue: c.Amount}
		if c.Event == "refund" {
			continue
		}
		if c.Event == "sale" && newest[[2]string{fmt.Sprint(c.Brand), c.TxID}] {
			s.newCustomers = 1
		}
		total := buckets[b]
		total.add(s)
		buckets[b] = total
	}
	for _, r := range w.refunds() {
		b := bucket{r.sale.ClickTS.Truncate(24 * time.Hour), r.sale.Brand, r.sale.Campaign, r.sale.Influencer, "sale"}
		if r.counts.IsPositive() {
			total := buckets[b]
			total.add(sums{refunds: r.counts})
			buckets[b] = total
		}
	}
	var facts []fact
	for b, s := range buckets {
		f := w.creatorDay(b.day, b.brand, b.campaign, b.influencer)
		f.sums = s
		switch r := w.rule(f, "percent cpa", b.event); r.Model {
		case "percent":
			f.commission = s.revenue.Sub(s.refunds).Mul(r.Rate).Round(4)
		case "cpa":
			f.commission = r.Amount.Mul(decimal.NewFromUint64(s.conversions))
		}
		facts = append(facts, f)
	}
	return facts
}

// A refund takes back from a sale what counts of it; what is beyond that contradicts something.
type refund struct {
	conversion
	sale   conversion // zero where nobody knows it
	counts decimal.Decimal
	excess string // what it contradicts
}

// refunds are what takes back, in the order received.
func (w *world) refunds() []refund {
	all := w.once()
	slices.SortFunc(all, func(a, b conversion) int {
		return cmp.Or(a.Received.Compare(b.Received), strings.Compare(a.TxID, b.TxID))
	})
	left := map[[2]string]decimal.Decimal{} // of sales
	sales := map[[2]string]conversion{}
	for _, c := range all {
		if c.Event == "sale" && c.Signed {
			id := [2]string{fmt.Sprint(c.Brand), c.TxID}
			sales[id] = c
			if c.Status != "rejected" {
				left[id] = c.Amount
			}
		}
	}
	var refunds []refund
	for _, c := range all {
		if c.Event != "refund" || !c.Signed || c.Status == "rejected" {
			continue
		}
		id := [2]string{fmt.Sprint(c.Brand), c.RefTxID}
		r := refund{conversion: c, sale: sales[id], counts: decimal.Min(c.Amount, left[id])}
		left[id] = left[id].Sub(r.counts)
		switch {
		case r.counts.Equal(c.Amount):
		case r.sale.TxID == "":
			r.excess = "refund without sale"
		case r.sale.Status == "rejected":
			r.excess = "refund of a rejected sale"
		default:
			r.excess = "refund above its sale"
		}
		refunds = append(refunds, r)
	}
	return refunds
}

// firstSales is each customer's first approved sale with each brand, as brand and txid.
func (w *world) firstSales() map[[2]string]bool {
	type customer struct {
		brand uint32
		id    string
	}
	first := map[customer]conversion{}
	for _, c := range w.once() {
		if c.Customer == "" || c.Event != "sale" || c.Status != "approved" || !c.Signed {
			continue
		}
		key := customer{c.Brand, c.Customer}
		if known, ok := first[key]; !ok || earlier(c, known) {
			first[key] = c
		}
	}
	sales := map[[2]string]bool{}
	for _, c := range first {
		sales[[2]string{fmt.Sprint(c.Brand), c.TxID}] = true
	}
	return sales
}

func earlier(a, b conversion) bool {
	return cmp.Or(a.TS.Compare(b.TS), a.Received.Compare(b.Received), strings.Compare(a.TxID, b.TxID)) < 0
}

// flatFacts pay each flat rule once to each creator with a link in its campaign, if it is the most specific that day.
func (w *world) flatFacts() []fact {
	var facts []fact
	for _, r := range w.rules {
		for _, i := range w.influencers {
			var begin time.Time
			for _, l := range w.links {
				if l.Campaign == r.Campaign && l.Influencer == i.ID && (begin.IsZero() || l.Starts.Before(begin)) {
					begin = l.Starts
				}
			}
			if r.Model != "flat" || r.Deleted || begin.IsZero() {
				continue
			}
			if r.Starts.After(begin) {
				begin = r.Starts
			}
			brand := w.campaigns[r.Campaign-1].Brand
			f := w.creatorDay(begin, brand, r.Campaign, i.ID)
			if w.rule(f, "flat", "").ID == r.ID {
				f.commission = r.Amount
				facts = append(facts, f)
			}
		}
	}
	return facts
}

// rule is the most specific of the models that pays this row: creator before tier before campaign, then the latest.
func (w *world) rule(f fact, models, event string) rule {
	var best rule
	bestRank := -1
	today := f.hour.Truncate(24 * time.Hour)
	for _, r := range w.rules {
		live := !r.Starts.Truncate(24*time.Hour).After(today) && (r.Ends.Equal(never()) || r.Ends.After(today))
		if r.Deleted || !live || r.Campaign != f.campaign || !slices.Contains(strings.Fields(models), r.Model) ||
			event != "" && r.Event != event || r.Influencer != 0 && r.Influencer != f.influencer || r.Tier != "" && r.Tier != f.tier {
			continue
		}
		rank := 0
		if r.Influencer != 0 {
			rank += 2
		}
		if r.Tier != "" {
			rank++
		}
		if rank > bestRank || rank == bestRank && r.Starts.After(best.Starts) {
			best, bestRank = r, rank
		}
	}
	return best
}

// creatorDay is an empty fact under the tier of the creator's clicks of that day, or of the creator.
func (w *world) creatorDay(ts time.Time, brand, campaign, influencer uint32) fact {
	d := ts.Truncate(24 * time.Hour)
	tier := ""
	for _, c := range w.clicks {
		if c.Campaign == campaign && c.Influencer == influencer && c.Brand == brand && c.TS.Truncate(24*time.Hour).Equal(d) {
			tier = max(tier, c.Tier)
		}
	}
	if tier == "" {
		tier = w.tierAt(influencer, d)
	}
	return fact{hour: d, brand: brand, campaign: campaign, influencer: influencer, tier: tier}
}

// tierAt is a creator's tier by the last count stated on or before that day.
func (w *world) tierAt(influencer uint32, ts time.Time) string {
	count := w.influencers[influencer-1].Followers
	var stated time.Time
	for _, f := range w.followers {
		if f.Influencer == influencer && !f.AsOf.After(ts) && f.AsOf.After(stated) {
			count, stated = f.Followers, f.AsOf
		}
	}
	tiers := []string{"unranked", "nano", "micro", "mid", "macro", "mega"}
	for i, end := range []uint64{1e3, 1e4, 5e4, 1e5, 1e6} {
		if count < end {
			return tiers[i]
		}
	}
	return tiers[5]
}

func (w *world) currency(brand uint32) string { return w.brands[brand-1].Currency }

// dimensions are a fact's names, as reports spell them.
func (w *world) dimensions(f fact) map[string]string {
	d := f.hour.Truncate(24 * time.Hour)
	week := d
	for week.Weekday() != time.Monday {
		week = week.AddDate(0, 0, -1)
	}
	i := w.influencers[f.influencer-1]
	return map[string]string{
		"hour": f.hour.Format(time.RFC3339), "day": d.Format(time.DateOnly), "week": week.Format(time.DateOnly), "month": d.Format("2006-01") + "-01",
		"brand": w.brands[f.brand-1].Key, "campaign": w.campaigns[f.campaign-1].Key, "influencer": i.Key,
		"tier": f.tier, "platform": i.Platform, "currency": w.currency(f.brand),
		"utm_source": f.utm[0], "utm_medium": f.utm[1], "utm_campaign": f.utm[2], "utm_content": f.utm[3], "utm_term": f.utm[4],
		"country": f.place[0], "region": f.place[1], "city": f.place[2],
	}
}

// group adds facts up by names and returns each row as "name=value" pairs, keys and measures alike, in no order.
func (w *world) group(facts []fact, by []string, measures func(sums) map[string]string) []row {
	by = append(slices.Clone(by), "currency")
	groups := map[string]sums{}
	keys := map[string]row{}
	for _, f := range facts {
		all := w.dimensions(f)
		key, id := row{}, ""
		for _, name := range by {
			key[name] = all[name]
			id += all[name] + "\x00"
		}
		total := groups[id]
		total.add(f.sums)
		groups[id], keys[id] = total, key
	}
	var rows []row
	for id, key := range keys {
		maps.Copy(key, measures(groups[id]))
		rows = append(rows, key)
	}
	return rows
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// factsOf are what a click report adds up, and how.
func (w *world) factsOf(report string) (facts []fact, numbers func(sums) map[string]string) {
	if report == "influencers" || report == "campaigns" {
		return w.creatorFacts(), creatorNumbers
	}
	return w.clickFacts(), clickNumbers
}

func clickNumbers(s sums) map[string]string {
	return map[string]string{
		"gross": count(s.gross), "valid": count(s.valid), "unique": count(uint64(len(s.visitors))), "billable": count(s.billable),
		"conversions": count(s.conversions), "revenue": s.revenue.String(),
	}
}

func creatorNumbers(s sums) map[string]string {
	net := s.revenue.Sub(s.refunds)
	cost := s.commission.Add(s.fee).Add(s.productCost)
	n := clickNumbers(s)
	maps.Copy(n, map[string]string{
		"previews": count(s.previews), "refunds": s.refunds.String(), "net_revenue": net.String(), "commission": s.commission.String(),
		"fee": s.fee.String(), "product_cost": s.productCost.String(), "cost": cost.String(),
		"roi": null, "epc": null, "conversion_rate": null, "new_customers": count(s.newCustomers),
	})
	if !cost.IsZero() {
		n["roi"] = ratio(net.Sub(cost).InexactFloat64() / cost.InexactFloat64())
	}
	if s.valid > 0 {
		n["epc"] = net.DivRound(decimal.NewFromUint64(s.valid), 4).String()
		n["conversion_rate"] = ratio(float64(s.conversions) / float64(s.valid))
	}
	return n
}
