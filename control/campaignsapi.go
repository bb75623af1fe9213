package control

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

func (c *Control) registerCampaigns(api huma.API) {
	s := objectAPI[campaignRow, *campaignImport]{
		control: c, one: "campaign", branded: true, adds: Editor, removes: Editor,
		open: func(scope Scope) *campaignImport { return &campaignImport{scope: scope} },
	}
	s.register(api)
	registerList(api, s, (*campaignImport).page)
}

func (k *campaignImport) page(_ context.Context, c *Control, in *brandedRequest, after uint32, limit int) ([]campaignRow, error) {
	k.cat = c.catalog.Load()
	ids, err := k.cat.brandFilter(k.scope, in.Brand)
	return k.cat.campaigns.page(after, limit, func(r *campaignRow) bool { return ids[r.BrandID] }), err
}

func (k *campaignImport) one(_ context.Context, c *Control, brand, key string) (campaignRow, error) {
	k.cat = c.catalog.Load()
	campaign, err := k.cat.campaign(k.scope, brand, key)
	if err != nil {
		return campaignRow{}, err
	}
	return *campaign, nil
}

func (k *campaignImport) told() []column[campaignRow] {
	return []column[campaignRow]{switchColumn(func(r *campaignRow) bool { return r.Enabled }), updatedColumn(k)}
}

func (k *campaignImport) stamped(r *campaignRow) (uint32, *stamp) { return r.CampaignID, &r.stamp }

func (k *campaignImport) free(ctx context.Context, c *Control, r *campaignRow) error {
	return c.store.freeOfLinks(ctx, "campaign", r.Campaign, "campaign_id", r.CampaignID)
}
