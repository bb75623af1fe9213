package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// EachLink calls do for every link that filter chooses, as they arrive. An error of do ends it.
func (c *Client) EachLink(ctx context.Context, filter LinkFilter, do func(Link) error) error {
	query := filter.query()
	query.Set("format", "jsonl")
	return eachLine(ctx, c, "/links/export", query, do)
}

// EachDestination calls do for every link that filter chooses and that leads somewhere, as they arrive. An error of do ends it.
func (c *Client) EachDestination(ctx context.Context, filter LinkFilter, do func(LinkDestination) error) error {
	return eachLine(ctx, c, "/destinations", filter.query(), do)
}

// FindLink returns the link that a key, slug, code, token or short URL names; brand may be empty where only one has it.
func (c *Client) FindLink(ctx context.Context, brand, name string) (LinkName, error) {
	var link LinkName
	return link, c.call(ctx, http.MethodGet, "/links/find", url.Values{"name": {name}, "brand": {brand}}, "", nil, &link)
}

// MintToken makes a self-contained link.
func (c *Client) MintToken(ctx context.Context, request TokenLinkRequest) (TokenLink, error) {
	var link TokenLink
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
