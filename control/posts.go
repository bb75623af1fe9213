package control

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"carom/control/sheet"
)

// A postRow is what a creator's post had earned by one day.
type postRow struct {
	LinkID      uint32    `ch:"link_id"`
	AsOf        time.Time `ch:"as_of"`
	Likes       uint64    `ch:"likes"`
	Comments    uint64    `ch:"comments"`
	Shares      uint64    `ch:"shares"`
	Reach       uint64    `ch:"reach"`
	Impressions uint64    `ch:"impressions"`
	Version     uint64    `ch:"version"`
}

func (r *postRow) mark(with stamp) { r.Version = with.Version }

type postImport struct {
	scope  Scope
	cat    *catalog
	links  map[string][]linkRef
	named  map[uint32]linkRef // those of the chunk's lines, by number
	stored map[string]postRow
}

func (k *postImport) name() string       { return "posts" }
func (k *postImport) identity() []string { return []string{"link", "as_of"} }

func (k *postImport) owner(r *postRow) (uint32, string) {
	link := k.named[r.LinkID]
	return link.BrandID, link.Link
}

func (k *postImport) columns() []column[postRow] {
	number := func(name string, at func(*postRow) *uint64) column[postRow] {
		return count(name, 0, math.MaxInt64, 0, at)
	}
	return []column[postRow]{
		key[postRow]("link"),
		key[postRow]("as_of"),
		number("likes", func(r *postRow) *uint64 { return &r.Likes }),
		number("comments", func(r *postRow) *uint64 { return &r.Comments }),
		number("shares", func(r *postRow) *uint64 { return &r.Shares }),
		number("reach", func(r *postRow) *uint64 { return &r.Reach }),
		number("impressions", func(r *postRow) *uint64 { return &r.Impressions }),
	}
}

// prepare reads the links that the chunk names and what is stored of their posts on its days.
func (k *postImport) prepare(ctx context.Context, c *Control, recs []sheet.Record) (err error) {
	k.cat, k.stored, k.named = c.catalog.Load(), map[string]postRow{}, map[uint32]linkRef{}
	names := make([]string, len(recs))
	for i, rec := range recs {
		names[i] = rec.Cell("link")
	}
	if k.links, err = linksByName(ctx, c.store, "link", names); err != nil {
		return err
	}
	named, err := ext.NewTable("named", ext.Column("link", "UInt32"), ext.Column("day", "Date"))
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if row, err := k.identify(rec); err == nil {
			if err := named.Append(row.LinkID, row.AsOf); err != nil {
				return err
			}
		}
	}
	rows, err := selectRows[postRow](withTable(ctx, named), c.store, "posts", "(link_id, as_of) IN (SELECT link, day FROM named)")
	for _, row := range rows {
		k.stored[row.id()] = row
	}
	return err
}

func (r *postRow) id() string { return fmt.Sprint(r.LinkID, " ", r.AsOf.Format(time.DateOnly)) }

// identify reads the cells that say which row is meant.
func (k *postImport) identify(rec sheet.Record) (postRow, error) {
	link, err := k.cat.oneBrand(k.scope, k.links[rec.Cell("link")], "link")
	if err != nil {
		return postRow{}, err
	}
	day, err := parseDay(rec.Cell("as_of"))
	if err != nil {
		return postRow{}, refuse("as_of", "%s", err)
	}
	k.named[link.LinkID] = link
	return postRow{LinkID: link.LinkID, AsOf: day}, nil
}

func (k *postImport) find(rec sheet.Record) (postRow, string, bool, error) {
	row, err := k.identify(rec)
	if err != nil {
		return row, "", false, err
	}
	if stored, ok := k.stored[row.id()]; ok {
		return stored, row.id(), true, nil
	}
	return row, row.id(), false, nil
}

func (k *postImport) check(*postRow, change) error { return nil }

func (k *postImport) write(c *Control, rows []postRow, _ int) (write, error) {
	stampRows(rows, c.stamp())
	return write{inserts: []insert{insertRows("posts", "", rows)}}, nil
}
