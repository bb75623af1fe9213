package control

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
)

func (c *Control) registerBrands(api huma.API) {
	s := objectAPI[brandRow, *brandImport]{
		control: c, one: "brand", adds: Admin, removes: Admin,
		open: func(scope Scope) *brandImport { return &brandImport{scope: scope} },
	}
	s.register(api)
	registerList(api, s, (*brandImport).page)
}

type brandsRequest struct{ PageRequest }

func (k *brandImport) page(_ context.Context, c *Control, _ *brandsRequest, after uint32, limit int) ([]brandRow, error) {
	k.cat = c.catalog.Load()
	return k.cat.brands.page(after, limit, func(b *brandRow) bool { return k.scope.Sees(b.Brand) }), nil
}

func (k *brandImport) one(_ context.Context, c *Control, _, key string) (brandRow, error) {
	k.cat = c.catalog.Load()
	brand, err := k.cat.visibleBrand(k.scope, key)
	if err != nil {
		return brandRow{}, err
	}
	return *brand, nil
}

func (k *brandImport) told() []column[brandRow] {
	return []column[brandRow]{updatedColumn(k)}
}

func (k *brandImport) stamped(b *brandRow) (uint32, *stamp) { return b.BrandID, &b.stamp }

// free counts what the catalogue knows to hang on a brand; links hang on those.
func (k *brandImport) free(_ context.Context, _ *Control, b *brandRow) error {
	if !k.scope.All {
		return fmt.Errorf("brand %q: deleting one needs a token for all brands: %w", b.Brand, ErrForbidden)
	}
	domains := k.cat.domains.count(func(d *domainRow) bool { return d.BrandID == b.BrandID })
	campaigns := k.cat.campaigns.count(func(r *campaignRow) bool { return r.BrandID == b.BrandID })
	if domains+campaigns > 0 {
		return fmt.Errorf("brand %q has %s and %s: %w", b.Brand, counted(domains, "domain"), counted(campaigns, "campaign"), ErrHangsOn)
	}
	return nil
}
