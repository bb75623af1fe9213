package control

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"carom/redirect"
)

// A Link is one link as people see it: with keys for ids, and its short URL.
type Link struct {
	Link       string     `json:"link"`
	ShortURL   string     `json:"short_url" doc:"empty when the signing key is retired and no open slug is left"`
	Brand      string     `json:"brand"`
	Campaign   string     `json:"campaign"`
	Influencer string     `json:"influencer"`
	Domain     string     `json:"domain"`
	Code       string     `json:"code" doc:"signed code, empty when its key is retired"`
	Slug       string     `json:"slug"`
	Enabled    bool       `json:"enabled" doc:"whether the edge sends visitors to its destination now, which campaign, creator and dates decide too"`
	Expires    *time.Time `json:"expires" doc:"its own, null for never"`
	State      string     `json:"state" doc:"live, or what stops it and in brackets where: disabled, deleted, not begun, expired, key retired"`
}

// moneyDigits is the scale of money in ClickHouse and in every exact answer, those of reports included.
const moneyDigits = 4

// A LinkDetail is all there is to know of a link.
type LinkDetail struct {
	Link
	Why              string    `json:"why" doc:"what its state comes from, and whether its key is retired"`
	Number           uint32    `json:"number" doc:"the number inside the code"`
	Coupon           string    `json:"coupon"`
	Destination      string    `json:"destination" doc:"its own, otherwise the campaign's"`
	UTMSource        string    `json:"utm_source" doc:"template, its own, otherwise the campaign's; so are the four below"`
	UTMMedium        string    `json:"utm_medium"`
	UTMCampaign      string    `json:"utm_campaign"`
	UTMContent       string    `json:"utm_content"`
	UTMTerm          string    `json:"utm_term"`
	ContentFormat    string    `json:"content_format"`
	IntegrationStyle string    `json:"integration_style"`
	HasCTA           bool      `json:"has_cta"`
	Faceless         bool      `json:"faceless"`
	Deal             string    `json:"deal"`
	Fee              string    `json:"fee" doc:"decimal with four digits, in the currency below"`
	ProductCost      string    `json:"product_cost"`
	Currency         string    `json:"currency"`
	PostURL          string    `json:"post_url"`
	FallbackURL      string    `json:"fallback_url"`
	Starts           time.Time `json:"starts"`
	Updated          time.Time `json:"updated"`
	Warnings         []string  `json:"warnings" doc:"what a person should look at"`
}

// A linkView turns rows into Links; it derives each signing key once.
type linkView struct {
	control *Control
	cat     *catalog
	keys    map[signer]*redirect.CodeKey // nil for a key that is retired
}

// A signer is the key in one slot for one domain.
type signer struct {
	domain uint32
	slot   uint8
}

// newLinkView is called when the rows are at hand: a catalogue from before may lack what the newest of them refer to.
func (c *Control) newLinkView() *linkView {
	return &linkView{c, c.catalog.Load(), map[signer]*redirect.CodeKey{}}
}

// key derives the key that has minted codes of a slot for a domain; nil when it is retired.
func (v *linkView) key(domain *domainRow, slot uint8) (*redirect.CodeKey, error) {
	at := signer{domain.DomainID, slot}
	if key, known := v.keys[at]; known {
		return key, nil
	}
	row, ok := v.cat.keys[keyPlace{domain.BrandID, redirect.KeyCode, strconv.Itoa(int(slot))}]
	if !ok || row.State == string(KeyRetired) {
		v.keys[at] = nil
		return nil, nil
	}
	secret, err := v.control.openKey(row)
	if err != nil {
		return nil, err
	}
	key := redirect.NewCodeKey(secret, domain.Host)
	v.keys[at] = &key
	return &key, nil
}

func (v *linkView) link(r *linkRow) (Link, error) {
	domain := v.cat.domains.byID[r.DomainID]
	link := Link{
		Link: r.Link, Brand: v.cat.brands.byID[r.BrandID].Brand, Campaign: v.cat.campaigns.byID[r.CampaignID].Campaign,
		Influencer: v.cat.influencers.byID[r.InfluencerID].Influencer, Domain: domain.Host, Slug: r.Slug,
	}
	if !r.Expires.Equal(noTime()) {
		link.Expires = &r.Expires
	}
	key, err := v.key(domain, r.KeyID)
	if err != nil {
		return link, err
	}
	signed := r.Slug == "" || domain.Vanity == vanitySigned
	path := []byte(r.Slug)
	if key != nil {
		link.Code = string(key.AppendCode(nil, r.KeyID, r.LinkID))
		switch {
		case r.Slug == "":
			path = []byte(link.Code)
		case signed:
			path = key.AppendSlugSignature(append(path, '~'), []byte(r.Slug))
		}
	}
	reachable := key != nil || !signed
	stop := v.stop(r, reachable)
	link.Enabled, link.State = stop == nil, stop.state()
	if reachable {
		link.ShortURL = strings.ReplaceAll(v.control.cfg.PublicURL, "{host}", domain.Host) + "/" + string(path)
	}
	return link, nil
}

// destination is the link's own, otherwise its campaign's.
func (v *linkView) destination(r *linkRow) string {
	return cmp.Or(r.Destination, v.cat.campaigns.byID[r.CampaignID].Destination)
}

func (v *linkView) detail(r *linkRow) (LinkDetail, error) {
	link, err := v.link(r)
	campaign := v.cat.campaigns.byID[r.CampaignID]
	utm := redirect.UTM{Source: r.UTMSource, Medium: r.UTMMedium, Campaign: r.UTMCampaign, Content: r.UTMContent, Term: r.UTMTerm}.
		Or(redirect.UTM{
			Source: campaign.UTMSource, Medium: campaign.UTMMedium, Campaign: campaign.UTMCampaign,
			Content: campaign.UTMContent, Term: campaign.UTMTerm,
		})
	detail := LinkDetail{
		Link: link, Why: v.why(r, &link), Number: r.LinkID, Coupon: r.Coupon, Destination: v.destination(r),
		UTMSource: utm.Source, UTMMedium: utm.Medium, UTMCampaign: utm.Campaign, UTMContent: utm.Content, UTMTerm: utm.Term,
		ContentFormat: r.ContentFormat, IntegrationStyle: r.IntegrationStyle, HasCTA: r.HasCTA, Faceless: r.Faceless, Deal: r.Deal,
		Fee: r.Fee.StringFixed(moneyDigits), ProductCost: r.ProductCost.StringFixed(moneyDigits), Currency: r.Currency,
		PostURL: r.PostURL, FallbackURL: r.FallbackURL, Starts: r.Starts, Updated: r.Updated,
	}
	detail.Warnings = []string{}
	for _, a := range []struct{ column, stored string }{{"destination", detail.Destination}, {"fallback_url", r.FallbackURL}} {
		if odd := oddAddress(a.stored); odd != "" {
			detail.Warnings = append(detail.Warnings, a.column+" "+odd)
		}
	}
	return detail, err
}
