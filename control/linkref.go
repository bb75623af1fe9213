package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2/ext"
	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// A linkRef is what another row needs to know of a link.
type linkRef struct {
	LinkID       uint32 `ch:"link_id"`
	Link         string `ch:"link"`
	BrandID      uint32 `ch:"brand_id"`
	CampaignID   uint32 `ch:"campaign_id"`
	InfluencerID uint32 `ch:"influencer_id"`
	Coupon       string `ch:"coupon"`
}

// linksByNumber reads the links with these numbers. Deleted ones are among them: their clicks may still convert.
func linksByNumber(ctx context.Context, s store, numbers []uint32) (map[uint32]linkRef, error) {
	named, err := tableOf("UInt32", numbers)
	if err != nil {
		return nil, err
	}
	rows, err := selectRows[linkRef](withTable(ctx, named), s, "links", "link_id IN (SELECT value FROM named)")
	byNumber := make(map[uint32]linkRef, len(rows))
	for _, row := range rows {
		byNumber[row.LinkID] = row
	}
	return byNumber, err
}

// linksByName reads the links whose link or coupon, as column says, is one of names, the newest first.
func linksByName(ctx context.Context, s store, column string, names []string) (map[string][]linkRef, error) {
	named, err := tableOf("String", names)
	if err != nil {
		return nil, err
	}
	rows, err := selectRows[linkRef](withTable(ctx, named), s, "links", fmt.Sprintf(
		"NOT deleted AND %[1]s != '' AND %[1]s IN (SELECT value FROM named) ORDER BY link_id DESC", column))
	byName := make(map[string][]linkRef, len(rows))
	for _, row := range rows {
		name := row.Link
		if column == "coupon" {
			name = row.Coupon
		}
		byName[name] = append(byName[name], row)
	}
	return byName, err
}

// tableOf makes the temporary table named with one column, value.
func tableOf[V any](columnType chcolumn.Type, values []V) (*ext.Table, error) {
	named, err := ext.NewTable("named", ext.Column("value", columnType))
	for i := 0; err == nil && i < len(values); i++ {
		err = named.Append(values[i])
	}
	return named, err
}

// oneBrand picks the first of links that scope may see. Links of several brands are refused under the column given.
func (c *catalog) oneBrand(scope Scope, links []linkRef, column string) (linkRef, error) {
	var found []linkRef
	var brands []string
	for _, link := range links {
		brand := c.brands.byID[link.BrandID]
		if brand == nil || !scope.Sees(brand.Brand) {
			continue
		}
		found = append(found, link)
		if !slices.Contains(brands, brand.Brand) {
			brands = append(brands, brand.Brand)
		}
	}
	switch len(brands) {
	case 0:
		return linkRef{}, refuse(column, "is unknown: no link has it")
	case 1:
		return found[0], nil
	}
	return linkRef{}, ambiguous(column, brands)
}
