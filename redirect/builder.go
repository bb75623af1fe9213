package redirect

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"

	"carom/redirect/pages"
)

// A Builder makes tables out of reference data and its changes. It belongs to one goroutine; each Table it returns is
// frozen and may be read while the builder goes on.
//
// Objects are given parents first: brand, then domain and campaign, influencer, then link. A change of a brand, a campaign
// or an influencer changes the answers of all their links at once; Stale names the few links that have to be given again.
type Builder struct {
	brands    map[uint32]*Brand
	domains   map[uint32]DomainRow
	campaigns map[uint32]Campaign
	keys      map[keyPlace]KeyRow

	links, groups, creators pages.Writer
	templates               pages.Writer // see Table
	slugs, coupons          *pages.IndexWriter
	groupOf                 map[groupKey]uint32  // group numbers, from 1
	recompile               map[groupParent]bool // brands and campaigns that changed since their groups were compiled
	orphans                 map[uint64]bool      // hashes of coupons whose newest link went away
	stale                   Stale
	scratch                 []byte
	hashed                  []byte            // scratch of hashes
	sums                    []tableSum        // of links, by part, deleted ones too
	creatorVersions         map[uint32]uint64 // of the creators that were given; a snapshot has none

	table  Table  // what the last Table returned, or will
	rehost bool   // domains, brands or keys changed
	nobody []byte // secret of the key that stands for missing ones
}

type keyPlace struct {
	brand uint32
	kind  KeyKind
	id    string
}

// Stale names links that must be given again, because a record holds too little to follow a change.
type Stale struct {
	Brands, Campaigns []uint32 // links of these with a destination, UTM values or a fallback of their own
	Keyless           []uint32 // all links of these campaigns: their UTM templates name {link}, and their records may lack its key
}

// ErrReference is wrapped when an object names another that the builder has not been given.
var ErrReference = errors.New("unknown reference")

// NewBuilder starts with an empty table.
func NewBuilder() *Builder {
	nobody, key := make([]byte, 32), make([]byte, 16)
	_, _ = rand.Read(nobody) // never fails, see crypto/rand
	_, _ = rand.Read(key)
	b := &Builder{
		brands: map[uint32]*Brand{}, domains: map[uint32]DomainRow{}, campaigns: map[uint32]Campaign{}, keys: map[keyPlace]KeyRow{},
		groupOf: map[groupKey]uint32{}, recompile: map[groupParent]bool{}, orphans: map[uint64]bool{}, creatorVersions: map[uint32]uint64{}, nobody: nobody,
		table: Table{
			domains: map[string]*Domain{},
			key:     indexKey{binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])},
		},
	}
	b.slugs = pages.NewIndexWriter(func(number uint32) uint64 { return b.slugHash(b.links.At(number)) })
	b.coupons = pages.NewIndexWriter(func(number uint32) uint64 { return b.couponHash(b.links.At(number)) })
	return b
}

// SetBrand adds, changes or deletes a brand.
func (b *Builder) SetBrand(v Brand) {
	b.rehost = true
	b.recompile[groupParent{brand: v.ID}] = true
	b.stale.Brands = append(b.stale.Brands, v.ID)
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
func (b *Builder) SetInfluencer(v Influencer) {
	set(b.creatorVersions, v.ID, v.Version, v.Deleted)
	var c creator
	if !v.Deleted {
		c = appendCreator(b.scratch[:0], v.Tier, v.Enabled, url.QueryEscape(v.Platform), url.QueryEscape(v.Key))
		b.scratch = c
	}
	if !bytes.Equal(b.creators.At(v.ID), c) {
		b.creators.Set(v.ID, c)
	}
}

// SetCampaign adds, changes or deletes a campaign.
func (b *Builder) SetCampaign(v Campaign) {
	if CheckClickIDParam(v.ClickIDParam) != nil {
		v.ClickIDParam = defaultClickIDParam
	}
	b.recompile[groupParent{campaign: v.ID}] = true
	old, known := b.campaigns[v.ID]
	b.stale.Campaigns = append(b.stale.Campaigns, v.ID)
	if v.UTM.names("link") && (!known || !old.UTM.names("link")) {
		b.stale.Keyless = append(b.stale.Keyless, v.ID)
	}
	set(b.campaigns, v.ID, v, v.Deleted)
	if v.Deleted {
		b.templates.Set(v.ID, nil)
	}
}

func set[K comparable, V any](m map[K]V, key K, value V, gone bool) {
	if gone {
		delete(m, key)
		return
	}
	m[key] = value
}

// Stale lists what has to be given again because of the changes since Refreshed was called.
func (b *Builder) Stale() Stale { return b.stale }

// Refreshed says that everything Stale has named was given.
func (b *Builder) Refreshed() { b.stale = Stale{} }

// SetLink adds, changes or deletes a link. An error says that an edge will not answer it as it is: to an edge, a link that it
// does not understand does not exist. Conversions of its earlier clicks are attributed all the same.
func (b *Builder) SetLink(v LinkRow) error {
	if v.ID == 0 || v.ID > MaxLink {
		return fmt.Errorf("link %q has number %d: 1 to %d are possible", v.Key, v.ID, MaxLink)
	}
	number, err := b.group(groupKey{v.Brand, v.Campaign, v.Domain, v.KeyID, v.Format})
	if err != nil {
		return fmt.Errorf("link %q (number %d): %w", v.Key, v.ID, err)
	}
	l, err := b.encode(v, number)
	if err != nil {
		l = appendGone(b.scratch[:0], number, v.Influencer, v.Coupon)
	}
	l = b.withSum(&v, l)
	b.scratch = l
	b.replace(v.ID, l)
	if err == nil && !v.Deleted {
		err = b.answerable(v, l)
	}
	if err != nil {
		return fmt.Errorf("link %q (number %d): %w", v.Key, v.ID, err)
	}
	return nil
}

const maxText = 255 // escaped key, coupon, click parameter: what a byte of length can say

// encode makes a link's record in b.scratch.
func (b *Builder) encode(v LinkRow, number uint32) (link, error) {
	if v.Deleted {
		return appendGone(b.scratch[:0], number, v.Influencer, ""), nil
	}
	g := group(b.groups.At(number))
	x := linkTexts{slug: []byte(v.Slug), coupon: []byte(v.Coupon)}
	if brand := b.brands[v.Brand]; brand != nil && v.Fallback != "" {
		f, err := CheckDestination(v.Fallback, brand.Policy)
		if err != nil {
			return nil, fmt.Errorf("fallback: %w", err)
		}
		x.fallback = []byte(f.URL)
	}
	if campaign, known := b.campaigns[v.Campaign]; known {
		if err := b.ownParts(&x, v, campaign, g); err != nil {
			return nil, err
		}
		if v.UTM.Or(campaign.UTM).names("link") {
			x.key = []byte(url.QueryEscape(v.Key))
		}
	} else {
		x.key = []byte(url.QueryEscape(v.Key)) // the campaign may come yet
	}
	if len(v.Slug) > MaxSlug || len(x.key) > maxText || len(v.Coupon) > maxText ||
		len(x.head)+len(x.tail)+len(x.fallback) > pages.MaxItem-maxFixed-4*maxText-linkSum {
		return nil, fmt.Errorf("%w: its location does not fit a record", ErrDestination)
	}
	return appendLink(b.scratch[:0], number, v.Influencer, unixOrZero(v.Starts), unixOrZero(v.Expires), v.Enabled, x), nil
}

// ownParts fills in head and tail of a link that has a destination or UTM values of its own, where they differ from its
// group's.
func (b *Builder) ownParts(x *linkTexts, v LinkRow, campaign Campaign, g group) error {
	brand := b.brands[v.Brand]
	if brand == nil || v.Destination == "" && v.UTM == (UTM{}) {
		return nil
	}
	raw := v.Destination
	if raw == "" {
		raw = campaign.Destination
	}
	destination, err := CheckDestination(raw, brand.Policy)
	if err != nil {
		return err
	}
	utm := v.UTM.Or(campaign.UTM)
	if h := head(destination.URL, utm, campaign.ClickIDParam); !g.is(groupHead) || h != string(g.head()) {
		x.head = []byte(h)
	}
	if v.UTM == (UTM{}) && g.is(groupTail) {
		return nil
	}
	tail, err := compileTail(utm, constants{brand.Key, campaign.Key, v.Format.String()})
	if err != nil {
		return err
	}
	if !g.is(groupTail) || !bytes.Equal(tail, g.tail()) {
		x.tail = tail
	}
	return nil
}

// answerable says why a link that was encoded will not be answered, or nil.
func (b *Builder) answerable(v LinkRow, l link) error {
	g, x := group(b.groups.At(l.group())), l.texts()
	if len(b.creators.At(v.Influencer)) == 0 || !g.is(groupKnown) {
		return fmt.Errorf("%w: campaign %d, influencer %d or brand %d", ErrReference, v.Campaign, v.Influencer, v.Brand)
	}
	if len(x.head) == 0 && !g.is(groupHead) || len(x.tail) == 0 && !g.is(groupTail) {
		_, err := b.compile(g.key())
		return err
	}
	return nil
}

// replace gives a link its new record and keeps indexes and the count in step.
func (b *Builder) replace(number uint32, l link) {
	old := link(b.links.At(number))
	if bytes.Equal(old, l) {
		return
	}
	sum := b.part(number >> partBits)
	if len(old) == 0 {
		b.table.known++
	} else {
		sum.remove(b.linkHash(number, old))
	}
	sum.add(b.linkHash(number, l))
	var oldSlug, oldCoupon uint64
	var hadSlug, hadCoupon, sameSlug, sameCoupon bool
	if len(old) > 0 {
		was, is := old.texts(), l.texts()
		hadSlug, hadCoupon = len(was.slug) > 0, len(was.coupon) > 0
		oldSlug, oldCoupon = b.slugHash(old), b.couponHash(old)
		sameSlug = hadSlug && bytes.Equal(was.slug, is.slug) && oldSlug == b.slugHash(l)
		sameCoupon = hadCoupon && bytes.Equal(was.coupon, is.coupon) && oldCoupon == b.couponHash(l)
		if !old.gone() {
			b.table.count--
		}
	}
	if !l.gone() {
		b.table.count++
	}
	b.links.Set(number, l) // before the indexes change: they look at records while they grow
	if hadSlug && !sameSlug {
		b.slugs.Remove(oldSlug, number)
	}
	if hadCoupon && !sameCoupon {
		b.removeCoupon(oldCoupon, number)
	}
	x := l.texts()
	if len(x.slug) > 0 && !sameSlug {
		b.slugs.Add(b.slugHash(l), number)
	}
	if len(x.coupon) > 0 && !sameCoupon {
		b.addCoupon(number)
	}
}

// slugHash is that of a link's slug on its domain.
func (b *Builder) slugHash(l link) uint64 {
	return b.table.key.hash(group(b.groups.At(l.group())).domain(), l.texts().slug)
}

// Table freezes what the builder holds.
func (b *Builder) Table() *Table {
	b.compileGroups()
	b.adoptOrphans()
	b.table.links, b.table.groups, b.table.creators = b.links.Freeze(), b.groups.Freeze(), b.creators.Freeze()
	b.table.templates = b.templates.Freeze()
	b.table.slugs, b.table.coupons = b.slugs.Freeze(), b.coupons.Freeze()
	if b.rehost {
		b.table.domains = b.hosts()
		b.table.clickIDs = b.clickIDKeys()
		b.table.visitors = b.visitorKey()
		b.rehost = false
	}
	t := b.table
	return &t
}

// Bytes is how much memory outside the Go heap the tables' links take, with all that is looked up for them.
func (b *Builder) Bytes() int {
	return b.links.Bytes() + b.groups.Bytes() + b.creators.Bytes() + b.templates.Bytes() + b.slugs.Bytes() + b.coupons.Bytes()
}
