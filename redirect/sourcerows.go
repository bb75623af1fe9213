package redirect

import (
	"context"
	"errors"
	"fmt"

	"carom/ingest"
)

// readParents applies changes of everything that links refer to.
func (s *Source) readParents(ctx context.Context) error {
	return errors.Join(s.readKeys(ctx), s.readBrands(ctx), s.readDomains(ctx), s.readInfluencers(ctx), s.readCampaigns(ctx))
}

func (s *Source) readKeys(ctx context.Context) error {
	const columns = "brand_id, toString(kind), key_id, sealed, toString(state)"
	return s.eachNewer(ctx, "keys", columns, func(scan scanner) (uint64, error) {
		var k KeyRow
		var kind, sealed, state string
		if err := scan(&k.Brand, &kind, &k.ID, &sealed, &state, &k.Version); err != nil {
			return 0, err
		}
		k.Kind, k.Active, k.Retired = KeyKind(kind), state == "active", state == "retired"
		if !k.Retired {
			secret, err := s.sealer.Open(k.Kind, k.Brand, k.ID, []byte(sealed))
			if err != nil {
				return 0, err
			}
			k.Secret = secret
		}
		s.builder.SetKey(k)
		return k.Version, nil
	})
}

func (s *Source) readBrands(ctx context.Context) error {
	const columns = "brand_id, brand, name, currency, attribution_days, unsigned_pixel, destination_hosts, app_schemes, deleted"
	return s.eachNewer(ctx, "brands", columns, func(scan scanner) (uint64, error) {
		var b Brand
		if err := scan(&b.ID, &b.Key, &b.Name, &b.Currency, &b.AttributionDays, &b.UnsignedPixel,
			&b.Policy.Hosts, &b.Policy.AppSchemes, &b.Deleted, &b.Version); err != nil {
			return 0, err
		}
		s.builder.SetBrand(b)
		return b.Version, nil
	})
}

func (s *Source) readDomains(ctx context.Context) error {
	const columns = "domain_id, host, brand_id, home_url, fallback_url, not_found_url, vanity = 'signed', apple_app_site_association, " +
		"assetlinks, deleted"
	return s.eachNewer(ctx, "domains", columns, func(scan scanner) (uint64, error) {
		var d DomainRow
		var signed uint8
		if err := scan(&d.ID, &d.Host, &d.Brand, &d.Home, &d.Fallback, &d.NotFound, &signed,
			&d.AppleApps, &d.AssetLinks, &d.Deleted, &d.Version); err != nil {
			return 0, err
		}
		d.SignedSlugs = signed == 1
		s.builder.SetDomain(d)
		return d.Version, nil
	})
}

func (s *Source) readInfluencers(ctx context.Context) error {
	const columns = "influencer_id, influencer, platform, followers, enabled, deleted"
	return s.eachNewer(ctx, "influencers", columns, func(scan scanner) (uint64, error) {
		var v Influencer
		var followers uint64
		if err := scan(&v.ID, &v.Key, &v.Platform, &followers, &v.Enabled, &v.Deleted, &v.Version); err != nil {
			return 0, err
		}
		v.Tier = ingest.TierOf(followers)
		s.builder.SetInfluencer(v)
		return v.Version, nil
	})
}

func (s *Source) readCampaigns(ctx context.Context) error {
	const columns = "campaign_id, campaign, brand_id, destination, utm_source, utm_medium, utm_campaign, utm_content, utm_term, " +
		"click_id_param, starts, ends, enabled, deleted"
	return s.eachNewer(ctx, "campaigns", columns, func(scan scanner) (uint64, error) {
		var c Campaign
		if err := scan(&c.ID, &c.Key, &c.Brand, &c.Destination, &c.UTM.Source, &c.UTM.Medium, &c.UTM.Campaign,
			&c.UTM.Content, &c.UTM.Term, &c.ClickIDParam, &c.Starts, &c.Ends, &c.Enabled, &c.Deleted, &c.Version); err != nil {
			return 0, err
		}
		s.builder.SetCampaign(c)
		return c.Version, nil
	})
}

// A scanner reads the columns of a row into variables, in their order.
type scanner func(dest ...any) error

// eachNewer reads the rows of a table that are newer than what was seen, oldest first, and notes how far it came. row scans the columns
// and, behind them, the version, which it returns.
func (s *Source) eachNewer(ctx context.Context, table, columns string, row func(scanner) (version uint64, err error)) error {
	rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT %s, version FROM %s WHERE version > ? ORDER BY version", columns, table),
		s.seen[table])
	if err != nil {
		return fmt.Errorf("read changes of %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		version, err := row(rows.Scan)
		if err != nil {
			return fmt.Errorf("read changes of %s: %w", table, err)
		}
		s.seen[table] = max(s.seen[table], version)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read changes of %s: %w", table, err)
	}
	return nil
}

// eachLink applies the rows of links that the end of a query chooses.
func (s *Source) eachLink(ctx context.Context, which string, args ...any) error {
	rows, err := s.conn.Query(ctx, `SELECT link_id, link, brand_id, campaign_id, influencer_id, domain_id, key_id, slug, coupon, destination,
		utm_source, utm_medium, utm_campaign, utm_content, utm_term, toString(content_format), starts, expires, fallback_url,
		enabled, deleted FROM links `+which, args...)
	if err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l LinkRow
		var format string
		if err := rows.Scan(&l.ID, &l.Key, &l.Brand, &l.Campaign, &l.Influencer, &l.Domain, &l.KeyID, &l.Slug, &l.Coupon, &l.Destination,
			&l.UTM.Source, &l.UTM.Medium, &l.UTM.Campaign, &l.UTM.Content, &l.UTM.Term, &format, &l.Starts, &l.Expires,
			&l.Fallback, &l.Enabled, &l.Deleted); err != nil {
			return fmt.Errorf("read links: %w", err)
		}
		l.Format = ingest.FormatOf(format)
		s.apply(l)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	return nil
}
