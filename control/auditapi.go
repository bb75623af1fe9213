package control

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// An AuditFilter says which entries of the audit are wanted; what is empty allows all.
type AuditFilter struct {
	Brand  string    `query:"brand" doc:"key of a brand"`
	Object string    `query:"object" doc:"what was changed: brands, domains, influencers, campaigns, links, commissions, posts, conversions, keys or tokens"`
	Key    string    `query:"key" doc:"key of one object"`
	Token  string    `query:"token" doc:"id of a token"`
	From   time.Time `query:"from" doc:"no earlier entries"`
	To     time.Time `query:"to" doc:"only earlier entries"`
}

// An AuditEntry says who changed what.
type AuditEntry struct {
	ID      uint64    `json:"id"`
	At      time.Time `json:"at"`
	Version uint64    `json:"version" doc:"of what was written, 0 where that has none"`
	TokenID string    `json:"token_id" doc:"empty for the control process itself"`
	Token   string    `json:"token" doc:"name of the token, where it is one that the caller could list"`
	Role    string    `json:"role"`
	Action  string    `json:"action" doc:"create, update, delete, enable, disable, new, rotate, retire or revoke"`
	Object  string    `json:"object"`
	Key     string    `json:"key" doc:"of the object, where it was one"`
	Brand   string    `json:"brand" doc:"empty for none, or all"`
	Rows    uint32    `json:"rows" doc:"how many objects"`
	Changes []Change  `json:"changes" doc:"what was updated, where it was one object"`
	Stored  bool      `json:"stored" doc:"false: it was begun, and whether all of it was stored is not known"`
}

// An AuditPage is one page of the audit, the newest entries first.
type AuditPage struct {
	Entries []AuditEntry `json:"entries"`
	Next    string       `json:"next" doc:"cursor of the next page, empty at the end"`
}

// Audit returns up to limit entries that filter chooses and scope may see, the newest first, from a cursor on, and the next cursor.
// A scope of some brands sees what was done to these, and what its own tokens did to creators, who are of no brand.
func (c *Control) Audit(ctx context.Context, scope Scope, filter AuditFilter, cursor string, limit int) (AuditPage, error) {
	page := AuditPage{Entries: []AuditEntry{}}
	cat := c.catalog.Load()
	where, args, err := cat.auditWhere(scope, filter, cursor)
	if err != nil {
		return page, err
	}
	rows, err := selectRows[auditRow](ctx, c.store, "audit", fmt.Sprintf("%s ORDER BY id DESC LIMIT %d", where, limit), args...)
	if err != nil {
		return page, err
	}
	for i := range rows {
		page.Entries = append(page.Entries, cat.auditEntry(scope, &rows[i]))
	}
	if len(rows) == limit {
		page.Next = strconv.FormatUint(rows[limit-1].ID, 10)
	}
	return page, nil
}

func (c *catalog) auditWhere(scope Scope, filter AuditFilter, cursor string) (where string, args []any, err error) {
	where = "true"
	and := func(condition string, values ...any) {
		where += " AND " + condition
		args = append(args, values...)
	}
	if !scope.All {
		tokens := []string{}
		for id, row := range c.tokens {
			if scope.covers(c.token(row).Brands) {
				tokens = append(tokens, id)
			}
		}
		and("(brand_id IN ? OR brand_id = 0 AND token_id IN ?)", c.brandIDs(scope), tokens)
	}
	if filter.Brand != "" {
		brand, err := c.visibleBrand(scope, filter.Brand)
		if err != nil {
			return "", nil, err
		}
		and("brand_id = ?", brand.BrandID)
	}
	for _, is := range []struct{ column, value string }{{"object", filter.Object}, {"key", filter.Key}, {"token_id", filter.Token}} {
		if is.value != "" {
			and(is.column+" = ?", is.value)
		}
	}
	if !filter.From.IsZero() {
		and("at >= ?", filter.From)
	}
	if !filter.To.IsZero() {
		and("at < ?", filter.To)
	}
	if cursor != "" {
		before, err := strconv.ParseUint(cursor, 10, 64)
		if err != nil {
			return "", nil, ErrCursor
		}
		and("id < ?", before)
	}
	return where, args, nil
}

func (c *catalog) auditEntry(scope Scope, row *auditRow) AuditEntry {
	e := AuditEntry{
		ID: row.ID, At: row.At, Version: row.Version, TokenID: row.TokenID, Role: row.Role, Action: row.Action,
		Object: row.Object, Key: row.Key, Rows: row.Rows, Changes: []Change{}, Stored: row.Stored,
	}
	if brand := c.brands.byID[row.BrandID]; brand != nil {
		e.Brand = brand.Brand
	}
	token, known := c.tokens[row.TokenID]
	if !known || scope.covers(c.token(token).Brands) {
		e.Token = row.Token
	}
	for i := range row.Columns {
		e.Changes = append(e.Changes, Change{row.Columns[i], row.Before[i], row.After[i]})
	}
	return e
}

type auditRequest struct {
	PageRequest
	AuditFilter
}

func (c *Control) registerAudit(api huma.API) {
	huma.Register(api, operation("list-audit", http.MethodGet, "/audit", Admin, "Who changed what, the newest first"),
		func(ctx context.Context, in *auditRequest) (*struct{ Body AuditPage }, error) {
			page, err := c.Audit(ctx, ScopeOf(ctx), in.AuditFilter, in.Cursor, in.Limit)
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body AuditPage }{page}, nil
		})
}
