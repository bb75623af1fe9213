package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"carom/redirect"
)

// A Key is what people may know of a key: everything but its secret.
type Key struct {
	Brand   string           `json:"brand" doc:"key of the brand, empty for the cluster"`
	Kind    redirect.KeyKind `json:"kind" enum:"code,postback,click_id,visitor"`
	ID      string           `json:"key_id"`
	State   KeyState         `json:"state" enum:"active,verify,retired"`
	Created time.Time        `json:"created"`
	Changed time.Time        `json:"changed"`
	Retired *time.Time       `json:"retired,omitempty" doc:"since when it is unknown"`
}

// Keys lists the keys that scope may see, those of one brand or one kind where these are given. Cluster keys are listed for a
// scope of all brands.
func (c *Control) Keys(scope Scope, brand string, kind redirect.KeyKind) ([]Key, error) {
	cat := c.catalog.Load()
	if brand != "" {
		if _, err := cat.visibleBrand(scope, brand); err != nil {
			return nil, err
		}
	}
	keys := []Key{}
	for _, row := range cat.keys {
		key := cat.key(row)
		if scope.Sees(key.Brand) && (brand == "" || key.Brand == brand) && (kind == "" || key.Kind == kind) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Brand, b.Brand), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return keys, nil
}

func (c *catalog) key(row keyRow) Key {
	key := Key{
		Kind: redirect.KeyKind(row.Kind), ID: row.KeyID, State: KeyState(row.State),
		Created: row.Created, Changed: row.Updated,
	}
	if brand := c.brands.byID[row.BrandID]; brand != nil {
		key.Brand = brand.Brand
	}
	if key.State == KeyRetired {
		retired := row.Updated
		key.Retired = &retired
	}
	return key
}

// visibleBrand finds a brand by key; ErrNotFound where there is none for scope.
func (c *catalog) visibleBrand(scope Scope, key string) (*brandRow, error) {
	if brand := c.brands.byKey[key]; brand != nil && scope.Sees(key) {
		return brand, nil
	}
	return nil, fmt.Errorf("brand %q: %w", key, ErrNotFound)
}

// keyOwner is the brand whose keys are meant, 0 where brand is empty and kind one of the cluster's.
func (c *catalog) keyOwner(scope Scope, brand string, kind redirect.KeyKind) (uint32, error) {
	switch kind {
	case redirect.KeyCode, redirect.KeyPostback:
		if brand == "" {
			return 0, refuse("brand", "is missing: a %s key is a brand's", kind)
		}
		row, err := c.visibleBrand(scope, brand)
		if err != nil {
			return 0, err
		}
		return row.BrandID, nil
	case redirect.KeyClickID:
		switch {
		case !scope.All:
			return 0, fmt.Errorf("%s key: it is the cluster's, for a token of all brands: %w", kind, ErrForbidden)
		case brand != "":
			return 0, refuse("brand", "must be empty: a %s key is the cluster's", kind)
		}
		return 0, nil
	}
	return 0, fmt.Errorf("%s key: %w", kind, ErrKeyKind)
}

// NewKey adds a key beside those in use and returns its secret where that is to be shown, which is now or never: for a
// postback key, which counts at once. Of the other kinds one key makes codes or click ids at a time: nodes learn the new one and it
// waits for ActivateKey.
func (c *Control) NewKey(ctx context.Context, scope Scope, brand string, kind redirect.KeyKind) (Key, string, error) {
	return c.addKey(ctx, scope, brand, kind, false)
}

// RotateKey makes a new active key; the ones before it only verify what they have made, until they are retired.
func (c *Control) RotateKey(ctx context.Context, scope Scope, brand string, kind redirect.KeyKind) (Key, string, error) {
	return c.addKey(ctx, scope, brand, kind, true)
}

// addKey makes a key, which takes over from those that are active or stands beside them.
func (c *Control) addKey(ctx context.Context, scope Scope, brand string, kind redirect.KeyKind, takesOver bool) (Key, string, error) {
	if err := c.begin(ctx); err != nil {
		return Key{}, "", err
	}
	defer c.mu.Unlock()
	cat := c.catalog.Load()
	owner, err := cat.keyOwner(scope, brand, kind)
	if err != nil {
		return Key{}, "", err
	}
	id, err := cat.freeKeyID(owner, kind)
	if err != nil {
		return Key{}, "", fmt.Errorf("%s key of brand %q: %w", kind, brand, err)
	}
	stamp := c.stamp()
	secret := newSecret(kind)
	row := c.sealKey(keyPlace{owner, kind, id}, secret, stamp)
	action, rows := "new", []keyRow{row}
	switch {
	case takesOver:
		action, rows = "rotate", append(rows, cat.yield(row.place(), stamp)...)
	case kind != redirect.KeyPostback:
		rows[0].State = string(KeyVerify)
	}
	if err := c.storeKeys(ctx, action, rows...); err != nil {
		return Key{}, "", err
	}
	shown := ""
	if kind == redirect.KeyPostback {
		shown = string(secret)
	}
	return c.catalog.Load().key(rows[0]), shown, nil
}

// yield is the rows of all active keys that only verify once another one of their owner and kind takes over.
func (c *catalog) yield(to keyPlace, with stamp) (rows []keyRow) {
	for _, row := range c.keysOf(to.brand, to.kind) {
		if row.State == string(KeyActive) && row.place() != to {
			rows = append(rows, row.in(KeyVerify, with))
		}
	}
	return rows
}

// freeKeyID is the id of a new key: a signing slot that holds none or a retired one, otherwise the next number. The error is ErrNoSlot
// or ErrManyKeys.
func (c *catalog) freeKeyID(brand uint32, kind redirect.KeyKind) (string, error) {
	if kind != redirect.KeyCode && len(c.keysOf(brand, kind)) >= mostKeys {
		return "", ErrManyKeys
	}
	for n := 0; ; n++ {
		if kind == redirect.KeyCode && n == redirect.KeySlots {
			return "", ErrNoSlot
		}
		id := strconv.Itoa(n)
		row, used := c.keys[keyPlace{brand, kind, id}]
		switch {
		case kind == redirect.KeyCode && (!used || row.State == string(KeyRetired)):
			return id, nil
		case kind != redirect.KeyCode && !used && n > 0:
			return id, nil
		}
	}
}

// ActivateKey lets a key that only verifies take over, one that was made before or was active once. An active one changes nothing
// unless others are active, too.
func (c *Control) ActivateKey(ctx context.Context, scope Scope, brand string, kind redirect.KeyKind, id string) (Key, error) {
	return c.changeKey(ctx, scope, keyName{brand, kind, id}, "rotate", func(cat *catalog, row keyRow, with stamp) ([]keyRow, error) {
		if row.State == string(KeyRetired) {
			return nil, ErrKeyRetired
		}
		others := cat.yield(row.place(), with)
		if row.State == string(KeyActive) && len(others) == 0 {
			return nil, nil
		}
		return append([]keyRow{row.in(KeyActive, with)}, others...), nil
	})
}

// A keyName is how people name a key.
type keyName struct {
	brand string // empty for the cluster's
	kind  redirect.KeyKind
	id    string
}

func (n keyName) String() string {
	if n.brand == "" {
		return fmt.Sprintf("%s key %q of the cluster", n.kind, n.id)
	}
	return fmt.Sprintf("%s key %q of brand %q", n.kind, n.id, n.brand)
}

// changeKey stores what change makes of a key: its row first, or nothing.
func (c *Control) changeKey(ctx context.Context, scope Scope, name keyName, action string,
	change func(cat *catalog, row keyRow, with stamp) ([]keyRow, error),
) (Key, error) {
	if err := c.begin(ctx); err != nil {
		return Key{}, err
	}
	defer c.mu.Unlock()
	cat := c.catalog.Load()
	owner, err := cat.keyOwner(scope, name.brand, name.kind)
	if err != nil {
		return Key{}, err
	}
	row, ok := cat.keys[keyPlace{owner, name.kind, name.id}]
	if !ok {
		return Key{}, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	rows, err := change(cat, row, c.stamp())
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) == 0 {
		return cat.key(row), nil
	}
	if err := c.storeKeys(ctx, action, rows...); err != nil {
		return Key{}, err
	}
	return c.catalog.Load().key(rows[0]), nil
}
