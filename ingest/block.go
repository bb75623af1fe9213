package ingest

import (
	"github.com/ClickHouse/ch-go/proto"
)

// A block is the rows of one insert into one table, column by column. Its columns are filled together, one row at
// a time, and encoded as they stand, all but the one that names the batch: that is known when the block is frozen.
type block struct {
	table   string
	moment  string // the column that decides a row's partition
	columns proto.Input
	reset   []proto.Resettable
	rows    int
}

func (b *block) add(name string, column interface {
	proto.ColInput
	proto.Resettable
},
) {
	b.columns = append(b.columns, proto.InputColumn{Name: name, Data: column})
	b.reset = append(b.reset, column)
}

func (b *block) data() *block { return b }

// clear empties the block and keeps its memory.
func (b *block) clear() {
	for _, c := range b.reset {
		c.Reset()
	}
	b.rows = 0
}

// clickBlock holds rows of the table clicks.
type clickBlock struct {
	block
	*clickTable
	ts                                   proto.ColDateTime64
	clickID                              proto.ColFixedStr
	link, brand, campaign, influencer    proto.ColUInt32
	host                                 *lowCard
	slug                                 text
	utmSource, utmMedium, utmCampaign    *lowCard
	utmTerm, utmContent, utmID           text
	utmSourcePlatform, utmCreativeFormat *lowCard
	sub                                  [5]text
	country, region, city                *lowCard
	asn                                  proto.ColUInt32
	asOrg                                *lowCard
	platform, referrerHost               *lowCard
	device, os, browser, language        *lowCard
	visitor                              proto.ColUInt64
	ipPrefix                             proto.ColIPv6
	reasons                              proto.ColUInt32
	ruleVersion                          proto.ColUInt16
	valid, billable                      proto.ColUInt8
	tier, format                         *lowCard
	node                                 proto.ColUInt16
}

func newClickBlock(t *clickTable) *clickBlock {
	b := &clickBlock{clickTable: t}
	b.table, b.moment = "clicks", "ts"
	low := func(name string) *lowCard {
		c := newLowCard()
		b.add(name, c)
		return c
	}
	b.ts.WithPrecision(proto.PrecisionMilli)
	b.add("ts", &b.ts)
	b.clickID.SetSize(clickIDLen)
	b.add("click_id", &b.clickID)
	b.add("link_id", &b.link)
	b.add("brand_id", &b.brand)
	b.add("campaign_id", &b.campaign)
	b.add("influencer_id", &b.influencer)
	b.host = low("host")
	b.add("slug", &b.slug)
	b.utmSource, b.utmMedium, b.utmCampaign = low("utm_source"), low("utm_medium"), low("utm_campaign")
	b.add("utm_term", &b.utmTerm)
	b.add("utm_content", &b.utmContent)
	b.add("utm_id", &b.utmID)
	b.utmSourcePlatform, b.utmCreativeFormat = low("utm_source_platform"), low("utm_creative_format")
	for i, name := range [...]string{"sub1", "sub2", "sub3", "sub4", "sub5"} {
		b.add(name, &b.sub[i])
	}
	b.country, b.region, b.city = low("country"), low("region"), low("city")
	b.add("asn", &b.asn)
	b.asOrg = low("as_org")
	b.platform, b.referrerHost = low("platform"), low("referrer_host")
	b.device, b.os, b.browser, b.language = low("device"), low("os"), low("browser"), low("language")
	b.add("visitor", &b.visitor)
	b.add("ip_prefix", &b.ipPrefix)
	b.add("reasons", &b.reasons)
	b.add("rule_version", &b.ruleVersion)
	b.add("valid", &b.valid)
	b.add("billable", &b.billable)
	b.tier, b.format = low("tier"), low("content_format")
	b.add("node", &b.node)
	b.add(batchColumn, newLowCard())
	return b
}

// conversionBlock holds rows of the table conversions.
type conversionBlock struct {
	block
	received, ts, clickTS             proto.ColDateTime64
	brand, campaign, influencer, link proto.ColUInt32
	clickID, txID, refTxID            text
	event, currency                   *lowCard
	amount                            proto.ColDecimal64
	customer, coupon                  text
	status, source                    proto.ColEnum8
	signed                            proto.ColBool
	node                              proto.ColUInt16

	nodeNumber uint16
	conversion Conversion // scratch
}

func newConversionBlock(node uint16) *conversionBlock {
	b := &conversionBlock{event: newLowCard(), currency: newLowCard(), nodeNumber: node}
	b.table, b.moment = "conversions", "received"
	for _, c := range []*proto.ColDateTime64{&b.received, &b.ts, &b.clickTS} {
		c.WithPrecision(proto.PrecisionMilli)
	}
	b.add("received", &b.received)
	b.add("ts", &b.ts)
	b.add("brand_id", &b.brand)
	b.add("campaign_id", &b.campaign)
	b.add("influencer_id", &b.influencer)
	b.add("link_id", &b.link)
	b.add("click_id", &b.clickID)
	b.add("click_ts", &b.clickTS)
	b.add("event", b.event)
	b.add("txid", &b.txID)
	b.add("ref_txid", &b.refTxID)
	b.add("amount", proto.Alias(&b.amount, "Decimal(18, 4)"))
	b.add("currency", b.currency)
	b.add("customer_id", &b.customer)
	b.add("coupon", &b.coupon)
	b.add("status", proto.Alias(&b.status, "Enum8('pending' = 1, 'approved' = 2, 'rejected' = 3)"))
	b.add("source", proto.Alias(&b.source, "Enum8('postback' = 1, 'pixel' = 2, 'import' = 3)"))
	b.add("signed", &b.signed)
	b.add("node", &b.node)
	b.add(batchColumn, newLowCard())
	return b
}

// append adds one conversion.
func (b *conversionBlock) append(record []byte) error {
	c := &b.conversion
	if err := parseConversion(record, c); err != nil {
		return err
	}
	b.received.AppendRaw(proto.DateTime64(c.Received))
	b.ts.AppendRaw(proto.DateTime64(c.Millis))
	b.brand.Append(c.Brand)
	b.campaign.Append(c.Campaign)
	b.influencer.Append(c.Influencer)
	b.link.Append(c.Link)
	b.clickID.Append(c.ClickID)
	b.clickTS.AppendRaw(proto.DateTime64(c.ClickTime))
	b.event.Append(c.Event)
	b.txID.Append(c.TxID)
	b.refTxID.Append(c.RefTxID)
	b.amount.Append(proto.Decimal64(c.Amount))
	b.currency.Append(c.Currency)
	b.customer.Append(c.Customer)
	b.coupon.Append(c.Coupon)
	b.status.Append(proto.Enum8(c.Status))
	b.source.Append(proto.Enum8(c.Source))
	b.signed.Append(c.Signed)
	b.node.Append(b.nodeNumber)
	b.rows++
	return nil
}
