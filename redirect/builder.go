package redirect

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"carom/ingest/huge"
)

// A Builder makes tables out of reference data and its changes. It belongs to one goroutine; each Table it returns is
// frozen and may be read while the builder goes on.
//
// Objects are given parents first: brand, then domain and campaign, influencer, then link. A changed campaign,
// influencer or brand does not change links built before: give those again.
type Builder struct {
	brands      map[uint32]*Brand
	domains     map[uint32]DomainRow
	campaigns   map[uint32]Campaign
	influencers map[uint32]Influencer
	keys        map[keyPlace]KeyRow

	table     Table                        // what the last Table returned, or will
	edits     map[uint32]map[uint32]record // page → place in page → new record, nil = gone
	namesByID map[string]uint32
	slugs     map[uint64]uint32 // changes to table.slugs; 0 = gone
	couponOf  map[uint32]uint64 // link number → hash of its coupon, of links that have one
	recoupon  bool              // couponOf changed
	rehost    bool              // domains, brands or keys changed
	nobody    []byte            // secret of the key that stands for missing ones
	now       func() time.Time
}

type keyPlace struct {
	brand uint32
	kind  KeyKind
	id    string
}

// ErrReference is wrapped when an object names another that the builder has not been given.
var ErrReference = errors.New("unknown reference")

// NewBuilder starts with an empty table.
func NewBuilder() *Builder {
	nobody := make([]byte, 32)
	_, _ = rand.Read(nobody) // never fails, see crypto/rand
	return &Builder{
		brands: map[uint32]*Brand{}, domains: map[uint32]DomainRow{}, campaigns: map[uint32]Campaign{},
		influencers: map[uint32]Influencer{}, keys: map[keyPlace]KeyRow{},
		table: Table{domains: map[string]*Domain{}, slugs: map[uint64]uint32{}, slugSeed: maphash.MakeSeed()},
		edits: map[uint32]map[uint32]record{}, namesByID: map[string]uint32{}, slugs: map[uint64]uint32{},
		couponOf: map[uint32]uint64{}, nobody: nobody, now: time.Now,
	}
}

// SetBrand adds, changes or deletes a brand.
func (b *Builder) SetBrand(v Brand) {
	b.rehost = true
	set(b.brands, v.ID, &v, v.Deleted)
}

// SetDomain adds, changes or deletes a short domain.
func (b *Builder) SetDomain(v DomainRow) {
	b.rehost = true
	set(b.domains, v.ID, v, v.Deleted)
}

// SetKey adds, changes or retires a key.
func (b *Builder) SetKey(v KeyRow) {
	b.rehost = true
	set(b.keys, keyPlace{v.Brand, v.Kind, v.ID}, v, v.Retired)
}

// SetInfluencer adds, changes or deletes a creator.
func (b *Builder) SetInfluencer(v Influencer) { set(b.influencers, v.ID, v, v.Deleted) }

// SetCampaign adds, changes or deletes a campaign.
func (b *Builder) SetCampaign(v Campaign) { set(b.campaigns, v.ID, v, v.Deleted) }

func set[K comparable, V any](m map[K]V, key K, value V, gone bool) {
	if gone {
		delete(m, key)
		return
	}
	m[key] = value
}

// HasBrand tells a change of a brand that the builder holds from a new one.
func (b *Builder) HasBrand(id uint32) bool { return has(b.brands, id) }

// HasInfluencer is HasBrand for a creator.
func (b *Builder) HasInfluencer(id uint32) bool { return has(b.influencers, id) }

// HasCampaign is HasBrand for a campaign.
func (b *Builder) HasCampaign(id uint32) bool { return has(b.campaigns, id) }

func has[V any](m map[uint32]V, id uint32) bool {
	_, known := m[id]
	return known
}

// SetLink adds, changes or deletes a link. An error leaves the link out of the table: an edge that does not understand a
// link answers as if it did not exist. Conversions of its earlier clicks are attributed all the same.
func (b *Builder) SetLink(v LinkRow) error {
	if v.ID == 0 || v.ID > MaxLink {
		return fmt.Errorf("link %q has number %d: 1 to %d are possible", v.Key, v.ID, MaxLink)
	}
	r, err := b.record(v)
	if err != nil {
		err = fmt.Errorf("link %q (number %d): %w", v.Key, v.ID, err)
	}
	if r == nil {
		r = appendAttribution(nil, v)
	}
	b.replace(v.ID, r)
	b.setCoupon(v)
	return err
}

// record encodes a link, nil for a deleted one.
func (b *Builder) record(v LinkRow) (record, error) {
	campaign, ok := b.campaigns[v.Campaign]
	influencer, ok2 := b.influencers[v.Influencer]
	brand, ok3 := b.brands[v.Brand]
	if v.Deleted {
		return nil, nil
	}
	if !ok || !ok2 || !ok3 {
		return nil, fmt.Errorf("%w: campaign %d, influencer %d or brand %d", ErrReference, v.Campaign, v.Influencer, v.Brand)
	}
	raw := v.Destination
	if raw == "" {
		raw = campaign.Destination
	}
	destination, err := CheckDestination(raw, brand.Policy)
	if err != nil {
		return nil, err
	}
	loc, err := NewLocation(destination.URL, v.UTM.Or(campaign.UTM), TemplateValues{
		Brand: brand.Key, Campaign: campaign.Key, Influencer: influencer.Key, Link: v.Key,
		Platform: influencer.Platform, ContentFormat: v.Format.String(),
	}, campaign.ClickIDParam)
	if err != nil {
		return nil, err
	}
	fallback := ""
	if v.Fallback != "" {
		f, err := CheckDestination(v.Fallback, brand.Policy)
		if err != nil {
			return nil, fmt.Errorf("fallback: %w", err)
		}
		fallback = f.URL
	}
	if len(loc.Prefix) > 1<<16-1 || len(loc.Fragment) > 1<<16-1 || len(loc.ClickParam) > 255 || len(v.Slug) > maxSlug {
		return nil, fmt.Errorf("%w: its location does not fit a record", ErrDestination)
	}

	starts, expires := max(unixOrZero(v.Starts), unixOrZero(campaign.Starts)), unixOrZero(v.Expires)
	if ends := unixOrZero(campaign.Ends); ends != 0 && (expires == 0 || ends < expires) {
		expires = ends
	}
	var flags byte
	if v.Enabled && campaign.Enabled && influencer.Enabled {
		flags = linkEnabled
	}
	le := binary.LittleEndian
	r := make([]byte, 0, recordFixed+len(loc.Prefix)+len(loc.ClickParam)+len(loc.Fragment)+len(v.Slug)+len(fallback))
	r = appendAttribution(r, v)
	for _, n := range [...]uint32{v.Domain, starts, expires} {
		r = le.AppendUint32(r, n)
	}
	r = append(r, flags, v.KeyID, byte(influencer.Tier), byte(v.Format))
	r = le.AppendUint32(r, b.internNames(loc.Names))
	r = le.AppendUint16(r, uint16(len(loc.Prefix)))
	r = le.AppendUint16(r, uint16(strings.IndexByte(loc.Prefix, '?')+1))
	r = le.AppendUint16(r, uint16(len(loc.Fragment)))
	r = le.AppendUint16(r, uint16(len(fallback)))
	r = append(r, byte(len(v.Slug)), byte(len(loc.ClickParam)))
	for _, s := range [...]string{loc.Prefix, loc.ClickParam, loc.Fragment, v.Slug, fallback} {
		r = append(r, s...)
	}
	return r, nil
}

const maxSlug = 64

// appendAttribution appends the part of a record that says who has earned a click.
func appendAttribution(dst record, v LinkRow) record {
	for _, n := range [...]uint32{v.Brand, v.Campaign, v.Influencer} {
		dst = binary.LittleEndian.AppendUint32(dst, n)
	}
	return dst
}

// internNames numbers a set of parameter names: a campaign's links share one.
func (b *Builder) internNames(names []string) uint32 {
	packed := packNames(names)
	id, known := b.namesByID[string(packed)]
	if !known {
		id = uint32(len(b.table.names))
		b.namesByID[string(packed)] = id
		b.table.names = append(b.table.names, packed)
	}
	return id
}

// current is the link's record as the next Table will hold it.
func (b *Builder) current(number uint32) record {
	if r, edited := b.edits[number/pageLinks][number%pageLinks]; edited {
		return r
	}
	return b.table.record(number)
}

// replace notes the link's new record and keeps slugs and the count in step.
func (b *Builder) replace(number uint32, r record) {
	old := b.current(number)
	if bytes.Equal(old, r) {
		return
	}
	if old.served() {
		b.table.links--
		if slug, _ := old.slugAndFallback(); len(slug) > 0 {
			// Another link may have taken the slug over already: changes come in any order.
			if hash := slugHash(b.table.slugSeed, old.domain(), slug); b.slugOwner(hash) == number {
				b.slugs[hash] = 0
			}
		}
	}
	if r.served() {
		b.table.links++
		if slug, _ := r.slugAndFallback(); len(slug) > 0 {
			b.slugs[slugHash(b.table.slugSeed, r.domain(), slug)] = number
		}
	}
	p := number / pageLinks
	if b.edits[p] == nil {
		b.edits[p] = map[uint32]record{}
	}
	b.edits[p][number%pageLinks] = r
}

// slugOwner is the link that the next Table will find by a slug's hash, 0 for none.
func (b *Builder) slugOwner(hash uint64) uint32 {
	if number, edited := b.slugs[hash]; edited {
		return number
	}
	return b.table.slugs[hash]
}

// Table freezes what the builder holds.
func (b *Builder) Table() *Table {
	if len(b.edits) > 0 {
		memory := b.firstMemory()
		b.table.pages = slices.Clone(b.table.pages)
		for p, edits := range b.edits {
			for int(p) >= len(b.table.pages) {
				b.table.pages = append(b.table.pages, nil)
			}
			b.table.pages[p], memory = rebuild(b.table.pages[p], edits, memory)
		}
		clear(b.edits)
	}
	if len(b.slugs) > 0 {
		b.table.slugs = maps.Clone(b.table.slugs)
		for hash, number := range b.slugs {
			set(b.table.slugs, hash, number, number == 0)
		}
		clear(b.slugs)
	}
	if b.recoupon {
		b.table.coupons = b.coupons()
		b.recoupon = false
	}
	if b.rehost {
		b.table.domains = b.hosts()
		b.table.clickIDs = b.clickIDKeys()
		b.table.visitors = b.visitorKey()
		b.rehost = false
	}
	b.table.names = slices.Clip(b.table.names) // the next append moves it, readers keep theirs
	t := b.table
	return &t
}

// firstMemory is room for the records of the first table, which holds nearly all there will be: a link at random costs two
// translation misses less in huge pages. It lives as long as the process, so what is changed later lies on the Go heap.
func (b *Builder) firstMemory() []byte {
	if len(b.table.pages) > 0 {
		return nil
	}
	size := 0
	for _, edits := range b.edits {
		for _, r := range edits {
			size += len(r)
		}
	}
	return huge.Bytes(size)
}

// rebuild copies a page with the edits in place, into the front of memory where there is some, and returns the rest of that.
func rebuild(old *page, edits map[uint32]record, memory []byte) (pg *page, rest []byte) {
	at := func(i uint32) record {
		if r, edited := edits[i]; edited {
			return r
		}
		if old == nil {
			return nil
		}
		return old.data[old.offset[i]:old.offset[i+1]]
	}
	pg = &page{}
	for i := range uint32(pageLinks) {
		pg.offset[i+1] = pg.offset[i] + uint32(len(at(i)))
	}
	size := pg.offset[pageLinks]
	if memory != nil {
		pg.data, rest = memory[:0:size], memory[size:]
	} else {
		pg.data = make([]byte, 0, size)
	}
	for i := range uint32(pageLinks) {
		pg.data = append(pg.data, at(i)...)
	}
	return pg, rest
}

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
