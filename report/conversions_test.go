package report

import (
	"math/rand/v2"
	"slices"
	"time"
)

// addConversions sends everything a shop may send about clicks of the world, well-behaved or not.
func (w *world) addConversions(rng *rand.Rand) {
	// of returns a conversion of the nth click of the link, hours after it.
	of := func(link uint32, n int, event, txid, amount string, hours float64) conversion {
		clicks := slices.DeleteFunc(slices.Clone(w.clicks), func(c click) bool { return c.Link != link })
		c := clicks[n]
		ts := c.TS.Add(time.Duration(hours * float64(time.Hour))).Truncate(time.Millisecond)
		return conversion{
			Received: ts.Add(time.Second), TS: ts, Brand: c.Brand, Campaign: c.Campaign, Influencer: c.Influencer, Link: c.Link,
			ClickID: c.ID, ClickTS: c.TS, Event: event, TxID: txid, Amount: dec(amount), Currency: w.currency(c.Brand),
			Status: "approved", Source: "postback", Signed: true,
		}
	}
	again := func(c conversion, after time.Duration) conversion {
		c.Received = c.Received.Add(after)
		return c
	}

	sale := of(1, 0, "sale", "t1", "49.90", 1.5)
	sale.Customer = "carla"
	// The same again, at once and a week later, from another node.
	w.send(sale, sale, again(sale, 7*24*time.Hour))

	// A different amount never overwrites, whatever the order of arrival; the earliest received stands.
	late, early := of(1, 1, "sale", "t2", "10", 3), of(1, 1, "sale", "t2", "99.99", 2)
	other := again(late, time.Hour)
	other.Amount, other.Currency = dec("10"), "EUR"
	w.send(late, early, other)

	// Approved later, rejected later, rejected and approved again; a change of status need not repeat the amount.
	pending := of(1, 2, "sale", "t3", "20", 5)
	pending.Status, pending.Customer = "pending", "petra"
	approved := again(pending, 48*time.Hour)
	approved.Status, approved.Amount = "approved", dec("0")
	w.send(approved, pending)
	void := of(2, 0, "sale", "t4", "30", 1)
	rejected := again(void, time.Hour)
	rejected.Status = "rejected"
	w.send(void, rejected)
	back := again(rejected, time.Hour)
	back.TxID, back.Status = "t5", "approved"
	refusedFirst := again(back, -time.Minute)
	refusedFirst.Status = "rejected"
	w.send(back, refusedFirst)
	// An older message that comes again takes nothing back, and a later word does.
	later := func(c conversion, status string, after time.Duration) conversion {
		c.Received, c.TS, c.Status = c.Received.Add(after), c.TS.Add(after), status
		return c
	}
	taken := of(2, 0, "sale", "t8", "31", 2)
	w.send(taken, later(taken, "rejected", time.Hour), again(taken, 2*time.Hour))
	given := of(2, 0, "sale", "t9", "32", 2)
	w.send(given, later(given, "rejected", time.Hour), later(given, "approved", 2*time.Hour))
	open := of(2, 1, "sale", "t6", "12.34", 100)
	open.Status = "pending"
	w.send(open)

	// Two messages in the same millisecond: the answer is the same in any order.
	tie := of(2, 2, "sale", "t7", "5", 1)
	dearer := tie
	dearer.Amount, dearer.Status = dec("6"), "pending"
	w.send(dearer, tie)

	// Refunds, partial and repeated, carry their own txid, which may be the sale's own.
	for _, txid := range []string{"t1", "r1"} {
		refund := of(1, 0, "refund", txid, "9.95", 200)
		refund.RefTxID = "t1"
		w.send(refund, again(refund, time.Minute))
	}
	denied := of(1, 1, "refund", "r2", "50", 300)
	denied.Status, denied.RefTxID = "rejected", "t1"
	w.send(denied)
	// More than the sale, over several refunds, the last of another creator's click; of a sale that nobody knows; of one
	// that is rejected; of one that is told later; of another brand's; of an unsigned pixel.
	takeBack := func(link uint32, n int, sale, txid, amount string, hours float64) {
		refund := of(link, n, "refund", txid, amount, hours)
		refund.RefTxID = sale
		w.send(refund)
	}
	takeBack(1, 0, "t1", "r3", "25", 210)
	takeBack(2, 5, "t1", "r4", "25", 220)
	takeBack(2, 5, "t1", "r5", "1", 221)
	takeBack(1, 0, "nobody's", "r6", "5", 201)
	takeBack(2, 0, "t4", "r7", "30", 202)
	takeBack(5, 0, "t0", "r8", "81", 0.1)
	takeBack(1, 0, "t0", "r9", "81", 203)
	takeBack(1, 0, "p1", "r10", "1", 204)

	// An unsigned pixel beside the signed postback, before it, and alone.
	pixel := sale
	pixel.Signed, pixel.Source, pixel.Amount = false, "pixel", dec("1")
	pixel.Received = pixel.Received.Add(-time.Minute)
	alone := pixel
	alone.TxID = "p1"
	w.send(pixel, alone)

	// A coupon has no click; a creator without a single click may have sold, too.
	coupon := of(3, 0, "sale", "k1", "1000000000.01", 0)
	coupon.ClickID, coupon.ClickTS, coupon.Coupon, coupon.Customer = "", coupon.TS, "CLEO10", "carla"
	idle := coupon
	idle.Campaign, idle.Influencer, idle.Link, idle.TxID = summer, dan, 0, "k2"
	w.send(coupon, idle)

	// A click that is past its retention.
	gone := of(1, 3, "lead", "g1", "0", 2)
	gone.ClickID, gone.ClickTS = "click-long-gone", day(-20)
	w.send(gone)

	// Another brand may use the same txid and the same customer; its first sale counts there. The first sale is the
	// earliest, not the first received, and has to be approved.
	foreign := of(5, 0, "sale", "t1", "80", 30)
	foreign.Customer = "carla"
	before := of(5, 1, "sale", "t0", "81", 1)
	before.TS, before.Customer = foreign.TS.Add(-time.Hour), "carla"
	before.Received = foreign.Received.Add(time.Hour)
	unapproved := of(4, 0, "sale", "t9", "3", 0)
	unapproved.TS, unapproved.Customer, unapproved.Status = before.TS.Add(-time.Hour), "carla", "pending"
	w.send(foreign, before, unapproved)

	// And many plain ones, events of any name included.
	for range 300 {
		l := w.links[rng.IntN(len(w.links))]
		c := of(l.ID, rng.IntN(100), pick(rng, "sale", "lead", "install"), pick(rng, "a", "b", "c")+l.Starts.String()+time.Duration(rng.IntN(90)).String(),
			pick(rng, "19.99", "0.01", "250", "3.0005"), 0.25+100*rng.Float64())
		c.Status, c.Customer = pick(rng, "approved", "approved", "pending", "rejected"), pick(rng, "", "u1", "u2", "u3", "u4")
		w.send(c)
	}
}

func (w *world) send(c ...conversion) { w.conversions = append(w.conversions, c...) }

// addLedger tells of every spool and hour what a node would have told after its last batch but one, plus clicks that wait
// or were dropped; one spool lies.
func (w *world) addLedger() {
	const told = batches - 1
	for _, c := range w.clicks {
		hour, spool := c.TS.Truncate(time.Hour), c.Batch[:16]
		known := slices.ContainsFunc(w.ledger, func(r ledgerRow) bool { return r.Hour.Equal(hour) && r.Spool == spool })
		if known {
			continue
		}
		stored := uint64(0)
		for _, other := range w.clicks {
			if other.TS.Truncate(time.Hour).Equal(hour) && other.Batch[:16] == spool && batchNumber(other.Batch) <= told {
				stored++
			}
		}
		row := ledgerRow{Hour: hour, Node: c.Node, Spool: spool, Batch: told, Accepted: stored, Dropped: map[string]uint64{}}
		switch {
		case hour.Hour() == 7:
			row.Waiting, row.Accepted = 3, stored+3
		case hour.Hour() == 8:
			row.Dropped = map[string]uint64{"full": 2, "quarantined": 1}
			row.Accepted = stored + 3
		case hour.Hour() == 9 && c.Node == 2:
			row.Accepted = stored + 1
		}
		older := row
		older.Batch, older.Accepted = told-1, 1
		w.ledger = append(w.ledger, row, older)
	}
	// An hour in which everything was dropped.
	w.ledger = append(w.ledger, ledgerRow{
		Hour: day(20), Node: 1, Spool: spools()[1][0], Batch: told, Accepted: 5, Dropped: map[string]uint64{"full": 5},
	})
}
