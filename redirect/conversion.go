package redirect

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"carom/ingest"
)

// The fields of a message:
//
//	click_id     says who has earned it; also cid, subid. Where it is empty, coupon does: the newest link with that coupon
//	event        sale (the default), lead, install, refund or any other name
//	txid         also order_id; the click id where it is empty, so that a click converts once per event
//	ref_txid     the sale that a refund belongs to
//	amount       plain decimal, positive for refunds too; a sale and a refund need one
//	currency     ISO 4217, required with an amount
//	customer_id, coupon
//	status       pending, approved (the default) or rejected
//	ts           when the message is sent, Unix seconds; the conversion is taken to happen then. Older ones are imported
//
// Other fields are signed like these and otherwise ignored.
func knownField(name string) bool {
	switch name {
	case "click_id", "cid", "subid", "event", "txid", "order_id", "ref_txid", "amount", "currency", "customer_id", "coupon",
		"status", "ts":
		return true
	}
	return false
}

// Longest fields in bytes, as the import of conversions has them.
const (
	maxField = 256
	maxEvent = 64
)

// The events that have a meaning of their own.
const (
	saleEvent   = "sale"
	refundEvent = "refund"
)

// clickSkew is how far the clock of the node that made a click id may be ahead of ours.
const clickSkew = time.Minute

// conversion attributes a message to a link of the domain's brand and checks its fields.
func (t *Table) conversion(d *Domain, m message) (c ingest.Conversion, why *refusal) {
	now := m.received.UnixMilli()
	c = ingest.Conversion{
		Received: now, Millis: now, ClickTime: now, Brand: d.Brand.ID, Source: m.source, Signed: m.signed,
		ClickID: m.fields.first("click_id", "cid", "subid"), RefTxID: m.fields["ref_txid"], Customer: m.fields["customer_id"],
		Coupon: strings.ToUpper(m.fields["coupon"]),
	}
	for name, value := range m.fields {
		if knownField(name) {
			if why = checkField(name, value); why != nil {
				return c, why
			}
		}
	}
	for _, set := range [...]func(*ingest.Conversion, *Domain, message) *refusal{
		setTime, setEvent, setStatus, setAmount, t.attribute, setTransaction,
	} {
		if why = set(&c, d, m); why != nil {
			return c, why
		}
	}
	return c, nil
}

// checkField refuses what would break a report or a log later.
func checkField(name, value string) *refusal {
	switch {
	case len(value) > maxField:
		return refuseField(name, "has %d bytes: at most %d are allowed", len(value), maxField)
	case !utf8.ValidString(value):
		return refuseField(name, "is not UTF-8")
	case strings.ContainsFunc(value, unicode.IsControl):
		return refuseField(name, "contains a control character")
	}
	return nil
}

func setTime(c *ingest.Conversion, _ *Domain, m message) *refusal {
	if m.fields["ts"] == "" {
		return nil
	}
	sent, fresh := freshTime(m.fields["ts"], m.received)
	if !fresh {
		return refuseField("ts", "is not the time of sending in Unix seconds, within 5 minutes of now")
	}
	c.Millis = sent.UnixMilli()
	c.ClickTime = c.Millis
	return nil
}

func setEvent(c *ingest.Conversion, _ *Domain, m message) *refusal {
	c.Event = strings.ToLower(m.fields["event"])
	if c.Event == "" {
		c.Event = saleEvent
	}
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '.' && r != '-'
	}
	if len(c.Event) > maxEvent || strings.ContainsFunc(c.Event, odd) {
		return refuseField("event", "is not one word of at most %d letters, digits, dots, dashes and underscores", maxEvent)
	}
	if c.Event == refundEvent && !m.signed {
		return refuseField("event", "is a refund, which must be signed")
	}
	return nil
}

func setStatus(c *ingest.Conversion, _ *Domain, m message) *refusal {
	switch m.fields["status"] {
	case "approved", "":
		c.Status = ingest.Approved
	case "pending":
		c.Status = ingest.Pending
	case "rejected":
		c.Status = ingest.Rejected
	default:
		return refuseField("status", "is none of pending, approved, rejected")
	}
	if c.Status != ingest.Approved && !m.signed {
		return refuseField("status", "can be told only by a signed message")
	}
	return nil
}

func setAmount(c *ingest.Conversion, d *Domain, m message) *refusal {
	amount, currency := m.fields["amount"], m.fields["currency"]
	_, isCurrency := MinorUnits(currency)
	c.Currency = d.Brand.Currency
	switch {
	case amount == "" && slices.Contains([]string{saleEvent, refundEvent}, c.Event):
		return refuseField("amount", "is missing: a %s has one, be it 0", c.Event)
	case amount == "" && currency == "":
		return nil
	case currency == "":
		return refuseField("currency", "is missing: an amount has one")
	case !isCurrency:
		return refuseField("currency", "is not a code of ISO 4217 in upper case")
	case currency != d.Brand.Currency:
		return refuseField("currency", "is not %s, the brand's currency", d.Brand.Currency)
	case amount == "":
		return nil
	}
	exact, err := ParseAmount(amount, currency)
	if err != nil {
		return refuseField("amount", "%s", err)
	}
	c.Amount = exact.Shift(ingest.AmountScale).IntPart()
	return nil
}

// attribute finds the link that has earned the conversion: the click's, otherwise the coupon's. A click id that is given
// and bad is never made up for by a coupon. Deleted links still convert.
func (t *Table) attribute(c *ingest.Conversion, d *Domain, m message) *refusal {
	switch {
	case c.ClickID != "":
		click, err := t.clickIDs.open(c.ClickID)
		if err != nil {
			return &refusal{conversionBadClick, "click_id", "is not one of ours"}
		}
		if click.Millis > c.Received+clickSkew.Milliseconds() {
			return &refusal{conversionBadClick, "click_id", "is of the future"}
		}
		c.Link, c.ClickTime = click.Link, click.Millis
	case c.Coupon != "":
		if c.Link = t.coupon(d.Brand.ID, c.Coupon); c.Link == 0 {
			return &refusal{conversionBadCoupon, "coupon", "is of no link of this brand"}
		}
	default:
		return refuseField("click_id", "is missing: it says who has earned the conversion")
	}
	earner, known := t.attribution(c.Link)
	if !known {
		return &refusal{conversionBadClick, "click_id", "is of a link that is not known here"}
	}
	if earner.brand != d.Brand.ID {
		return &refusal{conversionForeign, "click_id", "is of another brand than this host"}
	}
	c.Campaign, c.Influencer = earner.campaign, earner.influencer

	// A sender's clock may be behind ours, and ts has no milliseconds: nothing converts before its click.
	c.Millis = max(c.Millis, c.ClickTime)
	window := time.Duration(d.Brand.AttributionDays) * 24 * time.Hour
	if c.Millis-c.ClickTime > window.Milliseconds() && !takesBack(c) {
		return &refusal{conversionTooOld, "click_id", "is of a click longer ago than the brand attributes"}
	}
	return nil
}

// takesBack reports whether the message can only lower what somebody has earned: such a one is never too late.
func takesBack(c *ingest.Conversion) bool {
	return c.Event == refundEvent || c.Status == ingest.Rejected
}

func setTransaction(c *ingest.Conversion, _ *Domain, m message) *refusal {
	c.TxID = m.fields.first("txid", "order_id")
	switch {
	case c.Event == refundEvent && c.TxID == "":
		return refuseField("txid", "is missing: a refund has its own")
	case c.Event == refundEvent && c.RefTxID == "":
		return refuseField("ref_txid", "is missing: it names the sale that is refunded")
	case c.TxID == "":
		c.TxID = c.ClickID
	}
	if c.TxID == "" {
		return refuseField("txid", "is missing: a coupon does not tell one conversion from another")
	}
	return nil
}
