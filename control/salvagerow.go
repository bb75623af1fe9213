package control

import (
	"time"

	"carom/redirect"
)

// unknownAge is how long before the snapshot keys are said to have been made: with the moment of their last change lastActive would
// take them for keys that were never active.
const unknownAge = time.Second

func (s *Salvage) keyRow(k redirect.KeyRow, sealer *redirect.Sealer) *keyRow {
	state := KeyVerify
	if k.Active {
		state = KeyActive
	}
	return &keyRow{
		BrandID: k.Brand, Kind: string(k.Kind), KeyID: k.ID, Sealed: string(sealer.Seal(k.Kind, k.Brand, k.ID, k.Secret)),
		State: string(state), Created: s.stamp.Updated.Add(-unknownAge), Version: s.stamp.Version, Updated: s.stamp.Updated,
	}
}

func (s *Salvage) brandRow(b redirect.Brand) *brandRow {
	return &brandRow{
		BrandID: b.ID, Brand: b.Key, Name: b.Name, Currency: b.Currency, Timezone: "UTC",
		AttributionDays: b.AttributionDays, HoldDays: defaultDays, UnsignedPixel: b.UnsignedPixel,
		DestinationHosts: b.Policy.Hosts, AppSchemes: b.Policy.AppSchemes, stamp: s.stamp,
	}
}

func (s *Salvage) domainRow(d redirect.DomainRow) *domainRow {
	vanity := vanityOpen
	if d.SignedSlugs {
		vanity = vanitySigned
	}
	return &domainRow{
		DomainID: d.ID, Host: d.Host, BrandID: d.Brand, HomeURL: d.Home, FallbackURL: d.Fallback, NotFoundURL: d.NotFound,
		Vanity: vanity, AppleApps: d.AppleApps, AssetLinks: d.AssetLinks, stamp: s.stamp,
	}
}

func (s *Salvage) influencerRow(v redirect.Influencer) *influencerRow {
	return &influencerRow{
		InfluencerID: v.ID, Influencer: v.Key, Name: v.Key, Platform: v.Platform, Followers: v.Tier.Floor(),
		Enabled: v.Enabled, stamp: s.stamp,
	}
}

func (s *Salvage) campaignRow(c redirect.Campaign) *campaignRow {
	return &campaignRow{
		CampaignID: c.ID, Campaign: c.Key, BrandID: c.Brand, Name: c.Key, Destination: c.Destination, Starts: c.Starts, Ends: c.Ends,
		utmFields:    utmOf(c.UTM),
		ClickIDParam: c.ClickIDParam, Enabled: c.Enabled, stamp: s.stamp,
	}
}

func (s *Salvage) linkRow(l redirect.LinkRow) *linkRow {
	row := &linkRow{
		LinkID: l.ID, Link: l.Key, BrandID: l.Brand, CampaignID: l.Campaign, InfluencerID: l.Influencer, DomainID: l.Domain,
		KeyID: l.KeyID, Slug: l.Slug, Coupon: l.Coupon, Destination: l.Destination,
		utmFields:     utmOf(l.UTM),
		ContentFormat: l.Format.String(), Starts: l.Starts, Expires: l.Expires, FallbackURL: l.Fallback, Enabled: l.Enabled,
		stamp: s.stamp,
	}
	if row.Link == "" {
		row.Link = restoredKey(l.ID)
	}
	row.Deleted = l.Deleted
	return row
}
