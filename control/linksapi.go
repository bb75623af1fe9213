package control

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// A LinkPage is one page of links. Enabled is each link's own switch; its State tells what the edge does.
type LinkPage struct {
	Links []Link `json:"links"`
	Next  string `json:"next" doc:"cursor of the next page, empty at the end"`
}

// isPath reports whether the API has something else than a link's object at /links/KEY. A link that has such a key from earlier is
// found at /links/find.
func isPath(key string) bool {
	return slices.Contains([]string{"bulk", "export", "find", "token"}, key)
}

type enableRequest struct {
	Body EnableRequest
}

// An EnableRequest names what to switch on or off.
type EnableRequest struct {
	Brand      string `json:"brand,omitempty" doc:"key of a brand, needed where several have the key"`
	Link       string `json:"link,omitempty"`
	Campaign   string `json:"campaign,omitempty"`
	Influencer string `json:"influencer,omitempty"`
}

// Enabled is the answer to it.
type Enabled struct {
	Links int `json:"links" doc:"how many links what was named has"`
}

func (c *Control) registerLinks(api huma.API) {
	c.registerLinkObjects(api)
	huma.Register(api, operation("export-links", http.MethodGet, "/links/export", Analyst, "Export links as CSV, JSON lines or Parquet"), c.exportLinks)
	huma.Register(api, operation("list-destinations", http.MethodGet, "/destinations", Analyst, "List where links lead, as JSON lines"), c.listDestinations)
	c.registerQR(api)
	c.registerTokenLinks(api)
	c.registerFindLink(api)
	for _, enabled := range []bool{false, true} {
		name, summary := "disable", "Stop a link, a campaign's links or a creator's"
		if enabled {
			name, summary = "enable", "Let a link, a campaign's links or a creator's go on"
		}
		huma.Register(api, operation(name, http.MethodPost, "/"+name, Editor, summary),
			func(ctx context.Context, in *enableRequest) (*struct{ Body Enabled }, error) {
				target := Target{Brand: in.Body.Brand, Link: in.Body.Link, Campaign: in.Body.Campaign, Influencer: in.Body.Influencer}
				links, err := c.SetEnabled(ctx, ScopeOf(ctx), target, enabled)
				if err != nil {
					return nil, c.problem(err)
				}
				return &struct{ Body Enabled }{Enabled{links}}, nil
			})
	}
}
