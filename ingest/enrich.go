package ingest

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"

	"github.com/ClickHouse/ch-go/proto"

	"carom/geo"
)

// clickIDLen is the length of a click id as text: 16 bytes in base64url without padding.
const clickIDLen = 22

// ruleVersion is stored with each click: which rules decided its reasons. It goes up with every change of them.
const ruleVersion = 1

// clickTable turns clicks into rows of the table clicks. It adds to what the redirect knew: place, agent, platform,
// UTM values, and whether the visitor was here a moment ago. Only one goroutine uses it.
type clickTable struct {
	node       uint16
	places     *geo.DB
	agents     *Agents
	referrers  *Referrers
	duplicates *duplicates
	metrics    *flushMetrics

	click  Click // scratch
	params campaignParams
	id     [clickIDLen]byte
}

func newClickTable(c Config, places *geo.DB, agents *Agents, m *flushMetrics) *clickTable {
	return &clickTable{
		node: c.Node, places: places, agents: agents, referrers: NewReferrers(),
		duplicates: newDuplicates(c.DuplicateSpan), metrics: m,
	}
}

func (t *clickTable) newRows() rows { return newClickBlock(t) }

func (t *clickTable) millis(record []byte) (int64, error) { return clickMillis(record) }

// clickMillis is the time of a click in the ring.
func clickMillis(record []byte) (int64, error) {
	if len(record) < clickFixed || kind(record[0]) != kindClick {
		return 0, errRecord
	}
	return int64(binary.LittleEndian.Uint64(record[8:])), nil
}

// append enriches one click and adds it to the block.
func (b *clickBlock) append(record []byte) error {
	t := b.clickTable
	c, p := &t.click, &t.params
	if err := parseClick(record, c); err != nil {
		return err
	}
	agent := t.agents.ParseHashed(c.AgentHash, c.Agent)
	reasons := c.Reasons | agent.Reasons
	if reasons.Valid() && t.duplicates.repeat(c.Visitor, c.Link, c.Millis) {
		reasons |= Duplicate
	}
	t.metrics.flag(reasons)
	place := t.places.Locate(netip.AddrFrom16(c.Addr))
	host, platform := t.referrers.Parse(c.Referrer)
	if agent.Platform != "" {
		platform = agent.Platform
	}
	p.parse(c.Query)

	base64.RawURLEncoding.Encode(t.id[:], c.ID[:])
	b.ts.AppendRaw(proto.DateTime64(c.Millis))
	b.clickID.Append(t.id[:])
	b.link.Append(c.Link)
	b.brand.Append(c.Brand)
	b.campaign.Append(c.Campaign)
	b.influencer.Append(c.Influencer)
	b.host.AppendBytes(c.Host)
	b.slug.AppendBytes(c.Slug)
	b.utmSource.AppendBytes(p.source)
	b.utmMedium.AppendBytes(p.medium)
	b.utmCampaign.AppendBytes(p.campaign)
	b.utmTerm.AppendBytes(p.term)
	b.utmContent.AppendBytes(p.content)
	b.utmID.AppendBytes(p.id)
	b.utmSourcePlatform.AppendBytes(p.sourcePlatform)
	b.utmCreativeFormat.AppendBytes(p.creativeFormat)
	for i := range b.sub {
		b.sub[i].AppendBytes(p.sub[i])
	}
	b.country.Append(place.Country)
	b.region.Append(place.Region)
	b.city.Append(place.City)
	b.asn.Append(place.ASN)
	b.asOrg.Append(place.ASOrg)
	b.platform.Append(platform)
	b.referrerHost.Append(host)
	b.device.Append(agent.Device)
	b.os.Append(agent.OS)
	b.browser.Append(agent.Browser)
	b.language.Append(Language(c.Language))
	b.visitor.Append(c.Visitor)
	b.ipPrefix.Append(prefixOf(c.Addr))
	b.reasons.Append(uint32(reasons))
	b.ruleVersion.Append(ruleVersion)
	b.valid.Append(oneIf(reasons.Valid()))
	b.billable.Append(oneIf(reasons.Billable()))
	b.tier.Append(c.Tier.String())
	b.format.Append(c.Format.String())
	b.node.Append(t.node)
	b.rows++
	return nil
}

func oneIf(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}

// Bytes of an address that a row keeps: enough for a network, not for a household.
const (
	prefixBytes4 = 12 + 3 // mapped, ::ffff:a.b.c.0
	prefixBytes6 = 6
)

// prefixOf blanks what a row must not know of an address.
func prefixOf(addr [16]byte) proto.IPv6 {
	kept := prefixBytes6
	if netip.AddrFrom16(addr).Is4In6() {
		kept = prefixBytes4
	}
	clear(addr[kept:])
	return addr
}

// conversionTable turns conversions into rows of the table conversions.
type conversionTable struct{ node uint16 }

func (t conversionTable) newRows() rows { return newConversionBlock(t.node) }

func (t conversionTable) millis(record []byte) (int64, error) { return conversionMillis(record) }

// conversionMillis is when a conversion in the ring was received.
func conversionMillis(record []byte) (int64, error) {
	if len(record) < conversionFixed || kind(record[0]) != kindConversion {
		return 0, errRecord
	}
	return int64(binary.LittleEndian.Uint64(record[4:])), nil
}
