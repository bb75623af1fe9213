package ingest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"github.com/ClickHouse/ch-go/proto"
)

// recordLine is a record of a spool as a line of JSON. Nothing in it moves a terminal.
type recordLine struct {
	Kind  string         `json:"kind"`            // clicks or conversions
	Batch string         `json:"batch,omitempty"` // of a frozen batch; of a waiting record, none yet
	Row   map[string]any `json:"row"`             // by column of the table
}

// text encodes the line in ASCII, without its end.
func (l recordLine) text() ([]byte, error) {
	b, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("record of %s as JSON: %w", l.Kind, err)
	}
	ascii := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r < utf8.RuneSelf && r != 0x7f:
			ascii = append(ascii, b[0])
		case r > 0xffff:
			r -= 0x10000
			ascii = fmt.Appendf(ascii, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			ascii = fmt.Appendf(ascii, `\u%04x`, r)
		}
		b = b[size:]
	}
	return ascii, nil
}

// clickRow is what a waiting click says, under the names of the columns it will fill. Of its address only the prefix is
// told, of the page it came from the host.
func clickRow(referrers *Referrers, record []byte) (map[string]any, error) {
	var c Click
	if err := parseClick(record, &c); err != nil {
		return nil, err
	}
	host, _ := referrers.Parse(c.Referrer)
	row := map[string]any{
		"ts": timeValue(c.Millis), "click_id": base64.RawURLEncoding.EncodeToString(c.ID[:]),
		"link_id": c.Link, "brand_id": c.Brand, "campaign_id": c.Campaign, "influencer_id": c.Influencer,
		"host": textValue(c.Host), "slug": textValue(c.Slug), "agent": textValue(c.Agent), "referrer_host": host,
		"language": Language(c.Language), "visitor": strconv.FormatUint(c.Visitor, 10),
		"ip_prefix": netip.AddrFrom16(prefixOf(c.Addr)).String(),
		"reasons":   uint32(c.Reasons), "tier": c.Tier.String(), "content_format": c.Format.String(),
	}
	var p campaignParams
	p.parse(c.Query)
	for _, name := range paramNames {
		if value := *p.field([]byte(name)); value != nil {
			row[name] = textValue(value)
		}
	}
	return row, nil
}

// paramNames are the parameters that a click row stores.
var paramNames = [...]string{
	"utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id", "utm_source_platform", "utm_creative_format",
	"sub1", "sub2", "sub3", "sub4", "sub5",
}

// conversionRow is a waiting conversion as the row it will be.
func conversionRow(record []byte) (map[string]any, error) {
	b := newConversionBlock(0)
	if err := b.append(record); err != nil {
		return nil, err
	}
	var buf proto.Buffer
	frozen, err := b.freeze(&buf, "", nil)
	if err != nil {
		return nil, err
	}
	row, err := frozen.row()
	delete(row, "node") // the spool's, which this block does not know
	return row, err
}

// eachRow calls do with every row of a frozen block. Halving it again and again costs a row far less than cutting it off the
// whole.
func (b *block) eachRow(batch string, do func(row map[string]any) error) error {
	if b.rows > 1 {
		for _, half := range [...][2]int{{0, b.rows / 2}, {b.rows / 2, b.rows}} {
			some, err := b.slice(half[0], half[1], batch)
			if err != nil {
				return err
			}
			if err := some.eachRow(batch, do); err != nil {
				return err
			}
		}
		return nil
	}
	if b.rows == 0 {
		return nil
	}
	row, err := b.row()
	if err != nil {
		return err
	}
	return do(row)
}
