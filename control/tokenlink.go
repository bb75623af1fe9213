package control

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carom/redirect"
)

// A TokenLinkRequest says what a self-contained link shall hold.
type TokenLinkRequest struct {
	Domain     string     `json:"domain" doc:"host of the short link; its brand is the link's"`
	Campaign   string     `json:"campaign" doc:"key of a campaign of the brand"`
	Influencer string     `json:"influencer" doc:"key of a creator"`
	Sub1       string     `json:"sub1,omitempty" doc:"sub id that every click of the link has, whatever visitors bring; so are the four below"`
	Sub2       string     `json:"sub2,omitempty"`
	Sub3       string     `json:"sub3,omitempty"`
	Sub4       string     `json:"sub4,omitempty"`
	Sub5       string     `json:"sub5,omitempty"`
	Expires    *time.Time `json:"expires,omitempty" doc:"whole seconds; never where it is left out"`
}

func (r *TokenLinkRequest) subs() [redirect.MaxSubs]string {
	return [...]string{r.Sub1, r.Sub2, r.Sub3, r.Sub4, r.Sub5}
}

// A TokenLink is a link with the URL that says itself whose it is.
type TokenLink struct {
	URL string `json:"url" doc:"self-contained; its sub ids are stored nowhere else, so it is not shown again"`
	Link
}

func (c *Control) registerTokenLinks(api huma.API) {
	op := operation("mint-token-link", http.MethodPost, "/links/token", Editor, "Mint a self-contained link")
	op.Description = "Edges answer it at once, from the campaign's destination. The row of the link is stored as well, and what changes in it later counts."
	op.Errors = append(op.Errors, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	huma.Register(api, op, func(ctx context.Context, in *struct{ Body TokenLinkRequest }) (*struct{ Body TokenLink }, error) {
		link, err := c.MintToken(ctx, ScopeOf(ctx), in.Body)
		if err != nil {
			return nil, c.problem(err)
		}
		return &struct{ Body TokenLink }{link}, nil
	})
}

// MintToken stores a new link and returns it with its self-contained URL.
func (c *Control) MintToken(ctx context.Context, scope Scope, request TokenLinkRequest) (TokenLink, error) {
	if err := c.begin(ctx); err != nil {
		return TokenLink{}, err
	}
	defer c.mu.Unlock()
	cat := c.catalog.Load()
	row, err := cat.tokenRow(scope, request, c.cfg.Now().UTC())
	if err != nil {
		return TokenLink{}, err
	}
	if row.KeyID, err = cat.activeSlot(row.BrandID); err != nil {
		return TokenLink{}, err
	}
	if row.LinkID, row.Link, err = c.tokenNumber(ctx, row.BrandID); err != nil {
		return TokenLink{}, err
	}
	rows := stampRows([]linkRow{row}, c.stamp())
	did := deed{action: "create", object: "links", key: row.Link, brand: row.BrandID, rows: 1}
	if err := c.commit(ctx, write{inserts: []insert{insertRows("links", "", rows)}}, did); err != nil {
		return TokenLink{}, err
	}
	return c.newLinkView().token(&rows[0], request)
}

// tokenRow is the row of a link to be minted, without its number and key. The error is a *cellError.
func (c *catalog) tokenRow(scope Scope, request TokenLinkRequest, now time.Time) (row linkRow, err error) {
	domain, _, err := c.domain(scope, request.Domain)
	if err != nil {
		return row, err
	}
	campaign := c.campaigns.byKey[campaignKey{domain.BrandID, request.Campaign}]
	if campaign == nil {
		return row, refuse("campaign", "is unknown in the brand of %s", domain.Host)
	}
	influencer := c.influencers.byKey[request.Influencer]
	if influencer == nil {
		return row, refuse("influencer", "is unknown")
	}
	for i, sub := range request.subs() {
		name := fmt.Sprintf("sub%d", i+1)
		if err := redirect.CheckSub(sub); err != nil {
			return row, refuse(name, "%s", err)
		}
		if sub != "" && redirect.SetsParameter(campaign.Destination, name) {
			return row, refuse(name, "is set by the campaign's destination itself")
		}
	}
	row = linkRow{
		BrandID: domain.BrandID, CampaignID: campaign.CampaignID, InfluencerID: influencer.InfluencerID, DomainID: domain.DomainID,
		Starts: now.Truncate(time.Second), Expires: noTime(), Enabled: true,
	}
	if row.Currency, err = c.currency(domain.BrandID, ""); err != nil {
		return row, err
	}
	if request.Expires != nil {
		row.Expires, err = parseTime(request.Expires.UTC().Format(time.RFC3339))
		if err != nil {
			return row, refuse("expires", "%s", err)
		}
		if !row.Expires.After(now) {
			return row, refuse("expires", "must be later than now, %s", now.Format(time.RFC3339))
		}
	}
	return row, nil
}

// tokenNumber takes the next link number whose key nobody has given to another link of the brand. The caller holds mu.
func (c *Control) tokenNumber(ctx context.Context, brand uint32) (number uint32, key string, err error) {
	for {
		if number, err = c.numbers.links.next(); err != nil {
			return 0, "", err
		}
		key = redirect.TokenKey(number)
		var taken uint64
		err = c.store.conn.QueryRow(ctx, "SELECT count() FROM links WHERE brand_id = ? AND link = ?", brand, key).Scan(&taken)
		if err != nil {
			return 0, "", fmt.Errorf("look for a link %q: %w", key, err)
		}
		if taken == 0 {
			return number, key, nil
		}
	}
}

// token is a link that was just minted.
func (v *linkView) token(r *linkRow, request TokenLinkRequest) (TokenLink, error) {
	link, err := v.link(r)
	if err != nil {
		return TokenLink{}, err
	}
	domain := v.cat.domains.byID[r.DomainID]
	key, err := v.key(domain, r.KeyID)
	if err != nil {
		return TokenLink{}, err
	}
	token := redirect.Token{KeyID: r.KeyID, Link: r.LinkID, Campaign: r.CampaignID, Influencer: r.InfluencerID, Expires: uint32(r.Expires.Unix())}
	for i, sub := range request.subs() {
		token.Subs[i] = []byte(sub)
	}
	return TokenLink{v.shortURL(domain, key.AppendToken([]byte("~"), token)), link}, nil
}
