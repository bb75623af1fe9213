package control

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
)

func (c *Control) registerInfluencers(api huma.API) {
	s := objectAPI[creator, *influencerImport]{
		control: c, one: "influencer", adds: Editor, removes: Editor,
		open: func(scope Scope) *influencerImport { return &influencerImport{scope: scope} },
	}
	s.register(api)
	registerList(api, s, (*influencerImport).page)
}

type influencersRequest struct {
	PageRequest
	Platform string `query:"platform"`
	Country  string `query:"country" doc:"ISO 3166-1 alpha-2"`
	Niche    string `query:"niche"`
}

func (k *influencerImport) page(_ context.Context, c *Control, in *influencersRequest, after uint32, limit int) ([]creator, error) {
	k.cat = c.catalog.Load()
	is := func(filter, value string) bool { return filter == "" || filter == value }
	rows := k.cat.influencers.page(after, limit, func(r *influencerRow) bool {
		return is(in.Platform, r.Platform) && is(in.Country, r.Country) && is(in.Niche, r.Niche)
	})
	creators := make([]creator, len(rows))
	for i, row := range rows {
		creators[i] = creator{influencerRow: row}
	}
	return creators, nil
}

func (k *influencerImport) one(_ context.Context, c *Control, _, key string) (creator, error) {
	k.cat = c.catalog.Load()
	stored := k.cat.influencers.byKey[key]
	if stored == nil {
		return creator{}, fmt.Errorf("influencer %q: %w", key, ErrNotFound)
	}
	return creator{influencerRow: *stored}, nil
}

func (k *influencerImport) told() []column[creator] {
	return []column[creator]{switchColumn(func(r *creator) bool { return r.Enabled }), updatedColumn(k)}
}

func (k *influencerImport) stamped(r *creator) (uint32, *stamp) { return r.InfluencerID, &r.stamp }

func (k *influencerImport) free(ctx context.Context, c *Control, r *creator) error {
	if !k.scope.All {
		return fmt.Errorf("influencer %q is shared by all brands: %w", r.Influencer, ErrForbidden)
	}
	return c.store.freeOfLinks(ctx, "influencer", r.Influencer, "influencer_id", r.InfluencerID)
}
