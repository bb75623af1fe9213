package control

import (
	"context"

	"carom/control/sheet"
	"carom/redirect"
)

type domainRow struct {
	DomainID    uint32 `ch:"domain_id"`
	Host        string `ch:"host"`
	BrandID     uint32 `ch:"brand_id"`
	HomeURL     string `ch:"home_url"`
	FallbackURL string `ch:"fallback_url"`
	NotFoundURL string `ch:"not_found_url"`
	Vanity      string `ch:"vanity"`
	AppleApps   string `ch:"apple_app_site_association"`
	AssetLinks  string `ch:"assetlinks"`
	IsDefault   bool   `ch:"is_default"`
	stamp
}

func (d *domainRow) place() (uint32, string, bool) { return d.DomainID, d.Host, d.Deleted }

// Whether a slug of the domain needs its signature suffix.
const (
	vanityOpen   = "open"
	vanitySigned = "signed"
)

type domainImport struct {
	scope    Scope
	cat      *catalog
	defaults map[uint32]string // host of each brand's default domain, this chunk's rows included
}

func (k *domainImport) name() string       { return "domains" }
func (k *domainImport) identity() []string { return []string{"host"} }

func (k *domainImport) owner(r *domainRow) (uint32, string) { return r.BrandID, r.Host }

func (k *domainImport) columns() []column[domainRow] {
	return []column[domainRow]{
		key[domainRow]("host").says("what short URLs begin with, such as go.brand.example; no port").shown(func(d *domainRow) string { return d.Host }),
		key[domainRow]("brand").says("never changes: printed codes are signed by it").shown(func(d *domainRow) string {
			return k.cat.brands.byID[d.BrandID].Brand
		}),
		address("home_url", func(d *domainRow) *string { return &d.HomeURL }, k.policy).says("where / leads"),
		address("fallback_url", func(d *domainRow) *string { return &d.FallbackURL }, k.policy).says("where expired and disabled links lead"),
		address("not_found_url", func(d *domainRow) *string { return &d.NotFoundURL }, k.policy).says("where unknown links lead"),
		choice("vanity", func(d *domainRow) *string { return &d.Vanity }, vanityOpen, vanitySigned).
			says("signed: a slug needs its signature suffix; open where empty"),
		appLinks("apple_app_site_association", func(d *domainRow) *string { return &d.AppleApps }, checkAppleApps).like(anObject).
			says("published below /.well-known/, for iOS apps that open the links"),
		appLinks("assetlinks", func(d *domainRow) *string { return &d.AssetLinks }, checkAssetLinks).like(aDocument).
			says("published below /.well-known/, for Android apps that open the links"),
		flag("default", false, func(d *domainRow) *bool { return &d.IsDefault }).says("one domain of a brand at most"),
	}
}

// policy counts the row's own host, which may be new, among Carom's.
func (k *domainImport) policy(d *domainRow) redirect.DestinationPolicy {
	p := k.cat.policy(d.BrandID)
	known := p.OwnHost
	p.OwnHost = func(host string) bool { return host == d.Host || known(host) }
	return p
}

func (k *domainImport) prepare(_ context.Context, c *Control, _ []sheet.Record) error {
	k.cat = c.catalog.Load()
	k.defaults = map[uint32]string{}
	for _, d := range k.cat.domains.byID {
		if d.IsDefault {
			k.defaults[d.BrandID] = d.Host
		}
	}
	return nil
}

func (k *domainImport) find(rec sheet.Record) (domainRow, string, bool, error) {
	brand, err := k.cat.brand(k.scope, rec)
	if err != nil {
		return domainRow{}, "", false, err
	}
	host, problem := redirect.CanonicalHost(rec.Cell("host"))
	if problem != nil {
		return domainRow{}, "", false, refuse("host", "%s", problem)
	}
	stored := k.cat.domains.byKey[host]
	switch {
	case stored == nil:
		return domainRow{Host: host, BrandID: brand.BrandID}, host, false, nil
	case stored.BrandID == brand.BrandID:
		return *stored, host, true, nil
	case k.scope.Sees(k.cat.brands.byID[stored.BrandID].Brand):
		return domainRow{}, host, true, refuse("brand", "cannot change: the host's printed codes are signed by brand %q",
			k.cat.brands.byID[stored.BrandID].Brand)
	}
	return domainRow{}, host, true, refuse("host", "%s", ErrTaken).because(ErrTaken)
}

func (k *domainImport) check(d *domainRow, _ change) error {
	current := k.defaults[d.BrandID]
	switch {
	case d.IsDefault && current != "" && current != d.Host:
		return refuse("default", "is already %s for this brand: set that to false first", current)
	case d.IsDefault:
		k.defaults[d.BrandID] = d.Host
	case current == d.Host:
		delete(k.defaults, d.BrandID)
	}
	return nil
}

func (k *domainImport) write(c *Control, rows []domainRow, fresh int) (write, error) {
	if err := numberRows(&c.numbers.domains, rows[:fresh], func(r *domainRow) *uint32 { return &r.DomainID }); err != nil {
		return write{}, err
	}
	stampRows(rows, c.stamp())
	return write{
		inserts: []insert{insertRows("domains", "", rows)},
		learn:   func(next *catalog) { next.domains = next.domains.with(rows) },
	}, nil
}

// presentDomain is the number of the domain that has the host of the one given now.
func (c *catalog) presentDomain(id uint32) uint32 {
	if d := c.domains.byID[id]; d != nil && c.domains.byKey[d.Host] != nil {
		return c.domains.byKey[d.Host].DomainID
	}
	return id
}
