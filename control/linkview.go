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

// A LinkDetail is a link with what people ask about it.
type LinkDetail struct {
	Link
	Why      string   `json:"why"`      // what its state comes from, and whether its key is retired
	Warnings []string `json:"warnings"` // what a person should look at
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
		link.ShortURL = v.shortURL(domain, path)
	}
	return link, nil
}

// shortURL is how a path behind the slash is written as a link of a domain.
func (v *linkView) shortURL(domain *domainRow, path []byte) string {
	return strings.ReplaceAll(v.control.cfg.PublicURL, "{host}", domain.Host) + "/" + string(path)
}

// destination is the link's own, otherwise its campaign's.
func (v *linkView) destination(r *linkRow) string {
	return cmp.Or(r.Destination, v.cat.campaigns.byID[r.CampaignID].Destination)
}

// utm are the link's own templates, otherwise its campaign's.
func (v *linkView) utm(r *linkRow) redirect.UTM {
	return r.templates().Or(v.cat.campaigns.byID[r.CampaignID].templates())
}

// warnings say what a person should look at.
func (v *linkView) warnings(r *linkRow) []string {
	list := []string{}
	for _, a := range []struct{ column, stored string }{{"destination", v.destination(r)}, {"fallback_url", r.FallbackURL}} {
		if odd := oddAddress(a.stored); odd != "" {
			list = append(list, a.column+" "+odd)
		}
	}
	return list
}

func (v *linkView) detail(r *linkRow) (LinkDetail, error) {
	link, err := v.link(r)
	return LinkDetail{Link: link, Why: v.why(r, &link), Warnings: v.warnings(r)}, err
}
