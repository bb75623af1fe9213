package control

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"carom/redirect"
)

type findRequest struct {
	Name  string `query:"name" required:"true" minLength:"1" doc:"key, slug, code or token of a link, or its short URL"`
	Brand string `query:"brand" doc:"key of a brand, needed where several have a link of this name"`
}

// A LinkName is what the API knows a link by.
type LinkName struct {
	Brand string `json:"brand"`
	Link  string `json:"link"`
}

func (c *Control) registerFindLink(api huma.API) {
	huma.Register(api, operation("find-link", http.MethodGet, "/links/find", Analyst, "Find a link by whatever names it"),
		func(ctx context.Context, in *findRequest) (*struct{ Body LinkName }, error) {
			link, err := c.FindLink(ctx, ScopeOf(ctx), in.Brand, in.Name)
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body LinkName }{link}, nil
		})
}

// FindLink returns the link with this key, else the one that a slug, code, token or short URL names. A code or token with a wrong
// signature names none. Errors are as Link's.
func (c *Control) FindLink(ctx context.Context, scope Scope, brand, name string) (LinkName, error) {
	filter := LinkFilter{Brand: brand}
	path := name
	if at := strings.LastIndexByte(name, '/'); at >= 0 {
		filter.Domain, path = name[:at], name[at+1:]
		if _, after, ok := strings.Cut(filter.Domain, "://"); ok {
			filter.Domain = after
		}
		path, _, _ = strings.Cut(path, "?")
	}
	if filter.Domain == "" {
		row, err := c.namedLink(ctx, scope, filter, "link = ?", name, func(*linkView, *linkRow) bool { return true })
		if err != nil || row != nil {
			return c.found(row, err)
		}
	}
	condition, arg, genuine := addressed(path)
	row, err := c.namedLink(ctx, scope, filter, condition, arg, genuine)
	if err == nil && row == nil {
		err = fmt.Errorf("link %q: %w", name, ErrNotFound)
	}
	return c.found(row, err)
}

func (c *Control) found(row *linkRow, err error) (LinkName, error) {
	if err != nil {
		return LinkName{}, err
	}
	return LinkName{c.catalog.Load().brands.byID[row.BrandID].Brand, row.Link}, nil
}

// addressed says how the path of a short URL finds its link, and which rows it may mean.
func addressed(path string) (condition string, arg any, genuine func(*linkView, *linkRow) bool) {
	if code, isCode := redirect.ParseCode([]byte(path)); isCode {
		return "link_id = ?", code.Link(), func(v *linkView, r *linkRow) bool {
			link, err := v.link(r)
			return err == nil && link.Code == path
		}
	}
	var buffer redirect.TokenBuffer
	if text, ok := strings.CutPrefix(path, "~"); ok {
		if token, isToken := redirect.ParseToken(&buffer, []byte(text)); isToken {
			return "link_id = ?", token.Link, func(v *linkView, r *linkRow) bool {
				key, err := v.key(v.cat.domains.byID[r.DomainID], token.KeyID)
				return err == nil && key != nil && token.Verify(key)
			}
		}
	}
	slug, _, _ := strings.Cut(path, "~") // whatever its signature: the slug alone is no secret here
	return "slug = ?", slug, func(_ *linkView, r *linkRow) bool { return r.Slug == slug && slug != "" }
}

// namedLink finds the one row that filter, condition and genuine leave; nil for none, ErrAmbiguous for several.
func (c *Control) namedLink(ctx context.Context, scope Scope, filter LinkFilter, condition string, arg any,
	genuine func(*linkView, *linkRow) bool,
) (found *linkRow, err error) {
	rows, err := c.linksWith(ctx, scope, filter, condition, arg)
	if err != nil {
		return nil, err
	}
	view := c.newLinkView()
	for i := range rows {
		if !genuine(view, &rows[i]) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("link %v: %w", arg, ErrAmbiguous)
		}
		found = &rows[i]
	}
	return found, nil
}
