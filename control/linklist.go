package control

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"carom/redirect"
)

// A LinkFilter chooses links by keys; an empty one is not looked at.
type LinkFilter struct {
	Brand      string `query:"brand" doc:"key of a brand"`
	Campaign   string `query:"campaign" doc:"key of a campaign"`
	Influencer string `query:"influencer" doc:"key of a creator"`
	Domain     string `query:"domain" doc:"host"`
}

// ErrCursor is returned for a cursor that no page has ended with.
var ErrCursor = errors.New("not a cursor of this list")

// ErrAmbiguous is returned for a key that several brands have.
var ErrAmbiguous = errors.New("several brands have it: name the brand")

// linkRows reads up to limit links with numbers above after, in the order of their numbers.
func (c *Control) linkRows(ctx context.Context, scope Scope, filter LinkFilter, after uint32, limit int) ([]linkRow, error) {
	where, args, err := c.catalog.Load().linksWhere(scope, filter)
	if err != nil {
		return nil, err
	}
	where += fmt.Sprintf(" AND link_id > ? ORDER BY link_id LIMIT %d", limit)
	return selectRows[linkRow](ctx, c.store, "links", where, append(args, after)...)
}

// FirstLinks returns the first links there are, at most n, and how many there are in all.
func (c *Control) FirstLinks(ctx context.Context, n int) ([]Link, int, error) {
	rows, err := c.linkRows(ctx, LocalScope(), LinkFilter{}, 0, n)
	if err != nil {
		return nil, 0, err
	}
	view := c.newLinkView()
	links := make([]Link, len(rows))
	for i := range rows {
		if links[i], err = view.link(&rows[i]); err != nil {
			return nil, 0, err
		}
	}
	var total uint64
	if err := c.store.conn.QueryRow(ctx, "SELECT count() FROM links FINAL WHERE NOT deleted").Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count links: %w", err)
	}
	return links, int(total), nil
}

// A cursor is the number of the last link of a page, opaque to callers.
func formatCursor(link uint32) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendUint(nil, uint64(link), 36))
}

func parseCursor(cursor string) (uint32, error) {
	if cursor == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, ErrCursor
	}
	link, err := strconv.ParseUint(string(text), 36, 32)
	if err != nil {
		return 0, ErrCursor
	}
	return uint32(link), nil
}

// EachLink calls do for every link that filter chooses, in the order of their numbers, without holding them in memory.
func (c *Control) EachLink(ctx context.Context, scope Scope, filter LinkFilter, do func(Link) error) error {
	return c.eachLinkRow(ctx, scope, filter, func(view *linkView, row *linkRow) error {
		link, err := view.link(row)
		if err != nil {
			return err
		}
		return do(link)
	})
}

// windowLinks is how many link numbers are read at a time: some 5 MB of rows, and six hundred questions for ten million links.
const (
	windowLinks = 1 << 14
	// windowTimeout bounds one question.
	windowTimeout = time.Minute
)

// eachLinkRow reads a window and then hands it on: a client that is slow to take its rows holds no connection to ClickHouse, which
// are few.
func (c *Control) eachLinkRow(ctx context.Context, scope Scope, filter LinkFilter, do func(*linkView, *linkRow) error) error {
	where, args, err := c.catalog.Load().linksWhere(scope, filter)
	if err != nil {
		return err
	}
	last, err := c.store.max(ctx, "links", "link_id")
	if err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	where += " AND link_id BETWEEN ? AND ? ORDER BY link_id"
	for first := uint64(0); first <= last; first += windowLinks {
		rows, err := c.linkWindow(ctx, where, append(slices.Clip(args), first, first+windowLinks-1))
		if err != nil {
			return err
		}
		view := c.newLinkView()
		for i := range rows {
			if err := do(view, &rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkWindow ends what it has begun to read although its caller has left: the embedded engine aborts where a connection is closed
// that it sends a long answer to.
func (c *Control) linkWindow(ctx context.Context, where string, args []any) ([]linkRow, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), windowTimeout)
	defer cancel()
	return selectRows[linkRow](ctx, c.store, "links", where, args...)
}

// Link returns the link with this key. brand may be empty where the key is that of one brand only.
func (c *Control) Link(ctx context.Context, scope Scope, brand, key string) (LinkDetail, error) {
	row, err := c.linkRow(ctx, scope, brand, key)
	if err != nil {
		return LinkDetail{}, err
	}
	return c.newLinkView().detail(row)
}

// linkRow finds the row of the link with this key; ErrNotFound and ErrAmbiguous as they say.
func (c *Control) linkRow(ctx context.Context, scope Scope, brand, key string) (*linkRow, error) {
	rows, err := c.linksWith(ctx, scope, LinkFilter{Brand: brand}, "link = ?", key)
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, fmt.Errorf("link %q: %w", key, ErrNotFound)
	case len(rows) > 1:
		return nil, fmt.Errorf("link %q: %w", key, ErrAmbiguous)
	}
	return &rows[0], nil
}

// linksWith reads the links that filter chooses and one of whose rows, of now or before, meets a condition on an indexed column:
// such rows find the ids, and FINAL then reads only those.
func (c *Control) linksWith(ctx context.Context, scope Scope, filter LinkFilter, condition string, arg any) ([]linkRow, error) {
	where, args, err := c.catalog.Load().linksWhere(scope, filter)
	if err != nil {
		return nil, err
	}
	where += " AND link_id IN (SELECT link_id FROM links WHERE " + condition + ")"
	return selectRows[linkRow](ctx, c.store, "links", where, append(args, arg)...)
}

// linksWhere is the condition for what scope and filter leave of the links. What scope may not see is ErrNotFound.
func (c *catalog) linksWhere(scope Scope, filter LinkFilter) (where string, args []any, err error) {
	where = "NOT deleted"
	add := func(column string, ids []uint32) {
		where += " AND " + column + " IN (?)"
		args = append(args, ids)
	}
	switch {
	case filter.Brand != "":
		brand, err := c.visibleBrand(scope, filter.Brand)
		if err != nil {
			return "", nil, err
		}
		add("brand_id", []uint32{brand.BrandID})
	case !scope.All:
		add("brand_id", c.brandIDs(scope))
	}
	if filter.Campaign != "" {
		ids := c.campaignIDs(scope, filter.Brand, filter.Campaign)
		if len(ids) == 0 {
			return "", nil, fmt.Errorf("campaign %q: %w", filter.Campaign, ErrNotFound)
		}
		add("campaign_id", ids)
	}
	if filter.Influencer != "" {
		influencer := c.influencers.byKey[filter.Influencer]
		if influencer == nil {
			return "", nil, fmt.Errorf("influencer %q: %w", filter.Influencer, ErrNotFound)
		}
		add("influencer_id", []uint32{influencer.InfluencerID})
	}
	if filter.Domain != "" {
		domain, err := c.visibleDomain(scope, filter.Domain)
		if err != nil {
			return "", nil, err
		}
		add("domain_id", []uint32{domain.DomainID})
	}
	return where, args, nil
}

// campaign finds the one with this key. brand may be empty where the key is that of one brand only.
func (c *catalog) campaign(scope Scope, brand, key string) (*campaignRow, error) {
	if brand != "" {
		if _, err := c.visibleBrand(scope, brand); err != nil {
			return nil, err
		}
	}
	ids := c.campaignIDs(scope, brand, key)
	switch {
	case len(ids) == 0:
		return nil, fmt.Errorf("campaign %q: %w", key, ErrNotFound)
	case len(ids) > 1:
		return nil, fmt.Errorf("campaign %q: %w", key, ErrAmbiguous)
	}
	return c.campaigns.byID[ids[0]], nil
}

// brandFilter is the brands that a list shows objects of: the one with this key, or all that scope may see.
func (c *catalog) brandFilter(scope Scope, key string) (map[uint32]bool, error) {
	shown := map[uint32]bool{}
	if key != "" {
		brand, err := c.visibleBrand(scope, key)
		if err == nil {
			shown[brand.BrandID] = true
		}
		return shown, err
	}
	for _, id := range c.brandIDs(scope) {
		shown[id] = true
	}
	return shown, nil
}

// visibleDomain finds the domain with this host.
func (c *catalog) visibleDomain(scope Scope, name string) (*domainRow, error) {
	if host, err := redirect.CanonicalHost(name); err == nil {
		if d := c.domains.byKey[host]; d != nil && scope.Sees(c.brands.byID[d.BrandID].Brand) {
			return d, nil
		}
	}
	return nil, fmt.Errorf("domain %q: %w", name, ErrNotFound)
}

func (c *catalog) brandIDs(scope Scope) []uint32 {
	ids := []uint32{}
	for id, brand := range c.brands.byID {
		if scope.Sees(brand.Brand) {
			ids = append(ids, id)
		}
	}
	return ids
}

// campaignIDs are those with this key in the brand, or in any that scope may see.
func (c *catalog) campaignIDs(scope Scope, brand, key string) []uint32 {
	var ids []uint32
	for id, row := range c.brands.byID {
		campaign := c.campaigns.byKey[campaignKey{id, key}]
		if campaign != nil && scope.Sees(row.Brand) && (brand == "" || brand == row.Brand) {
			ids = append(ids, campaign.CampaignID)
		}
	}
	return ids
}
