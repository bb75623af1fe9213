package redirect

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// A tableSum is what a table holds in two numbers that do not depend on an order: ClickHouse can compute them too.
type tableSum struct {
	Rows uint64 `json:"rows"` // deleted ones too, where they are kept
	Hash uint64 `json:"hash"` // sum of the hashes of all rows, modulo 2^64
}

func (s *tableSum) add(hash uint64) {
	s.Rows++
	s.Hash += hash
}

func (s *tableSum) remove(hash uint64) {
	s.Rows--
	s.Hash -= hash
}

// Links are summed up in parts of consecutive numbers, so that what differs is read again without the rest.
const (
	partBits  = 16
	partLinks = 1 << partBits
)

// linkHashSQL is the hash of all that a table makes of a row of links, in ClickHouse; appendHashed is the same here. Its argument
// is the list of formats. A link's key is not in it: it never changes, and a table keeps it only where a template
// asks for it. Of a deleted link only its places count.
const linkHashSQL = `xxHash64(concat(
	reinterpretAsFixedString(link_id), reinterpretAsFixedString(brand_id), reinterpretAsFixedString(campaign_id),
	reinterpretAsFixedString(influencer_id), reinterpretAsFixedString(domain_id), reinterpretAsFixedString(key_id),
	reinterpretAsFixedString(toUInt8(indexOf(?, toString(content_format)))), if(deleted, '', concat(
		if(enabled, '+', '-'), reinterpretAsFixedString(toUnixTimestamp(starts)), reinterpretAsFixedString(toUnixTimestamp(expires)),
		slug, '\0', coupon, '\0', destination, '\0', utm_source, '\0', utm_medium, '\0', utm_campaign, '\0', utm_content, '\0',
		utm_term, '\0', fallback_url))))`

// appendHashed appends what is hashed of a row of links.
func (v *LinkRow) appendHashed(dst []byte) []byte {
	dst = appendPlaces(dst, v.ID, groupKey{v.Brand, v.Campaign, v.Domain, v.KeyID, v.Format}, v.Influencer)
	if v.Deleted {
		return dst
	}
	dst = appendState(dst, v.Enabled, unixOrZero(v.Starts), unixOrZero(v.Expires))
	dst = append(append(dst, v.Slug...), 0)
	dst = append(append(dst, v.Coupon...), 0)
	dst = append(append(dst, v.Destination...), 0)
	for _, template := range [...]string{v.UTM.Source, v.UTM.Medium, v.UTM.Campaign, v.UTM.Content, v.UTM.Term} {
		dst = append(append(dst, template...), 0)
	}
	return append(dst, v.Fallback...)
}

// appendHashed appends what is hashed of the row that a record without a sum was made of: one without UTM values of its own, whose
// destination and fallback are in it as they were written.
func (l link) appendHashed(dst []byte, number uint32, g group) []byte {
	dst = appendPlaces(dst, number, g.key(), l.influencer())
	if l.gone() {
		return dst
	}
	x := l.texts()
	dst = appendState(dst, l.enabled(), uint32(l.starts()), uint32(l.expires()))
	dst = append(append(dst, x.slug...), 0)
	dst = append(append(dst, x.coupon...), 0)
	if n := len(x.head); n > 0 {
		dst = append(dst, x.head[:n-1]...) // the "?" or "&" behind it is the head's
	}
	dst = append(dst, make([]byte, 6)...)
	return append(dst, x.fallback...)
}

func appendPlaces(dst []byte, number uint32, k groupKey, influencer uint32) []byte {
	for _, id := range [...]uint32{number, k.brand, k.campaign, influencer, k.domain} {
		dst = binary.LittleEndian.AppendUint32(dst, id)
	}
	return append(dst, k.keyID, byte(k.format))
}

func appendState(dst []byte, enabled bool, starts, expires uint32) []byte {
	sign := byte('-')
	if enabled {
		sign = '+'
	}
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(append(dst, sign), starts), expires)
}

// linkHash is that of the row a record was made of: kept in the record, or made of it.
func (b *Builder) linkHash(number uint32, l link) uint64 {
	if sum, kept := l.sum(); kept {
		return sum
	}
	b.hashed = l.appendHashed(b.hashed[:0], number, b.groups.At(l.group()))
	return xxhash.Sum64(b.hashed)
}

// withSum gives a record the hash of its row, unless that can be made of the record.
func (b *Builder) withSum(v *LinkRow, l link) link {
	b.hashed = v.appendHashed(b.hashed[:0])
	hash := xxhash.Sum64(b.hashed)
	if b.linkHash(v.ID, l) == hash {
		return l
	}
	return appendSum(l, hash)
}

// part is the sum of the links whose numbers begin at n*partLinks.
func (b *Builder) part(n uint32) *tableSum {
	for uint64(n) >= uint64(len(b.sums)) {
		b.sums = append(b.sums, tableSum{})
	}
	return &b.sums[n]
}

// resum adds a part up anew.
func (b *Builder) resum(n uint32) {
	sum := tableSum{}
	for number := n * partLinks; number-n*partLinks < partLinks; number++ {
		if l := link(b.links.At(number)); len(l) > 0 {
			sum.add(b.linkHash(number, l))
		}
	}
	*b.part(n) = sum
}

// parentSum is the sum of a table that links refer to, as parents says.
func (b *Builder) parentSum(table string) (sum tableSum) {
	le := binary.LittleEndian
	add := func(id uint32, version uint64) {
		sum.add(xxhash.Sum64(le.AppendUint64(le.AppendUint32(nil, id), version)))
	}
	switch table {
	case "keys":
		for place, k := range b.keys {
			if place.kind != KeyVisitor {
				hashed := append(le.AppendUint32(nil, place.brand), string(place.kind)+"\x00"+place.id...)
				sum.add(xxhash.Sum64(le.AppendUint64(hashed, k.Version)))
			}
		}
	case "brands":
		for _, v := range b.brands {
			add(v.ID, v.Version)
		}
	case "domains":
		for _, v := range b.domains {
			add(v.ID, v.Version)
		}
	case "influencers":
		for id, version := range b.creatorVersions {
			add(id, version)
		}
	case "campaigns":
		for _, v := range b.campaigns {
			add(v.ID, v.Version)
		}
	}
	return sum
}

// parents says for each table but links which of its rows are held, and what is hashed of them before the version. Visitor
// keys are not compared: a node carries them on by itself, from day to day.
var parents = [...]struct{ table, held, hashed string }{
	{"keys", "state != 'retired' AND kind != 'visitor'", `reinterpretAsFixedString(brand_id), toString(kind), '\0', key_id`},
	{"brands", "NOT deleted", "reinterpretAsFixedString(brand_id)"},
	{"domains", "NOT deleted", "reinterpretAsFixedString(domain_id)"},
	{"influencers", "NOT deleted", "reinterpretAsFixedString(influencer_id)"},
	{"campaigns", "NOT deleted", "reinterpretAsFixedString(campaign_id)"},
}
