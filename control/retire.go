package control

import (
	"context"
	"time"

	"carom/redirect"
)

// A Retirement is a key that becomes unknown, and what is lost with it. Nothing more is lost with one that was retired before.
type Retirement struct {
	Key
	Links      int        `json:"links" doc:"of a code key: how many links, not deleted, have codes of its slot, which are unknown without it"`
	LastActive *time.Time `json:"last_active,omitempty" doc:"of a click_id key: until when it made click ids; conversions of these clicks are refused without it. Left out where it never made one"`
}

// RetireKey makes a key unknown: the codes it has signed, the postbacks under it or the click ids it has made are
// refused from then on. Its secret is removed from its row.
func (c *Control) RetireKey(ctx context.Context, scope Scope, brand string, kind redirect.KeyKind, id string) (Retirement, error) {
	return c.retire(ctx, scope, keyName{brand, kind, id}, false)
}

// RehearseRetirement says what RetireKey would lose, and changes nothing.
func (c *Control) RehearseRetirement(ctx context.Context, scope Scope, brand string, kind redirect.KeyKind, id string) (Retirement, error) {
	return c.retire(ctx, scope, keyName{brand, kind, id}, true)
}

func (c *Control) retire(ctx context.Context, scope Scope, name keyName, rehearsal bool) (r Retirement, err error) {
	r.Key, err = c.changeKey(ctx, scope, name, "retire", func(_ *catalog, row keyRow, with stamp) (_ []keyRow, err error) {
		switch {
		case row.State == string(KeyActive) && name.kind != redirect.KeyPostback:
			return nil, ErrKeyInUse
		case row.State == string(KeyRetired):
			return nil, nil
		}
		switch name.kind {
		case redirect.KeyCode:
			r.Links, err = c.store.countLinks(ctx, "brand_id = ? AND toString(key_id) = ?", row.BrandID, row.KeyID)
		case redirect.KeyClickID:
			r.LastActive = row.lastActive()
		}
		if err != nil || rehearsal {
			return nil, err
		}
		row = row.in(KeyRetired, with)
		row.Sealed = ""
		return []keyRow{row}, nil
	})
	return r, err
}

// lastActive is when a key that only verifies gave way to another one, nil where it was never active: then its row is as it was made,
// and created in full seconds.
func (r *keyRow) lastActive() *time.Time {
	if r.Created.Equal(r.Updated.Truncate(time.Second)) {
		return nil
	}
	gaveWay := r.Updated.UTC()
	return &gaveWay
}
