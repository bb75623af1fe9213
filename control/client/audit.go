package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"carom/control"
)

// Audit returns one page of the entries that filter chooses, the newest first.
func (c *Client) Audit(ctx context.Context, filter control.AuditFilter, cursor string, limit int) (control.AuditPage, error) {
	query := url.Values{
		"brand": {filter.Brand}, "object": {filter.Object}, "key": {filter.Key}, "token": {filter.Token},
		"cursor": {cursor}, "limit": {strconv.Itoa(limit)},
	}
	for name, at := range map[string]time.Time{"from": filter.From, "to": filter.To} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	var page control.AuditPage
	return page, c.call(ctx, http.MethodGet, "/audit", query, "", nil, &page)
}
