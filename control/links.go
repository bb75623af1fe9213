package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/shopspring/decimal"

	"carom/control/sheet"
	"carom/redirect"
)

type linkRow struct {
	LinkID           uint32          `ch:"link_id"`
	Link             string          `ch:"link"`
	BrandID          uint32          `ch:"brand_id"`
	CampaignID       uint32          `ch:"campaign_id"`
	InfluencerID     uint32          `ch:"influencer_id"`
	DomainID         uint32          `ch:"domain_id"`
	KeyID            uint8           `ch:"key_id"`
	Slug             string          `ch:"slug"`
	Coupon           string          `ch:"coupon"`
	Destination      string          `ch:"destination"`
	ContentFormat    string          `ch:"content_format"`
	IntegrationStyle string          `ch:"integration_style"`
	HasCTA           bool            `ch:"has_cta"`
	Faceless         bool            `ch:"faceless"`
	Deal             string          `ch:"deal"`
	Fee              decimal.Decimal `ch:"fee"`
	ProductCost      decimal.Decimal `ch:"product_cost"`
	Currency         string          `ch:"currency"`
	PostURL          string          `ch:"post_url"`
	Rules            string          `ch:"rules"`
	Starts           time.Time       `ch:"starts"`
	Expires          time.Time       `ch:"expires"`
	FallbackURL      string          `ch:"fallback_url"`
	Enabled          bool            `ch:"enabled"`
	utmFields
	stamp
}

// A linkKey is a link's key within its brand.
type linkKey struct {
	brand uint32
	link  string
}

type linkImport struct {
	scope  Scope
	cat    *catalog
	view   *linkView // of what the API shows
	now    time.Time
	stored map[linkKey]linkRow
	slugs  *slugBook
	// spent are the slugs of deleted links, by the creators they were printed for: who taps one must never be credited to
	// another creator. The same creator may have it again, as when a link was deleted by mistake.
	spent map[slugPlace]uint32
}

func (k *linkImport) name() string       { return "links" }
func (k *linkImport) identity() []string { return []string{"link", "domain"} }

func (k *linkImport) owner(r *linkRow) (uint32, string) { return r.BrandID, r.Link }

func (k *linkImport) columns() []column[linkRow] {
	policy := func(r *linkRow) redirect.DestinationPolicy { return k.cat.policy(r.BrandID) }
	anywhere := func(*linkRow) redirect.DestinationPolicy { return redirect.DestinationPolicy{} }
	currency := func(r *linkRow) string { return r.Currency }
	return slices.Concat([]column[linkRow]{
		key[linkRow]("link").says(aboutKeys + "; unique within the brand").shown(func(r *linkRow) string { return r.Link }),
		key[linkRow]("domain").says("host of the short URL; never changes").shown(func(r *linkRow) string { return k.cat.domains.byID[r.DomainID].Host }),
		key[linkRow]("campaign").says("never changes: old clicks hang on it").shown(func(r *linkRow) string {
			return k.cat.campaigns.byID[r.CampaignID].Campaign
		}),
		key[linkRow]("influencer").says("never changes: old clicks hang on it").shown(func(r *linkRow) string {
			return k.cat.influencers.byID[r.InfluencerID].Influencer
		}),
		value("slug", func(r *linkRow) *string { return &r.Slug }, equal, k.slug).says("path of the short URL in place of the signed code"),
		value("coupon", func(r *linkRow) *string { return &r.Coupon }, equal, parseCoupon[linkRow]).
			says("sales with it are the link's, without a click; kept in upper case"),
		address("destination", func(r *linkRow) *string { return &r.Destination }, policy).says("its own; the campaign's where empty"),
	}, utmColumns(aboutOverrides, func(r *linkRow) *utmFields { return &r.utmFields }), []column[linkRow]{
		choice("content_format", func(r *linkRow) *string { return &r.ContentFormat },
			"", "carousel", "image", "reel", "video", "story", "live", "post").says("of the post that shows the link"),
		choice("integration_style", func(r *linkRow) *string { return &r.IntegrationStyle }, "", "native", "ad"),
		flag("has_cta", false, func(r *linkRow) *bool { return &r.HasCTA }).says("whether the post calls to act"),
		flag("faceless", false, func(r *linkRow) *bool { return &r.Faceless }).says("whether the creator stays out of the picture"),
		choice("deal", func(r *linkRow) *string { return &r.Deal }, "", "paid", "barter", "affiliate"),
		value("currency", func(r *linkRow) *string { return &r.Currency }, equal, func(r *linkRow, cell string) (string, error) {
			return k.cat.currency(r.BrandID, cell)
		}).says("the brand's, also where empty"),
		money("fee", func(r *linkRow) *decimal.Decimal { return &r.Fee }, currency).says("paid to the creator; counts once, on the day the link starts"),
		money("product_cost", func(r *linkRow) *decimal.Decimal { return &r.ProductCost }, currency).says("of what the creator was given"),
		address("post_url", func(r *linkRow) *string { return &r.PostURL }, anywhere).says("the post that shows the link"),
		value("rules", func(r *linkRow) *string { return &r.Rules }, equal, parseRules).says("empty: this version evaluates none"),
		k.startColumn(),
		moment("expires", func(r *linkRow) *time.Time { return &r.Expires }).says("the first moment at which it is expired; null for never"),
		address("fallback_url", func(r *linkRow) *string { return &r.FallbackURL }, policy).
			says("where it leads when it is expired or disabled; the domain's where empty"),
		flag("enabled", true, func(r *linkRow) *bool { return &r.Enabled }).says("its own switch; state tells what the edge does"),
	})
}

// slug lets a link keep what it has, reserved or not.
func (k *linkImport) slug(r *linkRow, cell string) (string, error) {
	if cell == "" || cell == r.Slug {
		return cell, nil
	}
	if err := checkSlug(cell); err != nil {
		return "", err
	}
	place := slugPlace{r.DomainID, cell}
	if err := k.slugs.check(slugWish{linkKey{r.BrandID, r.Link}, place}); err != nil {
		return "", err
	}
	if creator, spent := k.spent[place]; spent && creator != r.InfluencerID {
		return "", fmt.Errorf("%w for good: it was printed for creator %q, on a link that was deleted",
			ErrTaken, k.cat.influencers.byID[creator].Influencer)
	}
	return cell, nil
}

// startColumn is the moment of minting where the file names none.
func (k *linkImport) startColumn() column[linkRow] {
	at := func(r *linkRow) *time.Time { return &r.Starts }
	c := moment("starts", at).says("before it the link is not begun; the time of minting where empty")
	c.set = value("starts", at, time.Time.Equal, k.start).set
	return c
}

// start is the moment of minting where the cell is empty; a link that has one keeps it.
func (k *linkImport) start(r *linkRow, cell string) (time.Time, error) {
	switch {
	case cell != "":
		return parseTime(cell)
	case r.Starts.IsZero():
		return k.now.Truncate(time.Second), nil
	}
	return r.Starts, nil
}

// parseCoupon writes coupons in upper case: shops report them as their customers typed them.
func parseCoupon[R any](_ *R, cell string) (string, error) {
	return strings.ToUpper(cell), checkText(cell, maxKey)
}

// parseRules refuses targeting rules, which no edge evaluates yet: a link must not silently do something else.
func parseRules(_ *linkRow, cell string) (string, error) {
	if cell != "" {
		return "", fmt.Errorf("must be empty: this version does not evaluate targeting rules")
	}
	return "", nil
}

// prepare reads the links that the chunk's keys mean and those that hold its slugs.
func (k *linkImport) prepare(ctx context.Context, c *Control, recs []sheet.Record) error {
	k.open(c)
	k.now = c.cfg.Now().UTC()
	k.stored, k.spent = make(map[linkKey]linkRow, len(recs)), map[slugPlace]uint32{}
	named, err := ext.NewTable("named", ext.Column("brand", "UInt32"), ext.Column("link", "String"),
		ext.Column("domain", "UInt32"), ext.Column("slug", "String"))
	if err != nil {
		return err
	}
	var wishes []slugWish
	for _, rec := range recs {
		domain, brand, err := k.cat.domain(k.scope, rec.Cell("domain"))
		if err != nil {
			continue // find refuses the line
		}
		if err := named.Append(brand.BrandID, rec.Cell("link"), domain.DomainID, rec.Cell("slug")); err != nil {
			return err
		}
		for _, id := range k.cat.domains.former[domain.Host] { // what was printed with the host is still out there
			if err := named.Append(uint32(0), "", id, rec.Cell("slug")); err != nil {
				return err
			}
		}
		if rec.Has("slug") {
			wishes = append(wishes, slugWish{linkKey{brand.BrandID, rec.Cell("link")}, slugPlace{domain.DomainID, rec.Cell("slug")}})
		}
	}
	// A link's key and brand never change, so any of its rows finds its id; FINAL then reads only those ids.
	rows, err := selectRows[linkRow](withTable(ctx, named), c.store, "links", `link_id IN (
		SELECT link_id FROM links WHERE (brand_id, link) IN (SELECT brand, link FROM named)
		OR slug != '' AND (domain_id, slug) IN (SELECT domain, slug FROM named WHERE slug != ''))`)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Deleted {
			k.spent[slugPlace{k.cat.presentDomain(row.DomainID), row.Slug}] = row.InfluencerID
			continue
		}
		k.stored[linkKey{row.BrandID, row.Link}] = row
	}
	k.slugs, err = newSlugBook(ctx, c.store, k.stored, wishes)
	return err
}

func (k *linkImport) find(rec sheet.Record) (linkRow, string, bool, error) {
	domain, brand, err := k.cat.domain(k.scope, rec.Cell("domain"))
	if err != nil {
		return linkRow{}, "", false, err
	}
	key := linkKey{brand.BrandID, rec.Cell("link")}
	id := brand.Brand + "/" + key.link
	if err := checkKey(key.link); err != nil {
		return linkRow{}, id, false, refuse("link", "%s", err)
	}
	campaign := k.cat.campaigns.byKey[campaignKey{brand.BrandID, rec.Cell("campaign")}]
	if campaign == nil {
		return linkRow{}, id, false, refuse("campaign", "is unknown in brand %q: import it with campaigns first", brand.Brand)
	}
	influencer := k.cat.influencers.byKey[rec.Cell("influencer")]
	if influencer == nil {
		return linkRow{}, id, false, refuse("influencer", "is unknown: import it with influencers first")
	}
	stored, ok := k.stored[key]
	if !ok && isPath(key.link) {
		return linkRow{}, id, false, refuse("link", "is reserved: the API has something else at /links/%s", key.link)
	}
	if !ok {
		return linkRow{
			Link: key.link, BrandID: brand.BrandID, CampaignID: campaign.CampaignID,
			InfluencerID: influencer.InfluencerID, DomainID: domain.DomainID,
		}, id, false, nil
	}
	const fixed = "cannot change: old clicks and printed codes hang on it; it is %q"
	switch {
	case stored.DomainID != domain.DomainID:
		return stored, id, true, refuse("domain", fixed, k.cat.domains.byID[stored.DomainID].Host)
	case stored.CampaignID != campaign.CampaignID:
		return stored, id, true, refuse("campaign", fixed, k.cat.campaigns.byID[stored.CampaignID].Campaign)
	case stored.InfluencerID != influencer.InfluencerID:
		return stored, id, true, refuse("influencer", fixed, k.cat.influencers.byID[stored.InfluencerID].Influencer)
	}
	return stored, id, true, nil
}

func (k *linkImport) check(r *linkRow, _ change) error {
	if err := checkPeriod(r.Starts, r.Expires, "expires"); err != nil {
		return err
	}
	param := k.cat.campaigns.byID[r.CampaignID].ClickIDParam
	if err := checkClickIDParam(param, r.Destination, "destination"); err != nil {
		return err
	}
	k.slugs.claim(r.slugWish())
	return nil
}

// write mints the fresh links with their brand's active key.
func (k *linkImport) write(c *Control, rows []linkRow, fresh int) (write, error) {
	if err := numberRows(&c.numbers.links, rows[:fresh], func(r *linkRow) *uint32 { return &r.LinkID }); err != nil {
		return write{}, err
	}
	for i := range rows[:fresh] {
		slot, err := k.cat.activeSlot(rows[i].BrandID)
		if err != nil {
			return write{}, err
		}
		rows[i].KeyID = slot
	}
	stampRows(rows, c.stamp())
	return write{inserts: []insert{insertRows("links", "", rows)}}, nil
}
