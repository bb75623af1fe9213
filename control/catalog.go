package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carom/control/sheet"
	"carom/redirect"
)

// A catalog is what control keeps of the reference data in memory: everything but links, commission rules and posts. It is
// immutable; a write replaces it.
type catalog struct {
	brands      index[string, brandRow]
	domains     index[string, domainRow] // by canonical host
	influencers index[string, influencerRow]
	campaigns   index[campaignKey, campaignRow]
	keys        map[keyPlace]keyRow
	tokens      map[string]tokenRow // by token id
}

// An index finds the rows of one table by id and by the key that people write. A deleted row is found by its id only:
// others may still refer to it.
type index[K comparable, R any] struct {
	byID   map[uint32]*R
	byKey  map[K]*R
	former map[K][]uint32 // ids of deleted rows
	place  func(*R) (id uint32, key K, deleted bool)
}

func newIndex[K comparable, R any](rows []R, place func(*R) (uint32, K, bool)) index[K, R] {
	empty := index[K, R]{map[uint32]*R{}, map[K]*R{}, map[K][]uint32{}, place}
	return empty.with(rows)
}

// with returns a copy of x in which rows have replaced those of the same id.
func (x index[K, R]) with(rows []R) index[K, R] {
	x.byID, x.byKey, x.former = maps.Clone(x.byID), maps.Clone(x.byKey), maps.Clone(x.former)
	for i := range rows {
		id, key, deleted := x.place(&rows[i])
		x.byID[id] = &rows[i]
		if !deleted {
			x.byKey[key] = &rows[i]
			continue
		}
		if holder := x.byKey[key]; holder != nil {
			if held, _, _ := x.place(holder); held == id {
				delete(x.byKey, key)
			}
		}
		if !slices.Contains(x.former[key], id) {
			x.former[key] = append(slices.Clip(x.former[key]), id)
		}
	}
	return x
}

// refuseFormer refuses, under the column that is named after the kind, a key that a deleted row had: reports know objects by their
// keys, and what one earned must never be shown as another's. The error is a *cellError.
func (x index[K, R]) refuseFormer(kind string, key K) error {
	if len(x.former[key]) == 0 {
		return nil
	}
	return refuse(kind, "%s for good: reports show under it what a deleted %s did; choose another key", ErrTaken, kind).because(ErrTaken)
}

// page returns up to limit live rows with ids above after that keep lets through, in the order of their ids.
func (x index[K, R]) page(after uint32, limit int, keep func(*R) bool) []R {
	var rows []R
	for _, id := range slices.Sorted(maps.Keys(x.byID)) {
		row := x.byID[id]
		if _, _, deleted := x.place(row); deleted || id <= after || !keep(row) {
			continue
		}
		if rows = append(rows, *row); len(rows) == limit {
			break
		}
	}
	return rows
}

// count counts the live rows that keep lets through.
func (x index[K, R]) count(keep func(*R) bool) int { return len(x.page(0, len(x.byID), keep)) }

func loadCatalog(ctx context.Context, s store) (*catalog, error) {
	brands, err := selectRows[brandRow](ctx, s, "brands", "true")
	if err != nil {
		return nil, err
	}
	domains, err := selectRows[domainRow](ctx, s, "domains", "true")
	if err != nil {
		return nil, err
	}
	influencers, err := selectRows[influencerRow](ctx, s, "influencers", "true")
	if err != nil {
		return nil, err
	}
	campaigns, err := selectRows[campaignRow](ctx, s, "campaigns", "true")
	if err != nil {
		return nil, err
	}
	keys, err := selectRows[keyRow](ctx, s, "keys", "true")
	if err != nil {
		return nil, err
	}
	tokens, err := selectRows[tokenRow](ctx, s, "tokens", "true")
	if err != nil {
		return nil, err
	}
	c := &catalog{
		brands:      newIndex(brands, (*brandRow).place),
		domains:     newIndex(domains, (*domainRow).place),
		influencers: newIndex(influencers, (*influencerRow).place),
		campaigns:   newIndex(campaigns, (*campaignRow).place),
		keys:        map[keyPlace]keyRow{},
		tokens:      map[string]tokenRow{},
	}
	c.learnKeys(keys)
	c.learnTokens(tokens)
	return c, nil
}

// policy is what the brand allows its links to point at.
func (c *catalog) policy(brand uint32) redirect.DestinationPolicy {
	p := redirect.DestinationPolicy{OwnHost: func(host string) bool { return c.domains.byKey[host] != nil }}
	if b := c.brands.byID[brand]; b != nil {
		p.Hosts, p.AppSchemes = b.DestinationHosts, b.AppSchemes
	}
	return p
}

// brand finds the brand that a record names. The error is a *cellError; it does not tell a brand that scope may not see
// from one that is not there.
func (c *catalog) brand(scope Scope, rec sheet.Record) (*brandRow, error) {
	b := c.brands.byKey[rec.Cell("brand")]
	if b == nil || !scope.Sees(b.Brand) {
		return nil, refuse("brand", "is unknown: import it with brands first")
	}
	return b, nil
}

// domain finds a domain by name, and its brand. The error is as brand's.
func (c *catalog) domain(scope Scope, name string) (*domainRow, *brandRow, error) {
	host, err := redirect.CanonicalHost(name)
	if err != nil {
		return nil, nil, refuse("domain", "%s", err)
	}
	if d := c.domains.byKey[host]; d != nil {
		if b := c.brands.byID[d.BrandID]; b != nil && scope.Sees(b.Brand) {
			return d, b, nil
		}
	}
	return nil, nil, refuse("domain", "is unknown: import it with domains first")
}

// campaignAnywhere finds a campaign by its key alone among the brands of scope. The error is a *cellError.
func (c *catalog) campaignAnywhere(scope Scope, key string) (*campaignRow, error) {
	ids := c.campaignIDs(scope, "", key)
	switch len(ids) {
	case 0:
		return nil, refuse("campaign", "is unknown: import it with campaigns first")
	case 1:
		return c.campaigns.byID[ids[0]], nil
	}
	var brands []string
	for _, id := range ids {
		brands = append(brands, c.brands.byID[c.campaigns.byID[id].BrandID].Brand)
	}
	return nil, ambiguous("campaign", brands)
}

// ambiguous refuses a key that several brands have, in a file that cannot name one.
func ambiguous(column string, brands []string) *cellError {
	slices.Sort(brands)
	return refuse(column, "is ambiguous: brands %s have one each; use a token of the brand meant", strings.Join(brands, ", "))
}

// currency is that of the brand, which is also what an empty cell means; any other one is refused.
func (c *catalog) currency(brand uint32, cell string) (string, error) {
	own := c.brands.byID[brand].Currency
	if cell != "" && cell != own {
		return "", fmt.Errorf("must be %s, the brand's currency", own)
	}
	return own, nil
}
