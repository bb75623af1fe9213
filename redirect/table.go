package redirect

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"carom/ingest"
)

// A Table is what an edge knows, frozen: it is built once, read by every handler without a lock, and replaced as a
// whole. Tables share the pages that did not change between them.
type Table struct {
	domains  map[string]*Domain // by canonical host
	pages    []*page            // by link number / pageLinks
	slugs    map[uint64]uint32  // hash of domain and slug → link number; holds no pointer for the collector to follow
	coupons  map[uint64]uint32  // hash of brand and coupon → newest link number
	slugSeed maphash.Seed
	names    [][]byte // packed parameter names that links refer to, see packNames
	links    int

	clickIDs clickIDKeys
	visitors visitorKey
}

// A Domain is a short domain with what its answers need.
type Domain struct {
	ID          uint32
	Host        string
	Brand       *Brand
	Home        []byte // Location values, nil where the brand gave none
	Fallback    []byte
	NotFound    []byte
	SignedSlugs bool
	AppleApps   []byte // files of app links, nil where the brand gave none
	AssetLinks  []byte

	hostBytes []byte            // Host, for clicks
	keys      [KeySlots]CodeKey // of a slot without a usable key: one that signs nothing, so that checking takes as long
	usable    [KeySlots]bool
	postback  []KeyRow // the brand's keys that verify
}

// clickIDKeys are the cluster's click-id keys: ids are made with the first, any opens one.
type clickIDKeys []ClickIDKey

// open tries the keys from the newest to the oldest.
func (k clickIDKeys) open(text string) (Click, error) {
	block, err := DecodeClickID(text)
	if err != nil {
		return Click{}, err
	}
	for _, key := range k {
		if c, ok := key.Open(block); ok {
			return c, nil
		}
	}
	return Click{}, ErrClickID
}

// Ready reports whether the table can answer: it has the cluster's keys.
func (t *Table) Ready() bool { return len(t.clickIDs) > 0 && t.visitors.day != 0 }

// Links is the number of links in the table.
func (t *Table) Links() int { return t.links }

// Domain finds a short domain by its canonical host, or nil.
func (t *Table) Domain(host []byte) *Domain { return t.domains[string(host)] }

// verify reports whether code was signed for d with a key that is not retired.
func (d *Domain) verify(code Code) bool {
	slot := code.KeyID()
	return code.Verify(&d.keys[slot]) && d.usable[slot]
}

// slots is a set of key slots, one bit each.
type slots uint8

func (s slots) has(slot uint8) bool { return s>>slot&1 != 0 }

// signers are the slots whose keys, not retired, have made a slug's signature. All are tried, whatever the signature.
func (d *Domain) signers(slug, signature []byte) (s slots) {
	for slot := range d.keys {
		if d.keys[slot].VerifySlug(slug, signature) && d.usable[slot] {
			s |= 1 << slot
		}
	}
	return s
}

// pageLinks is how many consecutive link numbers share a page: what a change of one link copies.
const pageLinks = 512

// A page holds the records of pageLinks links back to back, so that a link costs its bytes and a 4-byte offset,
// and the collector sees one pointer a page.
type page struct {
	offset [pageLinks + 1]uint32
	data   []byte
}

// A record, little endian:
//
//	 0       4          8            12       16       20        24      25       26     27
//	+-------+----------+------------+--------+--------+---------+-------+--------+------+--------+
//	| brand | campaign | influencer | domain | starts | expires | flags | key id | tier | format |
//	+-------+----------+------------+--------+--------+---------+-------+--------+------+--------+
//	 28      32       34      36         38         40     41            42
//	+-------+--------+-------+----------+----------+------+-------------+--------+-------------+----------+------+----------+
//	| names | prefix | query | fragment | fallback | slug | click param | prefix | click param | fragment | slug | fallback |
//	+-------+--------+-------+----------+----------+------+-------------+--------+-------------+----------+------+----------+
//	         lengths  offset  lengths →                                  bytes →
//
// starts and expires are Unix seconds, 0 = none; names indexes Table.names; query is where in prefix the query begins.
// Of a link that is deleted or cannot be served only brand, campaign and influencer are left: its clicks may still convert.
const recordFixed = 42

const linkEnabled = 1 // flag

// record is a view of one link's bytes.
type record []byte

func (t *Table) record(number uint32) record {
	p := number / pageLinks
	if int(p) >= len(t.pages) || t.pages[p] == nil {
		return nil
	}
	pg, i := t.pages[p], number%pageLinks
	return pg.data[pg.offset[i]:pg.offset[i+1]]
}

// served reports whether there is a link to answer, and more to r than whom its clicks belong to.
func (r record) served() bool { return len(r) >= recordFixed }

func (r record) brand() uint32      { return binary.LittleEndian.Uint32(r) }
func (r record) campaign() uint32   { return binary.LittleEndian.Uint32(r[4:]) }
func (r record) influencer() uint32 { return binary.LittleEndian.Uint32(r[8:]) }
func (r record) domain() uint32     { return binary.LittleEndian.Uint32(r[12:]) }
func (r record) starts() int64      { return int64(binary.LittleEndian.Uint32(r[16:])) }
func (r record) expires() int64     { return int64(binary.LittleEndian.Uint32(r[20:])) }
func (r record) enabled() bool      { return r[24]&linkEnabled != 0 }
func (r record) keyID() uint8       { return r[25] }
func (r record) tier() ingest.Tier  { return ingest.Tier(r[26]) }
func (r record) format() ingest.Format {
	return ingest.Format(r[27])
}
func (r record) names() uint32    { return binary.LittleEndian.Uint32(r[28:]) }
func (r record) queryOffset() int { return int(binary.LittleEndian.Uint16(r[34:])) }

// location returns the fixed pieces of the link's Location.
func (r record) location() (prefix, clickParam, fragment []byte) {
	p := recordFixed + int(binary.LittleEndian.Uint16(r[32:]))
	c := p + int(r[41])
	f := c + int(binary.LittleEndian.Uint16(r[36:]))
	return r[recordFixed:p], r[p:c], r[c:f]
}

// slugAndFallback returns the link's vanity slug and fallback URL, each empty where it has none.
func (r record) slugAndFallback() (slug, fallback []byte) {
	fallbackAt := len(r) - int(binary.LittleEndian.Uint16(r[38:]))
	return r[fallbackAt-int(r[40]) : fallbackAt], r[fallbackAt:]
}

// state says whether the link redirects at a moment in Unix seconds: 0, or why not.
func (r record) state(now int64) ingest.Reasons {
	switch {
	case !r.enabled() || now < r.starts():
		return ingest.Disabled
	case r.expires() != 0 && now >= r.expires():
		return ingest.Expired
	}
	return 0
}

// slug finds a link by its vanity slug.
func (t *Table) slug(d *Domain, slug []byte) (number uint32, r record) {
	number, ok := t.slugs[slugHash(t.slugSeed, d.ID, slug)]
	if !ok {
		return 0, nil
	}
	r = t.record(number)
	if !r.served() || r.domain() != d.ID {
		return 0, nil
	}
	if s, _ := r.slugAndFallback(); string(s) != string(slug) {
		return 0, nil
	}
	return number, r
}

func slugHash(seed maphash.Seed, domain uint32, slug []byte) uint64 {
	return maphash.Bytes(seed, slug) ^ uint64(domain)*0x9e3779b97f4a7c15
}

// unixOrZero is t in Unix seconds as a record keeps it: 0 for no time, clamped to 32 bits.
func unixOrZero(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), 1<<32-1))
}
