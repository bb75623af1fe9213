package redirect

import (
	"time"

	"github.com/dchest/siphash"

	"carom/ingest"
	"carom/redirect/pages"
)

// A Table is what an edge knows, frozen: it is built once, read by every handler without a lock, and replaced as a
// whole. Tables share what did not change between them.
//
// Links, groups and creators lie outside the Go heap for as long as a table refers to them: who reads one must keep the
// table alive until done with it.
type Table struct {
	domains  map[string]*Domain // by canonical host
	links    pages.View         // link records by link number, see link
	groups   pages.View         // by the number in a link
	creators pages.View         // by influencer id
	// templates are groups of links that only their token knows, by campaign id: of no domain, key or format.
	templates pages.View
	slugs     pages.Index // link numbers by indexKey.hash of domain and slug
	coupons   pages.Index // newest link numbers by indexKey.hash of brand and coupon
	key       indexKey
	count     int // of links that are not gone
	known     int // of all that were ever given

	clickIDs clickIDKeys
	visitors visitorKey
}

// indexKey makes what is looked up by name unpredictable, so that nobody can choose names that fall into one bucket.
type indexKey [2]uint64

// hash is that of a slug of a domain, or of a coupon of a brand.
func (k indexKey) hash(owner uint32, name []byte) uint64 {
	return siphash.Hash(k[0], k[1]^uint64(owner), name)
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

// Links is the number of links in the table. Those that a missing campaign or creator keeps from being answered count.
func (t *Table) Links() int { return t.count }

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

// link is the record of a number, nil where there is none.
func (t *Table) link(number uint32) link { return t.links.At(number) }

// An attribution says who has earned a click.
type attribution struct{ brand, campaign, influencer uint32 }

// attribution is that of a link; false for a number that was never a link's. It is known of deleted links too.
func (t *Table) attribution(number uint32) (a attribution, known bool) {
	l := t.link(number)
	if len(l) == 0 {
		return a, false
	}
	g := group(t.groups.At(l.group()))
	return attribution{g.brand(), g.campaign(), l.influencer()}, true
}

// A resolved link is all that answering a click needs.
type resolved struct {
	domain  *Domain
	number  uint32
	link    link
	group   group
	creator creator
	slug    []byte   // as requested; empty for a code
	subs    [][]byte // of a token, sub1 first; empty where it has none, nil for other links

	made *tokenLink // of the first token on, which stays for those to come
}

// answered reads the link of a number into r; false where there is none on d, or something that it needs is missing.
func (t *Table) answered(r *resolved, d *Domain, number uint32) bool {
	l := t.link(number)
	if l.gone() {
		return false
	}
	g, c := group(t.groups.At(l.group())), creator(t.creators.At(l.influencer()))
	r.domain, r.number, r.link, r.group, r.creator, r.slug, r.subs = d, number, l, g, c, nil, nil
	if len(c) == 0 || !g.is(groupKnown) || g.domain() != d.ID {
		return false
	}
	if g.is(groupHead) && g.is(groupTail) {
		return true
	}
	_, tail, head := l.own()
	return (g.is(groupHead) || len(head) > 0) && (g.is(groupTail) || len(tail) > 0)
}

// bySlug is answered for a vanity slug.
func (t *Table) bySlug(r *resolved, d *Domain, slug []byte) bool {
	for candidates := t.slugs.Find(t.key.hash(d.ID, slug)); ; {
		number, more := candidates.Next()
		if !more {
			return false
		}
		if t.answered(r, d, number) && string(r.link.texts().slug) == string(slug) {
			r.slug = slug
			return true
		}
	}
}

// A location is the beginning of a Location header, up to what the visitor brings.
type location struct {
	text     []byte // ends in "?" or "&"
	queryAt  int    // where its parameters begin
	fragment []byte // "#…", which ends the Location; or empty
	shared   bool   // head and tail are the group's, and so are the names of the parameters
}

// appendLocation appends the link's Location up to what the visitor brings.
func (r *resolved) appendLocation(dst []byte) (l location) {
	key, tail, head := r.link.own()
	l.shared = len(head)+len(tail) == 0
	var address []byte
	if len(head) > 0 {
		address, l.fragment, l.queryAt = cutHead(head)
	} else {
		address, l.fragment, l.queryAt = r.group.cutHead()
	}
	if len(tail) == 0 {
		tail = r.group.tail()
	}
	l.text = appendTail(append(dst, address...), tail, r.creator, key)
	if r.subs != nil {
		l.text, l.shared = appendSubs(l.text, l.queryAt, r.subs), false
	}
	return l
}

// storedNames are the packed names of a location's parameters: all those of the group, or else what the location says. scratch
// is memory for these.
func (r *resolved) storedNames(l location, all []byte, scratch *[]byte) []byte {
	if l.shared {
		return all
	}
	*scratch = appendNames(append((*scratch)[:0], r.group.clickIDNames(all)...), l.text[l.queryAt:])
	return *scratch
}

// state says whether the link redirects at a moment in Unix seconds: 0, or why not.
func (r *resolved) state(now int64) ingest.Reasons {
	if !r.link.enabled() || !r.group.is(groupEnabled) || !r.creator.enabled() || now < max(r.link.starts(), r.group.starts()) {
		return ingest.Disabled
	}
	for _, end := range [...]int64{r.link.expires(), r.group.ends()} {
		if end != 0 && now >= end {
			return ingest.Expired
		}
	}
	return 0
}

// unixOrZero is t in Unix seconds as a record keeps it: 0 for no time, clamped to 32 bits.
func unixOrZero(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), 1<<32-1))
}
