package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"carom/redirect"
)

// KeyState says what a key still does.
type KeyState string

// The states, as the keys table spells them.
const (
	KeyActive  KeyState = "active"  // makes and checks
	KeyVerify  KeyState = "verify"  // only checks what it has made, or is yet to make
	KeyRetired KeyState = "retired" // unknown; its secret is gone
)

// Errors of changes to keys.
var (
	ErrKeyKind  = errors.New("this kind of key is not made that way")
	ErrNoSlot   = errors.New("all signing slots are in use: retire a key first, which breaks the codes it has signed")
	ErrKeyInUse = errors.New("the key is active: rotate first, so that another one takes over")
	// ErrManyKeys refuses one more key of a kind that has no slots.
	ErrManyKeys = fmt.Errorf("%d keys of this kind are in use, and nodes try them one after the other: retire one first", mostKeys)
	// ErrKeyRetired refuses to bring a key back: its secret is gone.
	ErrKeyRetired = errors.New("the key is retired: its secret is gone")
)

// mostKeys is how many postback keys of a brand, or click-id keys, are not retired: a node tries them all on a forged signature, so that
// the keys of one brand take time from the clicks of all.
const mostKeys = 16

// codeKeyLen is the length of a brand's signing key in bytes; clickIDKeyLen that of the cluster's AES key.
const (
	codeKeyLen    = 32
	clickIDKeyLen = 16
)

type keyRow struct {
	BrandID uint32    `ch:"brand_id"`
	Kind    string    `ch:"kind"`
	KeyID   string    `ch:"key_id"`
	Sealed  string    `ch:"sealed"`
	State   string    `ch:"state"`
	Created time.Time `ch:"created"`
	Version uint64    `ch:"version"`
	Updated time.Time `ch:"updated"`
}

// A keyPlace is where a key belongs: brand 0 is the cluster.
type keyPlace struct {
	brand uint32
	kind  redirect.KeyKind
	id    string
}

func (r *keyRow) place() keyPlace { return keyPlace{r.BrandID, redirect.KeyKind(r.Kind), r.KeyID} }

// in is the row in another state.
func (r keyRow) in(state KeyState, with stamp) keyRow {
	r.State, r.Version, r.Updated = string(state), with.Version, with.Updated
	return r
}

// learnKeys replaces keys in c by newer rows of the same place.
func (c *catalog) learnKeys(rows []keyRow) {
	c.keys = maps.Clone(c.keys)
	for _, row := range rows {
		c.keys[row.place()] = row
	}
}

// keysOf lists a brand's keys of one kind that are not retired, the newest first.
func (c *catalog) keysOf(brand uint32, kind redirect.KeyKind) []keyRow {
	var rows []keyRow
	for place, row := range c.keys {
		if place.brand == brand && place.kind == kind && row.State != string(KeyRetired) {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b keyRow) int { return cmp.Compare(b.Version, a.Version) })
	return rows
}

// activeSlot is the slot of the key that mints a brand's links.
func (c *catalog) activeSlot(brand uint32) (uint8, error) {
	for slot := range uint8(redirect.KeySlots) {
		place := keyPlace{brand, redirect.KeyCode, strconv.Itoa(int(slot))}
		if row, ok := c.keys[place]; ok && row.State == string(KeyActive) {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("brand %q has no active signing key: make one with `carom keys rotate`", c.brands.byID[brand].Brand)
}

// randomBytes never fails: crypto/rand ends the process where the system has no randomness.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// newSecret makes the secret of a key. A postback key is text, because the text that is printed is the HMAC key.
func newSecret(kind redirect.KeyKind) []byte {
	switch kind {
	case redirect.KeyClickID:
		return randomBytes(clickIDKeyLen)
	case redirect.KeyVisitor:
		return randomBytes(redirect.VisitorKeyLen)
	case redirect.KeyPostback:
		return []byte(base64.RawURLEncoding.EncodeToString(randomBytes(codeKeyLen)))
	default:
		return randomBytes(codeKeyLen)
	}
}

// newKey makes an active key with a new secret.
func (c *Control) newKey(kind redirect.KeyKind, brand uint32, id string, with stamp) keyRow {
	return c.sealKey(keyPlace{brand, kind, id}, newSecret(kind), with)
}

func (c *Control) sealKey(at keyPlace, secret []byte, with stamp) keyRow {
	return keyRow{
		BrandID: at.brand, Kind: string(at.kind), KeyID: at.id,
		Sealed: string(c.sealer.Seal(at.kind, at.brand, at.id, secret)),
		State:  string(KeyActive), Created: with.Updated.Truncate(time.Second),
		Version: with.Version, Updated: with.Updated,
	}
}

func (c *Control) openKey(row keyRow) ([]byte, error) {
	return c.sealer.Open(redirect.KeyKind(row.Kind), row.BrandID, row.KeyID, []byte(row.Sealed))
}

// storeKeys writes key rows; the first is the one that action is about. The caller holds mu.
func (c *Control) storeKeys(ctx context.Context, action string, rows ...keyRow) error {
	did := deed{action: action, object: "keys", key: rows[0].Kind + " " + rows[0].KeyID, brand: rows[0].BrandID, rows: len(rows)}
	return c.commit(ctx, write{
		inserts: []insert{insertRows("keys", "", rows)},
		learn:   func(next *catalog) { next.learnKeys(rows) },
	}, did)
}

// firstClickIDKey is the id of the cluster's first click-id key; each rotation adds one.
const firstClickIDKey = "1"

// makeClusterKeys makes, on the first start of a cluster, the keys that belong to no brand. The caller holds mu.
func (c *Control) makeClusterKeys(ctx context.Context) error {
	if _, err := c.clickIDKeys(); err != nil {
		return fmt.Errorf("another cluster secret has sealed the stored keys: %w", err)
	}
	cat, stamp := c.catalog.Load(), c.stamp()
	var missing []keyRow
	if len(cat.keysOf(0, redirect.KeyClickID)) == 0 {
		missing = append(missing, c.newKey(redirect.KeyClickID, 0, firstClickIDKey, stamp))
	}
	if len(cat.keysOf(0, redirect.KeyVisitor)) == 0 {
		missing = append(missing, c.newKey(redirect.KeyVisitor, 0, stamp.Updated.Format(time.DateOnly), stamp))
	}
	if len(missing) == 0 {
		return nil
	}
	return c.storeKeys(ctx, "new", missing...)
}

// clickIDKeys opens the cluster's click-id keys that still count, the newest first.
func (c *Control) clickIDKeys() ([]redirect.ClickIDKey, error) {
	var keys []redirect.ClickIDKey
	for _, row := range c.catalog.Load().keysOf(0, redirect.KeyClickID) {
		secret, err := c.openKey(row)
		if err != nil {
			return nil, err
		}
		key, err := redirect.NewClickIDKey(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
