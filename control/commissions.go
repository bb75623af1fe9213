package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/shopspring/decimal"

	"carom/control/sheet"
)

type ruleRow struct {
	RuleID       uint32          `ch:"rule_id"`
	CampaignID   uint32          `ch:"campaign_id"`
	InfluencerID uint32          `ch:"influencer_id"`
	Tier         string          `ch:"tier"`
	Event        string          `ch:"event"`
	Model        string          `ch:"model"`
	Rate         decimal.Decimal `ch:"rate"`
	Amount       decimal.Decimal `ch:"amount"`
	Currency     string          `ch:"currency"`
	Threshold    decimal.Decimal `ch:"threshold"`
	Starts       time.Time       `ch:"starts"`
	Ends         time.Time       `ch:"ends"`
	stamp
}

// A ruleKey says which rule is meant. Percent and cpa both pay per event, so that one replaces the other; a rule that
// pays per click or once stands beside them.
type ruleKey struct {
	campaign, influencer uint32
	tier, event, paid    string
	starts               int64
}

func (r *ruleRow) key() ruleKey {
	return ruleKey{r.CampaignID, r.InfluencerID, r.Tier, r.Event, paidPer(r.Model), r.Starts.Unix()}
}

// paidPer is what a commission model pays for: an event, a click, or once.
func paidPer(model string) string {
	switch model {
	case "cpc":
		return "click"
	case "flat":
		return "once"
	}
	return "event"
}

// tierNames are the tiers of creators by followers, smallest first.
func tierNames() []string { return []string{"unranked", "nano", "micro", "mid", "macro", "mega"} }

// defaultEvent is the event that a commission pays for and a conversion is, where nothing else is said.
const defaultEvent = "sale"

type commissionImport struct {
	scope  Scope
	cat    *catalog
	stored map[ruleKey]ruleRow
}

func (k *commissionImport) name() string { return "commissions" }

func (k *commissionImport) identity() []string {
	return []string{"campaign", "influencer", "tier", "event", "model", "starts"}
}

func (k *commissionImport) owner(r *ruleRow) (uint32, string) {
	campaign := k.cat.campaigns.byID[r.CampaignID]
	return campaign.BrandID, campaign.Campaign
}

func (k *commissionImport) columns() []column[ruleRow] {
	return []column[ruleRow]{
		key[ruleRow]("campaign"),
		optionalKey[ruleRow]("influencer"),
		optionalKey[ruleRow]("tier"),
		optionalKey[ruleRow]("event"),
		optionalKey[ruleRow]("starts"),
		value("model", func(r *ruleRow) *string { return &r.Model }, equal, parseModel).must(),
		value("currency", func(r *ruleRow) *string { return &r.Currency }, equal, func(r *ruleRow, cell string) (string, error) {
			return k.cat.currency(k.cat.campaigns.byID[r.CampaignID].BrandID, cell)
		}),
		value("rate", func(r *ruleRow) *decimal.Decimal { return &r.Rate }, decimal.Decimal.Equal, parseRate),
		money("amount", func(r *ruleRow) *decimal.Decimal { return &r.Amount }, func(r *ruleRow) string { return r.Currency }),
		value("threshold", func(r *ruleRow) *decimal.Decimal { return &r.Threshold }, decimal.Decimal.Equal, parseThreshold),
		moment("ends", func(r *ruleRow) *time.Time { return &r.Ends }),
	}
}

func parseModel(_ *ruleRow, cell string) (string, error) {
	switch cell {
	case "percent", "cpa", "cpc", "flat":
		return cell, nil
	case "tiered":
		return "", fmt.Errorf("tiered is not paid out by this version: use percent, cpa, cpc or flat")
	}
	return "", fmt.Errorf("must be one of percent, cpa, cpc, flat")
}

// parseRate reads a share from 0 to 1 with at most six decimals.
func parseRate(_ *ruleRow, cell string) (decimal.Decimal, error) {
	if cell == "" {
		return decimal.Zero, nil
	}
	rate, err := decimal.NewFromString(cell)
	plain := strings.Trim(cell, "0123456789.") == ""
	if err != nil || !plain || rate.GreaterThan(decimal.NewFromInt(1)) || !rate.Equal(rate.Truncate(6)) {
		return decimal.Zero, fmt.Errorf("must be a share from 0 to 1 with at most six decimals: 0.1 is 10 %%")
	}
	return rate, nil
}

func parseThreshold(_ *ruleRow, cell string) (decimal.Decimal, error) {
	if cell != "" {
		return decimal.Zero, fmt.Errorf("must be empty: it belongs to the tiered model")
	}
	return decimal.Zero, nil
}

// prepare reads the rules of the campaigns that the chunk names.
func (k *commissionImport) prepare(ctx context.Context, c *Control, recs []sheet.Record) error {
	k.cat, k.stored = c.catalog.Load(), map[ruleKey]ruleRow{}
	named, err := ext.NewTable("named", ext.Column("id", "UInt32"))
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if campaign, err := k.cat.campaignAnywhere(k.scope, rec.Cell("campaign")); err == nil {
			if err := named.Append(campaign.CampaignID); err != nil {
				return err
			}
		}
	}
	rows, err := selectRows[ruleRow](withTable(ctx, named), c.store, "commission_rules",
		"NOT deleted AND campaign_id IN (SELECT id FROM named)")
	for _, row := range rows {
		k.stored[row.key()] = row
	}
	return err
}

func (k *commissionImport) find(rec sheet.Record) (ruleRow, string, bool, error) {
	row, err := k.identify(rec)
	if err != nil {
		return row, "", false, err
	}
	key := row.key()
	id := fmt.Sprint(key)
	if stored, ok := k.stored[key]; ok {
		return stored, id, true, nil
	}
	row.Model = "" // the column sets it
	return row, id, false, nil
}

// identify reads the cells that say which rule is meant.
func (k *commissionImport) identify(rec sheet.Record) (ruleRow, error) {
	var row ruleRow
	campaign, err := k.cat.campaignAnywhere(k.scope, rec.Cell("campaign"))
	if err != nil {
		return row, err
	}
	row.CampaignID = campaign.CampaignID
	if name := rec.Cell("influencer"); name != "" {
		influencer := k.cat.influencers.byKey[name]
		if influencer == nil {
			return row, refuse("influencer", "is unknown: import it with influencers first")
		}
		row.InfluencerID = influencer.InfluencerID
	}
	row.Tier = rec.Cell("tier")
	if row.Tier != "" && !slices.Contains(tierNames(), row.Tier) {
		return row, refuse("tier", "must be one of %s", strings.Join(tierNames(), ", "))
	}
	if row.Model, err = parseModel(&row, rec.Cell("model")); err != nil {
		return row, refuse("model", "%s", err)
	}
	event := rec.Cell("event")
	switch {
	case paidPer(row.Model) == "event":
		if row.Event, err = parseLabel(event, defaultEvent); err != nil {
			return row, refuse("event", "%s", err)
		}
	case event != "":
		return row, refuse("event", "must be empty: %s pays per %s", row.Model, paidPer(row.Model))
	}
	row.Starts = noTime()
	if cell := rec.Cell("starts"); cell != "" {
		if row.Starts, err = parseTime(cell); err != nil {
			return row, refuse("starts", "%s", err)
		}
	}
	return row, nil
}

func (k *commissionImport) check(r *ruleRow, _ change) error {
	switch {
	case r.Model == "percent" && !r.Rate.IsPositive():
		return refuse("rate", "is required by percent")
	case r.Model == "percent" && !r.Amount.IsZero():
		return refuse("amount", "must be empty: percent pays by rate")
	case r.Model != "percent" && !r.Amount.IsPositive():
		return refuse("amount", "is required by %s", r.Model)
	case r.Model != "percent" && !r.Rate.IsZero():
		return refuse("rate", "must be empty: %s pays an amount", r.Model)
	}
	return checkPeriod(r.Starts, r.Ends, "ends")
}

func (k *commissionImport) write(c *Control, rows []ruleRow, fresh int) (write, error) {
	if err := numberRows(&c.numbers.rules, rows[:fresh], func(r *ruleRow) *uint32 { return &r.RuleID }); err != nil {
		return write{}, err
	}
	stampRows(rows, c.stamp())
	return write{inserts: []insert{insertRows("commission_rules", "", rows)}}, nil
}
