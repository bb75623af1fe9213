package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"carom/control/sheet"
	"carom/redirect"
)

type campaignRow struct {
	CampaignID     uint32    `ch:"campaign_id"`
	Campaign       string    `ch:"campaign"`
	BrandID        uint32    `ch:"brand_id"`
	Name           string    `ch:"name"`
	Destination    string    `ch:"destination"`
	Goal           string    `ch:"goal"`
	TargetAudience string    `ch:"target_audience"`
	Niche          string    `ch:"niche"`
	Starts         time.Time `ch:"starts"`
	Ends           time.Time `ch:"ends"`
	ClickIDParam   string    `ch:"click_id_param"`
	Enabled        bool      `ch:"enabled"`
	utmFields
	stamp
}

// A campaignKey is a campaign's key within its brand.
type campaignKey struct {
	brand    uint32
	campaign string
}

func (r *campaignRow) place() (uint32, campaignKey, bool) {
	return r.CampaignID, campaignKey{r.BrandID, r.Campaign}, r.Deleted
}

// defaultClickIDParam is how a destination receives the click id where the campaign names no parameter.
const defaultClickIDParam = "click_id"

type campaignImport struct {
	scope Scope
	cat   *catalog
}

func (k *campaignImport) name() string       { return "campaigns" }
func (k *campaignImport) identity() []string { return []string{"campaign", "brand"} }

func (k *campaignImport) owner(r *campaignRow) (uint32, string) { return r.BrandID, r.Campaign }

func (k *campaignImport) columns() []column[campaignRow] {
	return slices.Concat([]column[campaignRow]{
		key[campaignRow]("brand").says("never changes").shown(func(r *campaignRow) string { return k.cat.brands.byID[r.BrandID].Brand }),
		key[campaignRow]("campaign").says(aboutKeys + "; unique within the brand").shown(func(r *campaignRow) string { return r.Campaign }),
		text("name", maxText, func(r *campaignRow) *string { return &r.Name }).must(),
		address("destination", func(r *campaignRow) *string { return &r.Destination }, func(r *campaignRow) redirect.DestinationPolicy {
			return k.cat.policy(r.BrandID)
		}).must().says("where links lead that have no destination of their own"),
		text("goal", maxText, func(r *campaignRow) *string { return &r.Goal }),
		text("target_audience", maxComment, func(r *campaignRow) *string { return &r.TargetAudience }),
		text("niche", maxText, func(r *campaignRow) *string { return &r.Niche }),
		moment("starts", func(r *campaignRow) *time.Time { return &r.Starts }).says("before it the links are not begun; null for no start"),
		moment("ends", func(r *campaignRow) *time.Time { return &r.Ends }).says("the first moment at which the links are expired; null for never"),
	}, utmColumns(aboutTemplates, func(r *campaignRow) *utmFields { return &r.utmFields }), []column[campaignRow]{
		value("click_id_param", func(r *campaignRow) *string { return &r.ClickIDParam }, equal, parseParam).
			says("query parameter in which destinations receive the click id, " + defaultClickIDParam + " where empty"),
	})
}

// parseParam reads the name of a query parameter.
func parseParam(_ *campaignRow, cell string) (string, error) {
	if cell == "" {
		return defaultClickIDParam, nil
	}
	if err := checkKey(cell); err != nil {
		return "", fmt.Errorf("names a query parameter and %w", err)
	}
	return cell, redirect.CheckClickIDParam(cell)
}

func (k *campaignImport) prepare(_ context.Context, c *Control, _ []sheet.Record) error {
	k.cat = c.catalog.Load()
	return nil
}

func (k *campaignImport) find(rec sheet.Record) (campaignRow, string, bool, error) {
	brand, err := k.cat.brand(k.scope, rec)
	if err != nil {
		return campaignRow{}, "", false, err
	}
	key := campaignKey{brand.BrandID, rec.Cell("campaign")}
	id := brand.Brand + "/" + key.campaign
	if err := checkKey(key.campaign); err != nil {
		return campaignRow{}, id, false, refuse("campaign", "%s", err)
	}
	if stored := k.cat.campaigns.byKey[key]; stored != nil {
		return *stored, id, true, nil
	}
	if err := k.cat.campaigns.refuseFormer("campaign", key); err != nil {
		return campaignRow{}, id, false, err
	}
	return campaignRow{Campaign: key.campaign, BrandID: key.brand, Enabled: true}, id, false, nil
}

func (k *campaignImport) check(r *campaignRow, _ change) error {
	if err := checkClickIDParam(r.ClickIDParam, r.Destination, "click_id_param"); err != nil {
		return err
	}
	return checkPeriod(r.Starts, r.Ends, "ends")
}

// checkClickIDParam refuses a destination that sets the parameter of the click id itself: it would lose its value. column is
// the one to change.
func checkClickIDParam(param, destination, column string) error {
	if redirect.SetsParameter(destination, param) {
		return refuse(column, "clashes: the destination sets %s itself, which carries the click id", param)
	}
	return nil
}

// checkPeriod refuses an end, under the column given, that is not after the start. Either may be unset.
func checkPeriod(starts, ends time.Time, column string) error {
	if ends.Equal(noTime()) || ends.After(starts) {
		return nil
	}
	return refuse(column, "must be later than starts, %s", starts.Format(time.RFC3339))
}

func (k *campaignImport) write(c *Control, rows []campaignRow, fresh int) (write, error) {
	if err := numberRows(&c.numbers.campaigns, rows[:fresh], func(r *campaignRow) *uint32 { return &r.CampaignID }); err != nil {
		return write{}, err
	}
	stampRows(rows, c.stamp())
	return write{
		inserts: []insert{insertRows("campaigns", "", rows)},
		learn:   func(next *catalog) { next.campaigns = next.campaigns.with(rows) },
	}, nil
}
