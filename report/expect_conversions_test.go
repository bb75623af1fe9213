package report

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

func (w *world) conversionRows() []row {
	type group struct {
		sums
		amount    decimal.Decimal
		conflicts uint64
		hours     []float64
		key       row
	}
	contradicted := map[string]bool{}
	for _, r := range w.conflictRows() {
		contradicted[r["brand"]+r["event"]+r["txid"]+r["signed"]] = true
	}
	groups := map[string]*group{}
	for _, c := range w.once() {
		key := row{
			"day": c.TS.Format(time.DateOnly), "brand": w.brands[c.Brand-1].Key, "campaign": w.campaigns[c.Campaign-1].Key,
			"influencer": w.influencers[c.Influencer-1].Key, "event": c.Event, "status": c.Status,
			"signed": fmt.Sprint(c.Signed), "currency": w.currency(c.Brand),
		}
		g := groups[fmt.Sprint(key)]
		if g == nil {
			g = &group{key: key}
			groups[fmt.Sprint(key)] = g
		}
		g.conversions++
		if contradicted[key["brand"]+key["event"]+c.TxID+key["signed"]] {
			g.conflicts++
		}
		g.amount = g.amount.Add(c.Amount)
		if c.ClickID != "" {
			g.hours = append(g.hours, c.TS.Sub(c.ClickTS).Hours())
		}
	}
	var rows []row
	for _, g := range groups {
		g.key["conversions"], g.key["amount"], g.key["conflicts"] = count(g.conversions), g.amount.String(), count(g.conflicts)
		g.key["median_hours_to_convert"] = null
		if n := len(g.hours); n > 0 {
			slices.Sort(g.hours)
			g.key["median_hours_to_convert"] = ratio((g.hours[(n-1)/2] + g.hours[n/2]) / 2)
		}
		rows = append(rows, g.key)
	}
	return rows
}

func (w *world) conflictRows() []row {
	type other struct {
		key   row
		times uint64
		first time.Time
	}
	others := map[string]*other{}
	for _, stands := range w.once() {
		var firstStatus string
		for _, c := range w.conversions {
			if same(c, stands) && c.Received.Equal(stands.Received) && c.Amount.Equal(stands.Amount) {
				firstStatus = c.Status
			}
		}
		for _, c := range w.conversions {
			if !same(c, stands) || c.Amount.Equal(stands.Amount) && c.Currency == stands.Currency {
				continue
			}
			if c.Amount.IsZero() && c.Status != firstStatus {
				continue
			}
			key := row{
				"amount": stands.Amount.String(), "other_amount": c.Amount.String(), "other_currency": c.Currency,
			}
			maps.Copy(key, w.contradicted("another amount", stands))
			o := others[fmt.Sprint(key)]
			if o == nil {
				o = &other{key: key, first: c.Received}
				others[fmt.Sprint(key)] = o
			}
			o.times++
			if c.Received.Before(o.first) {
				o.first = c.Received
			}
		}
	}
	var rows []row
	for _, o := range others {
		o.key["times"], o.key["other_received"] = count(o.times), o.first.Format(time.RFC3339)
		rows = append(rows, o.key)
	}
	for _, r := range w.refunds() {
		if r.excess == "" {
			continue
		}
		messages := 0
		for _, c := range w.conversions {
			if same(c, r.conversion) {
				messages++
			}
		}
		key := row{
			"amount": r.counts.String(), "other_amount": r.Amount.Sub(r.counts).String(), "other_currency": r.Currency,
			"other_received": r.Received.Format(time.RFC3339), "times": count(uint64(messages)),
		}
		maps.Copy(key, w.contradicted(r.excess, r.conversion))
		rows = append(rows, key)
	}
	return rows
}

// contradicted is what a conflict tells of the conversion that it is about.
func (w *world) contradicted(kind string, c conversion) row {
	return row{
		"kind": kind, "day": c.TS.Format(time.DateOnly), "brand": w.brands[c.Brand-1].Key, "campaign": w.campaigns[c.Campaign-1].Key,
		"influencer": w.influencers[c.Influencer-1].Key, "event": c.Event, "txid": c.TxID, "ref_txid": c.RefTxID,
		"signed": fmt.Sprint(c.Signed), "currency": c.Currency, "received": c.Received.Format(time.RFC3339),
	}
}

func same(a, b conversion) bool {
	return a.Brand == b.Brand && a.Event == b.Event && a.TxID == b.TxID && a.Signed == b.Signed
}
