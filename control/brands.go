package control

import (
	"context"
	"fmt"
	"time"
	_ "time/tzdata" // zones are checked alike on a machine that has none installed

	"carom/control/sheet"
	"carom/redirect"
)

type brandRow struct {
	BrandID          uint32   `ch:"brand_id"`
	Brand            string   `ch:"brand"`
	Name             string   `ch:"name"`
	Currency         string   `ch:"currency"`
	Timezone         string   `ch:"timezone"`
	AttributionDays  uint16   `ch:"attribution_days"`
	HoldDays         uint16   `ch:"hold_days"`
	UnsignedPixel    bool     `ch:"unsigned_pixel"`
	DestinationHosts []string `ch:"destination_hosts"`
	AppSchemes       []string `ch:"app_schemes"`
	stamp
}

func (b *brandRow) place() (uint32, string, bool) { return b.BrandID, b.Brand, b.Deleted }

// maxDays bounds attribution and hold; conversions are kept for 1 200 days.
const (
	defaultDays = 30
	maxDays     = 365
)

type brandImport struct {
	scope Scope
	cat   *catalog
	hosts map[uint32][]string // by brand: where its links lead, as far as prepare was asked
}

func (k *brandImport) name() string       { return "brands" }
func (k *brandImport) identity() []string { return []string{"brand"} }

func (k *brandImport) owner(r *brandRow) (uint32, string) { return r.BrandID, r.Brand }

func (k *brandImport) columns() []column[brandRow] {
	return []column[brandRow]{
		key[brandRow]("brand").says(aboutKeys).shown(func(b *brandRow) string { return b.Brand }),
		text("name", maxText, func(b *brandRow) *string { return &b.Name }).must(),
		value("currency", func(b *brandRow) *string { return &b.Currency }, equal, k.currency).must().
			says("ISO 4217; all the brand's amounts are in it, so it is fixed once there are campaigns"),
		value("timezone", func(b *brandRow) *string { return &b.Timezone }, equal, parseZone).says("IANA name, UTC where empty"),
		count("attribution_days", 1, maxDays, defaultDays, func(b *brandRow) *uint16 { return &b.AttributionDays }).
			says("a conversion later than this after its click is refused"),
		count("hold_days", 0, maxDays, defaultDays, func(b *brandRow) *uint16 { return &b.HoldDays }).
			says("how long a commission waits before it is paid"),
		flag("unsigned_pixel", false, func(b *brandRow) *bool { return &b.UnsignedPixel }).
			says("whether conversions of browsers, which sign nothing, are taken; reports keep them apart"),
		words("destination_hosts", redirect.CanonicalHost, func(b *brandRow) *[]string { return &b.DestinationHosts }).
			says("the only hosts that a destination may name; any where empty").warns(k.leftOut),
		words("app_schemes", redirect.CheckAppScheme, func(b *brandRow) *[]string { return &b.AppSchemes }).
			says("URL schemes of apps that a destination may have besides http and https"),
	}
}

// currency refuses to change what stored amounts are in.
func (k *brandImport) currency(b *brandRow, cell string) (string, error) {
	if _, ok := redirect.MinorUnits(cell); !ok {
		return "", fmt.Errorf("must be an ISO 4217 code such as EUR")
	}
	if b.Currency == "" || b.Currency == cell {
		return cell, nil
	}
	for _, campaign := range k.cat.campaigns.byID {
		if campaign.BrandID == b.BrandID {
			return "", fmt.Errorf("cannot change from %s: the brand has campaigns, whose amounts are in it", b.Currency)
		}
	}
	return cell, nil
}

func parseZone(_ *brandRow, cell string) (string, error) {
	if cell == "" {
		return "UTC", nil
	}
	if _, err := time.LoadLocation(cell); err != nil || cell == "Local" {
		return "", fmt.Errorf("must be an IANA time zone such as Europe/Berlin")
	}
	return cell, nil
}

func (k *brandImport) prepare(ctx context.Context, c *Control, recs []sheet.Record) error {
	k.cat = c.catalog.Load()
	return k.prepareHosts(ctx, c.store, recs)
}

func (k *brandImport) find(rec sheet.Record) (brandRow, string, bool, error) {
	id := rec.Cell("brand")
	if err := checkKey(id); err != nil {
		return brandRow{}, id, false, refuse("brand", "%s", err)
	}
	if !k.scope.Sees(id) {
		return brandRow{}, id, false, refuse("brand", "is not one of this token's brands; only a token for all brands can add one").because(ErrForbidden)
	}
	if stored := k.cat.brands.byKey[id]; stored != nil {
		return *stored, id, true, nil
	}
	if !k.scope.Role.Includes(Admin) {
		return brandRow{}, id, false, refuse("brand", "is new: adding one needs the role %s", Admin).because(ErrForbidden)
	}
	if err := k.cat.brands.refuseFormer("brand", id); err != nil {
		return brandRow{}, id, false, err
	}
	return brandRow{Brand: id, DestinationHosts: []string{}, AppSchemes: []string{}}, id, false, nil
}

func (k *brandImport) check(*brandRow, change) error { return nil }

// write makes a signing key for each new brand; it is stored first, so that no brand is ever without one.
func (k *brandImport) write(c *Control, rows []brandRow, fresh int) (write, error) {
	if err := numberRows(&c.numbers.brands, rows[:fresh], func(r *brandRow) *uint32 { return &r.BrandID }); err != nil {
		return write{}, err
	}
	stamp := c.stamp()
	keys := make([]keyRow, fresh)
	for i, brand := range rows[:fresh] {
		keys[i] = c.newKey(redirect.KeyCode, brand.BrandID, "0", stamp)
	}
	stampRows(rows, stamp)
	var w write
	if len(keys) > 0 {
		w.inserts = append(w.inserts, insertRows("keys", "", keys))
	}
	w.inserts = append(w.inserts, insertRows("brands", "", rows))
	w.learn = func(next *catalog) {
		next.learnKeys(keys)
		next.brands = next.brands.with(rows)
	}
	return w, nil
}
