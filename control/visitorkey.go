package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"carom/redirect"
)

// visitorRetry is how soon the visitor key is tried again when ClickHouse did not take it. Edges go on with the key that
// they have derived themselves.
const visitorRetry = time.Minute

// turnVisitorKeys replaces the visitor key at every change of the UTC day until ctx is done.
func (c *Control) turnVisitorKeys(ctx context.Context) {
	for {
		now := c.cfg.Now().UTC()
		wait := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
		if err := c.turnVisitorKey(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("visitor key of the day not stored, trying again", "err", err, "in", visitorRetry)
			wait = visitorRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// turnVisitorKey derives today's key from the newest one, stores it, and removes the older ones for good: with them
// erased, the visitor hashes of past days can no longer be tied to an address.
func (c *Control) turnVisitorKey(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	defer c.mu.Unlock()
	stamp := c.stamp()
	today := stamp.Updated.Format(time.DateOnly)
	newest := slices.MaxFunc(c.catalog.Load().keysOf(0, redirect.KeyVisitor), func(a, b keyRow) int {
		return strings.Compare(a.KeyID, b.KeyID)
	})
	if newest.KeyID < today {
		key, err := c.visitorKeyOf(newest, stamp.Updated)
		if err != nil {
			return err
		}
		if err := c.storeKeys(ctx, "rotate", c.sealKey(keyPlace{0, redirect.KeyVisitor, today}, key, stamp)); err != nil {
			return err
		}
	}
	return c.eraseVisitorKeys(ctx, max(newest.KeyID, today))
}

// visitorKeyOf derives the key of a later day from an older one.
func (c *Control) visitorKeyOf(old keyRow, day time.Time) ([]byte, error) {
	from, err := time.Parse(time.DateOnly, old.KeyID)
	if err != nil {
		return nil, fmt.Errorf("visitor key %q: its id is not a day: %w", old.KeyID, err)
	}
	key, err := c.openKey(old)
	if err != nil {
		return nil, err
	}
	for d := from.AddDate(0, 0, 1); !d.After(day); d = d.AddDate(0, 0, 1) {
		key = redirect.NextVisitorKey(key)
	}
	return key, nil
}

// eraseVisitorKeys removes the keys of the days before newest from memory and from disk. The caller holds mu.
func (c *Control) eraseVisitorKeys(ctx context.Context, newest string) error {
	next := *c.catalog.Load()
	old := next.withoutVisitorKeys(newest)
	if old == 0 {
		return nil
	}
	if err := c.store.fence(ctx); err != nil {
		return err
	}
	err := c.store.conn.Exec(ctx, "ALTER TABLE keys DELETE WHERE kind = 'visitor' AND key_id < ? SETTINGS mutations_sync = 1", newest)
	if err != nil {
		return fmt.Errorf("erase visitor keys older than %s: %w", newest, err)
	}
	c.catalog.Store(&next)
	return nil
}

// withoutVisitorKeys drops the visitor keys of the days before newest and says how many there were.
func (c *catalog) withoutVisitorKeys(newest string) int {
	kept := make(map[keyPlace]keyRow, len(c.keys))
	for place, row := range c.keys {
		if place.kind != redirect.KeyVisitor || place.id >= newest {
			kept[place] = row
		}
	}
	dropped := len(c.keys) - len(kept)
	c.keys = kept
	return dropped
}
