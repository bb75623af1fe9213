package control

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

func (c *Control) registerLinkObjects(api huma.API) {
	s := objectAPI[linkRow, *linkImport]{
		control: c, one: "link", branded: true, adds: Editor, removes: Editor,
		open: func(scope Scope) *linkImport { return &linkImport{scope: scope} },
	}
	s.register(api)
	registerList(api, s, (*linkImport).page)
	s.registerBulk(api)
}

// A linksRequest chooses links.
type linksRequest struct {
	PageRequest
	LinkFilter
}

func (k *linkImport) page(ctx context.Context, c *Control, in *linksRequest, after uint32, limit int) ([]linkRow, error) {
	rows, err := c.linkRows(ctx, k.scope, in.LinkFilter, after, limit)
	k.open(c)
	return rows, err
}

func (k *linkImport) one(ctx context.Context, c *Control, brand, key string) (linkRow, error) {
	row, err := c.linkRow(ctx, k.scope, brand, key)
	if err != nil {
		return linkRow{}, err
	}
	k.open(c)
	return *row, nil
}

// open takes the catalogue that the columns look things up in. It is called when the rows are at hand: one from before may
// lack what they refer to.
func (k *linkImport) open(c *Control) {
	k.cat, k.view = c.catalog.Load(), c.newLinkView()
}

// told are what the control process knows of a link, and what its campaign lends it.
func (k *linkImport) told() []column[linkRow] {
	of := func(name, about string, show func(link *Link, r *linkRow) any) column[linkRow] {
		return column[linkRow]{name: name, about: about, show: func(r *linkRow) (any, error) {
			link, err := k.view.link(r)
			return show(&link, r), err
		}}
	}
	columns := []column[linkRow]{
		of("short_url", "empty when the signing key is retired and no open slug is left", func(l *Link, _ *linkRow) any { return l.ShortURL }),
		of("code", "signed code, empty when its key is retired", func(l *Link, _ *linkRow) any { return l.Code }),
		of("number", "the number inside the code", func(_ *Link, r *linkRow) any { return r.LinkID }).like(aNumber),
		of("brand", "the domain's", func(l *Link, _ *linkRow) any { return l.Brand }),
		of("state", "what the edge does: live, or what stops it and in brackets where", func(l *Link, _ *linkRow) any { return l.State }),
		of("why", "what its state comes from, and whether its key is retired", func(l *Link, r *linkRow) any { return k.view.why(r, l) }),
		of("effective_destination", "where it leads: its own or the campaign's", func(_ *Link, r *linkRow) any { return k.view.destination(r) }),
	}
	for _, own := range utmColumns("its own or the campaign's", func(f *utmFields) *utmFields { return f }) {
		columns = append(columns, column[linkRow]{name: "effective_" + own.name, about: own.about, show: func(r *linkRow) (any, error) {
			effective := utmOf(k.view.utm(r))
			return own.show(&effective)
		}})
	}
	return append(columns,
		of("warnings", "what a person should look at", func(_ *Link, r *linkRow) any { return k.view.warnings(r) }).like(aList),
		updatedColumn(k))
}

func (k *linkImport) stamped(r *linkRow) (uint32, *stamp) { return r.LinkID, &r.stamp }

// free lets every link go: its clicks and conversions keep its number.
func (k *linkImport) free(context.Context, *Control, *linkRow) error { return nil }
