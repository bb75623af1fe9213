package client

import (
	"context"
	"net/http"
	"net/url"

	"carom/control"
	"carom/redirect"
)

// Keys lists keys, of one brand and one kind where these are given.
func (c *Client) Keys(ctx context.Context, brand string, kind redirect.KeyKind) ([]control.Key, error) {
	var keys []control.Key
	query := url.Values{"brand": {brand}}
	if kind != "" {
		query.Set("kind", string(kind))
	}
	return keys, c.call(ctx, http.MethodGet, "/keys", query, "", nil, &keys)
}

// NewKey makes a key beside those in use: a postback key that counts at once, or another one that waits for ActivateKey.
func (c *Client) NewKey(ctx context.Context, brand string, kind redirect.KeyKind) (control.NewKey, error) {
	var key control.NewKey
	return key, c.post(ctx, "/keys", control.KeyRequest{Brand: brand, Kind: kind}, &key)
}

// RotateKey makes a new active key; the old ones only verify from then on.
func (c *Client) RotateKey(ctx context.Context, brand string, kind redirect.KeyKind) (control.NewKey, error) {
	var key control.NewKey
	return key, c.post(ctx, "/keys/rotate", control.KeyRequest{Brand: brand, Kind: kind}, &key)
}

// ActivateKey lets a key that only verifies take over.
func (c *Client) ActivateKey(ctx context.Context, brand string, kind redirect.KeyKind, id string) (control.NewKey, error) {
	var key control.NewKey
	rotation := control.KeyRotation{KeyRequest: control.KeyRequest{Brand: brand, Kind: kind}, ID: id}
	return key, c.post(ctx, "/keys/rotate", rotation, &key)
}

// RetireKey makes a key, and all it has signed, unknown.
func (c *Client) RetireKey(ctx context.Context, brand string, kind redirect.KeyKind, id string) (control.Retirement, error) {
	return c.retire(ctx, control.KeyRetirement{KeyRequest: control.KeyRequest{Brand: brand, Kind: kind}, ID: id})
}

// RehearseRetirement says what RetireKey would lose.
func (c *Client) RehearseRetirement(ctx context.Context, brand string, kind redirect.KeyKind, id string) (control.Retirement, error) {
	return c.retire(ctx, control.KeyRetirement{KeyRequest: control.KeyRequest{Brand: brand, Kind: kind}, ID: id, DryRun: true})
}

func (c *Client) retire(ctx context.Context, request control.KeyRetirement) (control.Retirement, error) {
	var retirement control.Retirement
	return retirement, c.post(ctx, "/keys/retire", request, &retirement)
}

// Tokens lists tokens.
func (c *Client) Tokens(ctx context.Context) ([]control.Token, error) {
	var tokens []control.Token
	return tokens, c.call(ctx, http.MethodGet, "/tokens", nil, "", nil, &tokens)
}

// NewToken makes a token.
func (c *Client) NewToken(ctx context.Context, request control.TokenRequest) (control.NewToken, error) {
	var token control.NewToken
	return token, c.post(ctx, "/tokens", request, &token)
}

// RevokeToken makes the token with this id worthless.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(id), nil, "", nil, nil)
}
