package redirect

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// hosts builds the domains with their brand's keys.
func (b *Builder) hosts() map[string]*Domain {
	hosts := make(map[string]*Domain, len(b.domains))
	for _, row := range b.domains {
		brand := b.brands[row.Brand]
		if brand == nil {
			continue
		}
		d := &Domain{
			ID: row.ID, Host: row.Host, hostBytes: []byte(row.Host), Brand: brand, SignedSlugs: row.SignedSlugs,
			Home: locationValue(row.Home), Fallback: locationValue(row.Fallback), NotFound: locationValue(row.NotFound),
			AppleApps: jsonFile(row.AppleApps), AssetLinks: jsonFile(row.AssetLinks),
		}
		for slot := range d.keys {
			secret := b.nobody
			if k, ok := b.keys[keyPlace{row.Brand, KeyCode, string(rune('0' + slot))}]; ok {
				secret, d.usable[slot] = k.Secret, true
			}
			d.keys[slot] = NewCodeKey(secret, row.Host)
		}
		for place, k := range b.keys {
			if place.brand == row.Brand && place.kind == KeyPostback {
				d.postback = append(d.postback, k)
			}
		}
		hosts[row.Host] = d
	}
	return hosts
}

// locationValue checks a domain's own URL once more; one that does not pass is as good as none.
func locationValue(url string) []byte {
	d, err := CheckDestination(url, DestinationPolicy{})
	if err != nil {
		return nil
	}
	return []byte(d.URL)
}

// jsonFile is a file to publish, checked once more.
func jsonFile(text string) []byte {
	if !json.Valid([]byte(text)) {
		return nil
	}
	return []byte(text)
}

// clickIDKeys lists the cluster's keys, active ones first, then the newest: ids are numbers.
func (b *Builder) clickIDKeys() (keys clickIDKeys) {
	var rows []KeyRow
	for place, k := range b.keys {
		if place.brand == 0 && place.kind == KeyClickID {
			rows = append(rows, k)
		}
	}
	slices.SortFunc(rows, func(x, y KeyRow) int {
		if x.Active != y.Active {
			if x.Active {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(len(y.ID), len(x.ID)), cmp.Compare(y.ID, x.ID))
	})
	for _, k := range rows {
		if key, err := NewClickIDKey(k.Secret); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// visitorKey is the newest day's key.
func (b *Builder) visitorKey() visitorKey {
	var newest visitorKey
	for place, k := range b.keys {
		if place.brand != 0 || place.kind != KeyVisitor {
			continue
		}
		day, err := time.Parse(time.DateOnly, place.id)
		if err == nil && len(k.Secret) == VisitorKeyLen && dayOf(day.Unix()) > newest.day {
			newest = visitorKey{day: dayOf(day.Unix()), secret: k.Secret}
		}
	}
	return newest
}
