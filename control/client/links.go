package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"carom/control"
)

// Links returns one page of the links that filter chooses.
func (c *Client) Links(ctx context.Context, filter control.LinkFilter, cursor string, limit int) (control.LinkPage, error) {
	query := chosen(filter)
	query.Set("limit", strconv.Itoa(limit))
	query.Set("cursor", cursor)
	var page control.LinkPage
	return page, c.call(ctx, http.MethodGet, "/links", query, "", nil, &page)
}

// chosen asks for the links of a filter.
func chosen(f control.LinkFilter) url.Values {
	return url.Values{"brand": {f.Brand}, "campaign": {f.Campaign}, "influencer": {f.Influencer}, "domain": {f.Domain}}
}

// Link returns the link with this key; brand may be empty where only one has it. Enabled is its own switch; State tells what
// the edge does.
func (c *Client) Link(ctx context.Context, brand, link string) (control.LinkDetail, error) {
	var detail control.LinkDetail
	return detail, c.call(ctx, http.MethodGet, "/links/"+url.PathEscape(link), url.Values{"brand": {brand}}, "", nil, &detail)
}

// LinkObject returns all that the API tells of a link.
func (c *Client) LinkObject(ctx context.Context, brand, link string) (json.RawMessage, error) {
	var object json.RawMessage
	return object, c.call(ctx, http.MethodGet, "/links/"+url.PathEscape(link), url.Values{"brand": {brand}}, "", nil, &object)
}

// DeleteLink deletes a link for good.
func (c *Client) DeleteLink(ctx context.Context, brand, link string) error {
	return c.call(ctx, http.MethodDelete, "/links/"+url.PathEscape(link), url.Values{"brand": {brand}}, "", nil, nil)
}

// Export copies all links that filter chooses to w, as csv, jsonl or parquet.
func (c *Client) Export(ctx context.Context, filter control.LinkFilter, format string, w io.Writer) error {
	query := chosen(filter)
	query.Set("format", format)
	return c.Fetch(ctx, "/links/export", query, w)
}

// SetEnabled stops what target names, or lets it go on, and returns how many links that has.
func (c *Client) SetEnabled(ctx context.Context, target control.Target, enabled bool) (int, error) {
	path := "/disable"
	if enabled {
		path = "/enable"
	}
	var answer control.Enabled
	err := c.post(ctx, path, control.EnableRequest(target), &answer)
	return answer.Links, err
}

// EachLink calls do for every link that filter chooses, as they arrive. An error of do ends it.
func (c *Client) EachLink(ctx context.Context, filter control.LinkFilter, do func(control.Link) error) error {
	query := chosen(filter)
	query.Set("format", "jsonl")
	return eachLine(ctx, c, "/links/export", query, do)
}

// EachDestination calls do for every link that filter chooses and that leads somewhere, as they arrive. An error of do ends it.
func (c *Client) EachDestination(ctx context.Context, filter control.LinkFilter, do func(control.LinkDestination) error) error {
	return eachLine(ctx, c, "/destinations", chosen(filter), do)
}

// FindLink returns the link that a key, slug, code, token or short URL names; brand may be empty where only one has it.
func (c *Client) FindLink(ctx context.Context, brand, name string) (control.LinkName, error) {
	var link control.LinkName
	return link, c.call(ctx, http.MethodGet, "/links/find", url.Values{"name": {name}, "brand": {brand}}, "", nil, &link)
}

// MintToken makes a self-contained link.
func (c *Client) MintToken(ctx context.Context, request control.TokenLinkRequest) (control.TokenLink, error) {
	var link control.TokenLink
	return link, c.post(ctx, "/links/token", request, &link)
}

// eachLine reads an answer of JSON lines.
func eachLine[T any](ctx context.Context, c *Client, path string, query url.Values, do func(T) error) error {
	response, err := c.send(ctx, http.MethodGet, path, query, "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for lines := json.NewDecoder(response.Body); ; {
		var line T
		err := lines.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("GET %s: the answer broke off: %w", path, err)
		}
		if err := do(line); err != nil {
			return err
		}
	}
}
