package control

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A token is "carom_", its id of eight hexadecimal digits, "_" and 256 random bits in base64url. The prefix lets scanners
// find leaked ones; the id says which row to compare with.
const (
	tokenPrefix  = "carom_"
	tokenIDBytes = 4
	tokenBytes   = 32
)

type tokenRow struct {
	TokenID string    `ch:"token_id"`
	Hash    string    `ch:"hash"` // SHA-256 of the whole token, hexadecimal
	Name    string    `ch:"name"`
	Brands  []uint32  `ch:"brands"`
	Role    string    `ch:"role"`
	Created time.Time `ch:"created"`
	Revoked bool      `ch:"revoked"`
	Version uint64    `ch:"version"`
}

// A Token is what people may know of a token: everything but the token itself.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Role    Role      `json:"role" enum:"admin,editor,analyst"`
	Brands  []string  `json:"brands" doc:"keys of the brands it is for, empty for all"`
	Created time.Time `json:"created"`
	Revoked bool      `json:"revoked"`
}

func (c *catalog) learnTokens(rows []tokenRow) {
	c.tokens = maps.Clone(c.tokens)
	for _, row := range rows {
		c.tokens[row.TokenID] = row
	}
}

func (c *catalog) token(row tokenRow) Token {
	t := Token{
		ID: row.TokenID, Name: row.Name, Role: Role(row.Role), Brands: []string{}, Created: row.Created, Revoked: row.Revoked,
	}
	for _, id := range row.Brands {
		switch brand := c.brands.byID[id]; {
		case brand == nil:
		case brand.Deleted:
			t.Brands = append(t.Brands, brand.Brand+" (deleted)") // no brand's key, so nothing of it is seen
		default:
			t.Brands = append(t.Brands, brand.Brand)
		}
	}
	return t
}

// scope is what a token may do and see.
func (c *catalog) scope(row tokenRow) Scope {
	return Scope{Role: Role(row.Role), All: len(row.Brands) == 0, Brands: c.token(row).Brands, Token: row.TokenID}
}

// covers reports whether s may hand out or take back a token for brands, no brand meaning all.
func (s Scope) covers(brands []string) bool {
	return s.All || len(brands) > 0 && !slices.ContainsFunc(brands, func(brand string) bool { return !s.Sees(brand) })
}

// NewToken makes a token for brands, all where none is named, and returns it in clear, which is now or never.
func (c *Control) NewToken(ctx context.Context, scope Scope, name string, role Role, brands []string) (Token, string, error) {
	if err := checkText(name, maxText); err != nil {
		return Token{}, "", refuse("name", "%s", err)
	}
	if role.rank() < 0 {
		return Token{}, "", refuse("role", "must be one of admin, editor, analyst")
	}
	if err := c.begin(ctx); err != nil {
		return Token{}, "", err
	}
	defer c.mu.Unlock()
	cat, stamp := c.catalog.Load(), c.stamp()
	if len(brands) == 0 && !scope.All {
		return Token{}, "", fmt.Errorf("token for all brands: %w", ErrForbidden)
	}
	row := tokenRow{
		TokenID: hex.EncodeToString(randomBytes(tokenIDBytes)),
		Name:    name, Role: string(role), Brands: []uint32{}, Created: stamp.Updated.Truncate(time.Second), Version: stamp.Version,
	}
	for _, key := range brands {
		brand, err := cat.visibleBrand(scope, key)
		if err != nil {
			return Token{}, "", err
		}
		row.Brands = append(row.Brands, brand.BrandID)
	}
	secret := tokenPrefix + row.TokenID + "_" + base64.RawURLEncoding.EncodeToString(randomBytes(tokenBytes))
	row.Hash = hashToken(secret)
	if err := c.storeToken(ctx, "new", row); err != nil {
		return Token{}, "", err
	}
	return cat.token(row), secret, nil
}

// Tokens lists the tokens that scope could have made, revoked ones included.
func (c *Control) Tokens(scope Scope) []Token {
	cat := c.catalog.Load()
	tokens := []Token{}
	for _, row := range cat.tokens {
		if t := cat.token(row); scope.covers(t.Brands) {
			tokens = append(tokens, t)
		}
	}
	slices.SortFunc(tokens, func(a, b Token) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return tokens
}

// RevokeToken makes a token worthless at once. Revoking one twice changes nothing.
func (c *Control) RevokeToken(ctx context.Context, scope Scope, id string) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.mu.Unlock()
	cat := c.catalog.Load()
	row, ok := cat.tokens[id]
	if !ok || !scope.covers(cat.token(row).Brands) {
		return fmt.Errorf("token %q: %w", id, ErrNotFound)
	}
	if row.Revoked {
		return nil
	}
	row.Revoked, row.Version = true, c.versions.next()
	return c.storeToken(ctx, "revoke", row)
}

// storeToken writes a token row, which is what action did. The caller holds mu.
func (c *Control) storeToken(ctx context.Context, action string, row tokenRow) error {
	brands := row.Brands
	if len(brands) == 0 {
		brands = []uint32{0}
	}
	deeds := make([]deed, len(brands))
	for i, brand := range brands {
		deeds[i] = deed{action: action, object: "tokens", key: row.TokenID, brand: brand, rows: 1}
	}
	rows := []tokenRow{row}
	return c.commit(ctx, write{
		inserts: []insert{insertRows("tokens", "", rows)},
		learn:   func(next *catalog) { next.learnTokens(rows) },
	}, deeds...)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// bearer finds the row of a token that is valid.
func (c *catalog) bearer(token string) (tokenRow, bool) {
	row, known := c.tokens[tokenID(token)]
	return row, row.admits(token) && known
}

// tokenID is the part of a token that says which row to compare with.
func tokenID(token string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(token, tokenPrefix), "_")
	return id
}

// admits reports whether token is the row's and valid. Its time does not depend on how much of the secret part is right.
func (r *tokenRow) admits(token string) bool {
	same := subtle.ConstantTimeCompare([]byte(hashToken(token)), []byte(r.Hash)) == 1
	return same && !r.Revoked
}

// tokenStored asks ClickHouse whether a token is valid: a standby has not learnt of the newest tokens and revocations.
func tokenStored(ctx context.Context, s store, token string) (bool, error) {
	rows, err := selectRows[tokenRow](ctx, s, "tokens", "token_id = ?", tokenID(token))
	return len(rows) == 1 && rows[0].admits(token), err
}

// localTokenName begins the name of the token that a control process leaves for the commands on its machine; its address follows, as
// a standby leaves another one.
const localTokenName = "local commands of "

// LocalToken returns previous if it is still an administrator's token for all brands, otherwise a new one; earlier ones of
// its kind are then revoked.
func (c *Control) LocalToken(ctx context.Context, previous string) (string, error) {
	if row, ok := c.catalog.Load().bearer(previous); ok && Role(row.Role) == Admin && len(row.Brands) == 0 {
		return previous, nil
	}
	name := localTokenName + c.cfg.Address
	for _, t := range c.Tokens(LocalScope()) {
		if t.Name == name {
			if err := c.RevokeToken(ctx, LocalScope(), t.ID); err != nil {
				return "", err
			}
		}
	}
	_, token, err := c.NewToken(ctx, LocalScope(), name, Admin, nil)
	return token, err
}
