package control

import (
	"context"
	"errors"
	"fmt"
)

// A Target is what is switched off or on: a link, a campaign or a creator, by key.
type Target struct {
	Brand      string // may be empty where the key is that of one brand only; never given with Influencer
	Link       string
	Campaign   string
	Influencer string
}

// ErrTarget is returned where not exactly one of link, campaign and influencer is named.
var ErrTarget = errors.New("name one of link, campaign and influencer; a brand goes with link and campaign only")

// SetEnabled stops a link, or all links of a campaign or of a creator, or lets them go on. A stopped link answers with its
// fallback. A creator is shared by all brands, so that needs a scope of all. It returns how many links target has.
func (c *Control) SetEnabled(ctx context.Context, scope Scope, target Target, enabled bool) (int, error) {
	if err := c.begin(ctx); err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	switch {
	case target.Link != "" && target.Campaign == "" && target.Influencer == "":
		return c.enableLink(ctx, scope, target, enabled)
	case target.Link == "" && target.Campaign != "" && target.Influencer == "":
		return c.enableCampaign(ctx, scope, target, enabled)
	case target.Link == "" && target.Campaign == "" && target.Influencer != "" && target.Brand == "":
		return c.enableInfluencer(ctx, scope, target.Influencer, enabled)
	}
	return 0, ErrTarget
}

func (c *Control) enableLink(ctx context.Context, scope Scope, target Target, enabled bool) (int, error) {
	row, err := c.linkRow(ctx, scope, target.Brand, target.Link)
	if err != nil || row.Enabled == enabled {
		return 1, err
	}
	row.Enabled = enabled
	rows := stampRows([]linkRow{*row}, c.stamp())
	return 1, c.commit(ctx, write{inserts: []insert{insertRows("links", "", rows)}}, switched("links", row.Link, row.BrandID, enabled))
}

func (c *Control) enableCampaign(ctx context.Context, scope Scope, target Target, enabled bool) (int, error) {
	cat := c.catalog.Load()
	stored, err := cat.campaign(scope, target.Brand, target.Campaign)
	if err != nil {
		return 0, err
	}
	row := *stored
	touched, err := c.store.countLinks(ctx, "campaign_id = ?", row.CampaignID)
	if err != nil || row.Enabled == enabled {
		return touched, err
	}
	row.Enabled = enabled
	rows := stampRows([]campaignRow{row}, c.stamp())
	return touched, c.commit(ctx, write{
		inserts: []insert{insertRows("campaigns", "", rows)},
		learn:   func(next *catalog) { next.campaigns = next.campaigns.with(rows) },
	}, switched("campaigns", row.Campaign, row.BrandID, enabled))
}

func (c *Control) enableInfluencer(ctx context.Context, scope Scope, key string, enabled bool) (int, error) {
	stored := c.catalog.Load().influencers.byKey[key]
	switch {
	case stored == nil:
		return 0, fmt.Errorf("influencer %q: %w", key, ErrNotFound)
	case !scope.All:
		return 0, fmt.Errorf("influencer %q is shared by all brands: %w", key, ErrForbidden)
	}
	row := *stored
	touched, err := c.store.countLinks(ctx, "influencer_id = ?", row.InfluencerID)
	if err != nil || row.Enabled == enabled {
		return touched, err
	}
	row.Enabled = enabled
	rows := stampRows([]influencerRow{row}, c.stamp())
	return touched, c.commit(ctx, write{
		inserts: []insert{insertRows("influencers", "", rows)},
		learn:   func(next *catalog) { next.influencers = next.influencers.with(rows) },
	}, switched("influencers", row.Influencer, 0, enabled))
}

// switched is the deed of SetEnabled.
func switched(object, key string, brand uint32, enabled bool) deed {
	action := "disable"
	if enabled {
		action = "enable"
	}
	return deed{action: action, object: object, key: key, brand: brand, rows: 1}
}

// countLinks counts the links that are not deleted. where may hold ? for args.
func (s store) countLinks(ctx context.Context, where string, args ...any) (int, error) {
	var n uint64
	err := s.conn.QueryRow(ctx, "SELECT count() FROM links FINAL WHERE NOT deleted AND "+where, args...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count links: %w", err)
	}
	return int(n), nil
}
