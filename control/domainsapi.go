package control

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

func (c *Control) registerDomains(api huma.API) {
	s := objectAPI[domainRow, *domainImport]{
		control: c, one: "domain", adds: Editor, removes: Editor,
		open: func(scope Scope) *domainImport { return &domainImport{scope: scope} },
	}
	s.register(api)
	registerList(api, s, (*domainImport).page)
}

func (k *domainImport) page(_ context.Context, c *Control, in *brandedRequest, after uint32, limit int) ([]domainRow, error) {
	k.cat = c.catalog.Load()
	ids, err := k.cat.brandFilter(k.scope, in.Brand)
	return k.cat.domains.page(after, limit, func(d *domainRow) bool { return ids[d.BrandID] }), err
}

func (k *domainImport) one(_ context.Context, c *Control, _, key string) (domainRow, error) {
	k.cat = c.catalog.Load()
	domain, err := k.cat.visibleDomain(k.scope, key)
	if err != nil {
		return domainRow{}, err
	}
	return *domain, nil
}

func (k *domainImport) told() []column[domainRow] {
	return []column[domainRow]{updatedColumn(k)}
}

func (k *domainImport) stamped(d *domainRow) (uint32, *stamp) { return d.DomainID, &d.stamp }

func (k *domainImport) free(ctx context.Context, c *Control, d *domainRow) error {
	return c.store.freeOfLinks(ctx, "domain", d.Host, "domain_id", d.DomainID)
}
