package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"carom/control/sheet"
	"carom/redirect"
)

// conversionGrace is how far the clock of a shop may be ahead, and behind the click.
const conversionGrace = 5 * time.Minute

// refundEvent names the event that takes a sale back.
const refundEvent = "refund"

type conversionRow struct {
	Received     time.Time       `ch:"received"`
	TS           time.Time       `ch:"ts"`
	BrandID      uint32          `ch:"brand_id"`
	CampaignID   uint32          `ch:"campaign_id"`
	InfluencerID uint32          `ch:"influencer_id"`
	LinkID       uint32          `ch:"link_id"`
	ClickID      string          `ch:"click_id"`
	ClickTS      time.Time       `ch:"click_ts"`
	Event        string          `ch:"event"`
	TxID         string          `ch:"txid"`
	RefTxID      string          `ch:"ref_txid"`
	Amount       decimal.Decimal `ch:"amount"`
	Currency     string          `ch:"currency"`
	CustomerID   string          `ch:"customer_id"`
	Coupon       string          `ch:"coupon"`
	Status       string          `ch:"status"`
	Source       string          `ch:"source"`
	Signed       bool            `ch:"signed"`
	Node         uint16          `ch:"node"`
	BatchID      string          `ch:"batch_id"`
}

// A statement is what a conversion says: told again it is no news. Another status is a change of status, another
// amount a conflict that reports show; both are stored.
type statement struct {
	BrandID uint32          `ch:"brand_id"`
	Event   string          `ch:"event"`
	TxID    string          `ch:"txid"`
	Status  string          `ch:"status"`
	Amount  decimal.Decimal `ch:"amount"`
}

// text is the statement as a key of a map and as hashed into the deduplication token.
func (s statement) text() string {
	return fmt.Sprintf("%d %q %q %s %s", s.BrandID, s.Event, s.TxID, s.Status, s.Amount)
}

func (r *conversionRow) statement() statement {
	return statement{r.BrandID, r.Event, r.TxID, r.Status, r.Amount}
}

type conversionImport struct {
	scope   Scope
	cat     *catalog
	now     time.Time
	keys    []redirect.ClickIDKey
	links   map[uint32]linkRef   // by number, those of the chunk's click ids
	coupons map[string][]linkRef // by coupon, the newest link first
	told    map[string]bool      // statements that are stored or stand further up in the chunk
}

func (k *conversionImport) name() string { return "conversions" }

// identity is empty: a conversion may be told as often as anyone likes.
func (k *conversionImport) identity() []string { return nil }

func (k *conversionImport) owner(r *conversionRow) (uint32, string) { return r.BrandID, r.TxID }

// columns are all dealt with by find, since each depends on the brand, which the click id or the coupon gives.
func (k *conversionImport) columns() []column[conversionRow] {
	return []column[conversionRow]{
		key[conversionRow]("txid"),
		optionalKey[conversionRow]("click_id"),
		optionalKey[conversionRow]("coupon"),
		optionalKey[conversionRow]("event"),
		optionalKey[conversionRow]("ref_txid"),
		optionalKey[conversionRow]("amount"),
		optionalKey[conversionRow]("currency"),
		optionalKey[conversionRow]("ts"),
		optionalKey[conversionRow]("customer_id"),
		optionalKey[conversionRow]("status"),
	}
}

// prepare reads the links that the chunk's click ids and coupons mean, and which of its transactions were imported before.
func (k *conversionImport) prepare(ctx context.Context, c *Control, recs []sheet.Record) (err error) {
	k.cat, k.now = c.catalog.Load(), c.cfg.Now().UTC()
	if k.keys, err = c.clickIDKeys(); err != nil {
		return err
	}
	var numbers []uint32
	var coupons, transactions []string
	for _, rec := range recs {
		if click, err := k.click(rec.Cell("click_id")); err == nil {
			numbers = append(numbers, click.Link)
		}
		if coupon, err := parseCoupon(&rec, rec.Cell("coupon")); err == nil && coupon != "" {
			coupons = append(coupons, coupon)
		}
		transactions = append(transactions, rec.Cell("txid"))
	}
	if k.links, err = linksByNumber(ctx, c.store, numbers); err != nil {
		return err
	}
	if k.coupons, err = linksByName(ctx, c.store, "coupon", coupons); err != nil {
		return err
	}
	k.told, err = importedStatements(ctx, c.store, transactions)
	return err
}

// importedStatements reads what earlier imports have said about transactions.
func importedStatements(ctx context.Context, s store, transactions []string) (map[string]bool, error) {
	named, err := tableOf("String", transactions)
	if err != nil {
		return nil, err
	}
	var rows []statement
	err = s.conn.Select(withTable(ctx, named), &rows, "SELECT DISTINCT "+columnList[statement]()+
		" FROM conversions WHERE source = 'import' AND txid IN (SELECT value FROM named)")
	if err != nil {
		return nil, fmt.Errorf("read conversions: %w", err)
	}
	told := make(map[string]bool, len(rows))
	for _, row := range rows {
		told[row.text()] = true
	}
	return told, nil
}

// click opens a click id with the newest key that fits.
func (k *conversionImport) click(text string) (redirect.Click, error) {
	block, err := redirect.DecodeClickID(text)
	if err != nil {
		return redirect.Click{}, err
	}
	for _, key := range k.keys {
		if click, ok := key.Open(block); ok {
			return click, nil
		}
	}
	return redirect.Click{}, redirect.ErrClickID
}

func (k *conversionImport) find(rec sheet.Record) (conversionRow, string, bool, error) {
	row := conversionRow{Received: k.now, Source: "import", Signed: true}
	for _, read := range []func(*conversionRow, sheet.Record) error{k.setTexts, k.setTime, k.attribute, k.setAmount} {
		if err := read(&row, rec); err != nil {
			return row, "", false, err
		}
	}
	told := row.statement().text()
	known := k.told[told]
	k.told[told] = true
	return row, "", known, nil
}

// setTime reads when the conversion happened; without a word about it, now.
func (k *conversionImport) setTime(row *conversionRow, rec sheet.Record) error {
	row.TS = k.now
	cell := rec.Cell("ts")
	if cell == "" {
		return nil
	}
	ts, err := parseTime(cell)
	if err != nil {
		return refuse("ts", "%s", err)
	}
	if ts.After(k.now.Add(conversionGrace)) {
		return refuse("ts", "is in the future")
	}
	row.TS = ts
	return nil
}

// attribute finds the link that has earned the conversion: the click's, otherwise the coupon's newest.
func (k *conversionImport) attribute(row *conversionRow, rec sheet.Record) (err error) {
	var link linkRef
	if row.Coupon, err = parseCoupon(row, rec.Cell("coupon")); err != nil {
		return refuse("coupon", "%s", err)
	}
	row.ClickID, row.ClickTS = rec.Cell("click_id"), row.TS
	switch {
	case row.ClickID != "":
		link, err = k.clickedLink(row)
	case row.Coupon != "":
		link, err = k.cat.oneBrand(k.scope, k.coupons[row.Coupon], "coupon")
	default:
		return refuse("click_id", "or coupon is required: one of them says who has earned it")
	}
	row.LinkID, row.BrandID, row.CampaignID, row.InfluencerID = link.LinkID, link.BrandID, link.CampaignID, link.InfluencerID
	return err
}

// clickedLink finds the link of the row's click id. A forged id and one of a brand that scope may not see look alike.
func (k *conversionImport) clickedLink(row *conversionRow) (linkRef, error) {
	click, err := k.click(row.ClickID)
	link, known := k.links[click.Link]
	brand := k.cat.brands.byID[link.BrandID]
	if err != nil || !known || brand == nil || !k.scope.Sees(brand.Brand) {
		return linkRef{}, refuse("click_id", "is %s", redirect.ErrClickID)
	}
	row.ClickTS = click.Time()
	if row.TS.Before(row.ClickTS.Add(-conversionGrace)) {
		return linkRef{}, refuse("ts", "is earlier than the click, %s", row.ClickTS.Format(time.RFC3339))
	}
	if row.TS.Before(row.ClickTS) { // by a clock that is behind
		row.TS = row.ClickTS
	}
	window := time.Duration(brand.AttributionDays) * 24 * time.Hour
	takesBack := row.Event == refundEvent || row.Status == "rejected" // and is never too late
	if row.TS.After(row.ClickTS.Add(window)) && !takesBack {
		return linkRef{}, refuse("click_id", "is of %s: the brand attributes for %d days", row.ClickTS.Format(time.RFC3339), brand.AttributionDays)
	}
	return link, nil
}

func (k *conversionImport) setAmount(row *conversionRow, rec sheet.Record) (err error) {
	amount, currency := rec.Cell("amount"), rec.Cell("currency")
	switch {
	case amount == "" && (row.Event == defaultEvent || row.Event == refundEvent):
		return refuse("amount", "is required by a %s, be it 0", row.Event)
	case amount != "" && currency == "":
		return refuse("currency", "is required with an amount")
	}
	if row.Currency, err = k.cat.currency(row.BrandID, currency); err != nil {
		return refuse("currency", "%s", err)
	}
	if amount == "" {
		return nil
	}
	if row.Amount, err = redirect.ParseAmount(amount, row.Currency); err != nil {
		return refuse("amount", "%s", err)
	}
	return nil
}

func (k *conversionImport) setTexts(row *conversionRow, rec sheet.Record) (err error) {
	if row.Event, err = parseLabel(rec.Cell("event"), defaultEvent); err != nil {
		return refuse("event", "%s", err)
	}
	for _, text := range []struct {
		column string
		at     *string
	}{{"txid", &row.TxID}, {"ref_txid", &row.RefTxID}, {"customer_id", &row.CustomerID}} {
		*text.at = rec.Cell(text.column)
		if err := checkText(*text.at, maxText); err != nil {
			return refuse(text.column, "%s", err)
		}
	}
	if row.Event == refundEvent && row.RefTxID == "" {
		return refuse("ref_txid", "is required by a refund: it names the sale")
	}
	row.Status = rec.Cell("status")
	if row.Status == "" {
		row.Status = "approved"
	}
	if !slices.Contains([]string{"pending", "approved", "rejected"}, row.Status) {
		return refuse("status", "must be one of pending, approved, rejected")
	}
	return nil
}

func (k *conversionImport) check(*conversionRow, change) error { return nil }

// write names the batch after what it says, so that the same chunk sent twice, its answer lost in between, is one batch.
func (k *conversionImport) write(_ *Control, rows []conversionRow, _ int) (write, error) {
	hash := sha256.New()
	for i := range rows {
		fmt.Fprintln(hash, rows[i].statement().text())
	}
	batch := "import-" + hex.EncodeToString(hash.Sum(nil)[:16])
	for i := range rows {
		rows[i].BatchID = batch
	}
	return write{inserts: []insert{insertRows("conversions", batch, rows)}}, nil
}
