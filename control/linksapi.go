package control

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

type linksRequest struct {
	LinkFilter
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	Cursor string `query:"cursor" doc:"next of the page before"`
}

// A LinkPage is one page of links.
type LinkPage struct {
	Links []Link `json:"links"`
	Next  string `json:"next" doc:"cursor of the next page, empty at the end"`
}

type linkRequest struct {
	Link  string `path:"link"`
	Brand string `query:"brand" doc:"key of a brand, needed where several have a link of this key"`
}

type exportRequest struct {
	LinkFilter
	Format string `query:"format" default:"csv" enum:"csv,jsonl"`
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
	huma.Register(api, operation("list-links", http.MethodGet, "/links", Analyst, "List links"),
		func(ctx context.Context, in *linksRequest) (*struct{ Body LinkPage }, error) {
			links, next, err := c.Links(ctx, ScopeOf(ctx), in.LinkFilter, in.Cursor, in.Limit)
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body LinkPage }{LinkPage{links, next}}, nil
		})
	huma.Register(api, operation("export-links", http.MethodGet, "/links/export", Analyst, "Export links as CSV or JSON lines"), c.exportLinks)
	huma.Register(api, operation("show-link", http.MethodGet, "/links/{link}", Analyst, "Show a link"),
		func(ctx context.Context, in *linkRequest) (*struct{ Body LinkDetail }, error) {
			link, err := c.Link(ctx, ScopeOf(ctx), in.Brand, in.Link)
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body LinkDetail }{link}, nil
		})
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

// exportLinks streams: ten million links pass through it one by one.
func (c *Control) exportLinks(ctx context.Context, in *exportRequest) (*huma.StreamResponse, error) {
	scope, filter := ScopeOf(ctx), in.LinkFilter
	if _, _, err := c.catalog.Load().linksWhere(scope, filter); err != nil {
		return nil, c.problem(err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humago.Unwrap(ctx)
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			c.cfg.Log.Debug("export keeps the server's write deadline", "err", err)
		}
		out := newLinkWriter(in.Format, ctx.BodyWriter())
		ctx.SetHeader("Content-Type", out.contentType)
		ctx.SetHeader("Content-Disposition", "attachment; filename=links."+in.Format)
		err := out.begin()
		if err == nil {
			err = c.EachLink(ctx.Context(), scope, filter, out.write)
		}
		if err == nil {
			err = out.end()
		}
		if err != nil {
			c.cfg.Log.Error("export links", "err", err)
			panic(http.ErrAbortHandler) // the client must not take a part for the whole
		}
	}}, nil
}

// A linkWriter writes links in one format.
type linkWriter struct {
	contentType string
	begin, end  func() error
	write       func(Link) error
}

func newLinkWriter(format string, w io.Writer) linkWriter {
	nothing := func() error { return nil }
	if format == "jsonl" {
		lines := json.NewEncoder(w)
		return linkWriter{"application/jsonl", nothing, nothing, func(l Link) error { return lines.Encode(l) }}
	}
	table := csv.NewWriter(w)
	return linkWriter{
		contentType: "text/csv; charset=utf-8",
		begin: func() error {
			return table.Write([]string{
				"link", "short_url", "brand", "campaign", "influencer", "domain", "code", "slug", "enabled", "expires", "state",
			})
		},
		write: func(l Link) error { return table.Write(l.cells()) },
		end: func() error {
			table.Flush()
			return table.Error()
		},
	}
}

// cells are the columns of an export. All of them are made of characters that no spreadsheet takes for a formula.
func (l *Link) cells() []string {
	expires := ""
	if l.Expires != nil {
		expires = l.Expires.UTC().Format(time.RFC3339)
	}
	return []string{
		l.Link, l.ShortURL, l.Brand, l.Campaign, l.Influencer, l.Domain, l.Code, l.Slug, strconv.FormatBool(l.Enabled), expires, l.State,
	}
}
