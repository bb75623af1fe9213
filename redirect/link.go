package redirect

import (
	"encoding/binary"
	"math"

	"carom/ingest"
)

// A table keeps links, groups of links and creators as short byte strings (package pages), integers little endian. Times are
// Unix seconds, 0 = none. What thousands of links share is in their group, so that a link at random is one or two lines of
// memory.
//
//	link      0       1       4            6 or 8   10 or 12
//	         +-------+-------+------------+--------+---------+- - -+- - -+- - -+- - - -+- - -+- - -+
//	         | flags | group | influencer | starts | expires | key |slug |coupon fallback tail| head|
//	         +-------+-------+------------+--------+---------+- - -+- - -+- - -+- - - -+- - -+- - -+
//
// The influencer takes two bytes with flagShort, otherwise four. Behind starts comes what the flags say: expires; key and slug, each
// after a byte of length; with flagExtra all three of coupon (a byte of length), fallback and tail (two bytes each). The rest is the
// head, and with flagSum 8 bytes at the very end: the hash of the row, where it cannot be made of the record (see sum.go). A link has
// a key where its tail asks for one, and a head and a tail of its own where they differ from its group's.
//
// Of a link that is deleted or refused there is only the part before starts, for its clicks may still convert; and, of a
// refused one, the coupon and the sum.
type link []byte

const (
	influencerAt = 4
	maxFixed     = 12 // bytes of a link up to what the flags say, at most

	flagEnabled = 1 << 0 // flags
	flagGone    = 1 << 1
	flagExpires = 1 << 2
	flagKey     = 1 << 3
	flagSlug    = 1 << 4
	flagExtra   = 1 << 5
	flagSum     = 1 << 6
	flagShort   = 1 << 7

	linkSum = 8 // bytes
)

// gone reports whether there is nothing to answer: no such link, or one of which only its attribution is left.
func (l link) gone() bool { return len(l) == 0 || l[0]&flagGone != 0 }

func (l link) enabled() bool { return l[0]&flagEnabled != 0 }
func (l link) group() uint32 { return binary.LittleEndian.Uint32(l) >> 8 }
func (l link) starts() int64 { return int64(binary.LittleEndian.Uint32(l[l.startsAt():])) }

func (l link) influencer() uint32 {
	if l[0]&flagShort != 0 {
		return uint32(binary.LittleEndian.Uint16(l[influencerAt:]))
	}
	return binary.LittleEndian.Uint32(l[influencerAt:])
}

// startsAt is where starts is, or where a link that is gone goes on or ends.
func (l link) startsAt() int {
	if l[0]&flagShort != 0 {
		return influencerAt + 2
	}
	return influencerAt + 4
}

// fixed is how many bytes come before what the flags say.
func (l link) fixed() int {
	if l[0]&flagGone != 0 {
		return l.startsAt()
	}
	return l.startsAt() + 4
}

func (l link) expires() int64 {
	if l[0]&flagExpires == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(l[l.fixed():]))
}

// sum is the hash of the row where the record keeps it.
func (l link) sum() (sum uint64, kept bool) {
	if l[0]&flagSum == 0 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(l[len(l)-linkSum:]), true
}

// withoutSum is the record up to its sum.
func (l link) withoutSum() []byte {
	if l[0]&flagSum == 0 {
		return l
	}
	return l[:len(l)-linkSum]
}

// linkTexts are the texts of a link, each empty where it has none.
type linkTexts struct {
	key, slug, coupon, fallback, tail, head []byte
}

func (l link) texts() (x linkTexts) {
	rest := l.withoutSum()[l.fixed():]
	flags := l[0]
	if flags&flagGone != 0 {
		x.coupon = rest
		return x
	}
	if flags&flagExpires != 0 {
		rest = rest[4:]
	}
	if flags&flagKey != 0 {
		x.key, rest = cutText8(rest)
	}
	if flags&flagSlug != 0 {
		x.slug, rest = cutText8(rest)
	}
	if flags&flagExtra != 0 {
		x.coupon, rest = cutText8(rest)
		x.fallback, rest = cutText16(rest)
		x.tail, rest = cutText16(rest)
	}
	x.head = rest
	return x
}

// own returns what the link's Location has of its own, each empty where it has none.
func (l link) own() (key, tail, head []byte) {
	rest := l.withoutSum()[l.fixed():]
	flags := l[0]
	if flags&(flagExpires|flagSlug|flagExtra) != 0 {
		x := l.texts()
		return x.key, x.tail, x.head
	}
	if flags&flagKey != 0 {
		key, rest = cutText8(rest)
	}
	return key, nil, rest
}

// cutText8 splits off a text after its byte of length.
func cutText8(b []byte) (text, rest []byte) {
	n := 1 + int(b[0])
	return b[1:n], b[n:]
}

// cutText16 splits off a text after its two bytes of length.
func cutText16(b []byte) (text, rest []byte) {
	n := 2 + int(binary.LittleEndian.Uint16(b))
	return b[2:n], b[n:]
}

// appendLink encodes a link that is not gone. The texts must fit their lengths.
func appendLink(dst []byte, group, influencer, starts, expires uint32, enabled bool, x linkTexts) link {
	le := binary.LittleEndian
	var flags uint32
	flag := func(set bool, bit uint32) {
		if set {
			flags |= bit
		}
	}
	extra := len(x.coupon)+len(x.fallback)+len(x.tail) > 0
	flag(enabled, flagEnabled)
	flag(expires != 0, flagExpires)
	flag(len(x.key) > 0, flagKey)
	flag(len(x.slug) > 0, flagSlug)
	flag(extra, flagExtra)
	dst = appendAttribution(dst, flags, group, influencer)
	dst = le.AppendUint32(dst, starts)
	if expires != 0 {
		dst = le.AppendUint32(dst, expires)
	}
	if len(x.key) > 0 {
		dst = append(append(dst, byte(len(x.key))), x.key...)
	}
	if len(x.slug) > 0 {
		dst = append(append(dst, byte(len(x.slug))), x.slug...)
	}
	if extra {
		dst = append(append(dst, byte(len(x.coupon))), x.coupon...)
		dst = append(le.AppendUint16(dst, uint16(len(x.fallback))), x.fallback...)
		dst = append(le.AppendUint16(dst, uint16(len(x.tail))), x.tail...)
	}
	return append(dst, x.head...)
}

// appendGone encodes what is left of a link that is deleted or refused.
func appendGone(dst []byte, group, influencer uint32, coupon string) link {
	return append(appendAttribution(dst, flagGone, group, influencer), coupon...)
}

// appendAttribution encodes what every link has.
func appendAttribution(dst []byte, flags, group, influencer uint32) []byte {
	le := binary.LittleEndian
	if influencer > math.MaxUint16 {
		return le.AppendUint32(le.AppendUint32(dst, group<<8|flags), influencer)
	}
	return le.AppendUint16(le.AppendUint32(dst, group<<8|flags|flagShort), uint16(influencer))
}

// appendSum adds the hash of its row to a record that has none.
func appendSum(l link, sum uint64) link {
	l[0] |= flagSum
	return binary.LittleEndian.AppendUint64(l, sum)
}

// A group is what links have in common that are of one campaign, on one domain, signed with one key, for one kind of post.
//
//	 0       4          8        12       16     20      21       22       23
//	+-------+----------+--------+--------+------+-------+--------+--------+-------------+
//	| brand | campaign | domain | starts | ends | flags | key id | format | click param |
//	+-------+----------+--------+--------+------+-------+--------+--------+-------------+
//	 24     26        28         30     32               34                      length ↑
//	+------+---------+----------+------+----------------+------+------+-------------+-------+
//	| head | address | query at | tail | click-id names | head | tail | click param | names |
//	+------+---------+----------+------+----------------+------+------+-------------+-------+
//	 length                      lengths →               bytes →
//
// A head is its address, of the length at 26, and the fragment behind; query at is where its parameters begin. names are those
// of all parameters, packed; the first ones, of the length at 32, are the click id's.
type group []byte

const (
	groupFixed = 34

	groupEnabled = 1 << 0 // flags
	groupKnown   = 1 << 1 // campaign and brand are; otherwise none of its links is answered
	groupHead    = 1 << 2 // the head is good; otherwise only links with their own are answered
	groupTail    = 1 << 3 // and likewise the tail
)

func (g group) brand() uint32         { return binary.LittleEndian.Uint32(g) }
func (g group) campaign() uint32      { return binary.LittleEndian.Uint32(g[4:]) }
func (g group) domain() uint32        { return binary.LittleEndian.Uint32(g[8:]) }
func (g group) starts() int64         { return int64(binary.LittleEndian.Uint32(g[12:])) }
func (g group) ends() int64           { return int64(binary.LittleEndian.Uint32(g[16:])) }
func (g group) is(flag byte) bool     { return g[20]&flag != 0 }
func (g group) keyID() uint8          { return g[21] }
func (g group) format() ingest.Format { return ingest.Format(g[22]) }

func (g group) key() groupKey {
	return groupKey{g.brand(), g.campaign(), g.domain(), g.keyID(), g.format()}
}

// head is the group's head with its fragment.
func (g group) head() []byte {
	return g[groupFixed : groupFixed+int(binary.LittleEndian.Uint16(g[24:]))]
}

// cutHead is cutHead of the group's head.
func (g group) cutHead() (address, fragment []byte, queryAt int) {
	end := groupFixed + int(binary.LittleEndian.Uint16(g[24:]))
	at := groupFixed + int(binary.LittleEndian.Uint16(g[26:]))
	return g[groupFixed:at], g[at:end], int(binary.LittleEndian.Uint16(g[28:]))
}

func (g group) tail() []byte {
	at := groupFixed + int(binary.LittleEndian.Uint16(g[24:]))
	return g[at : at+int(binary.LittleEndian.Uint16(g[30:]))]
}

// clickParam is "name=", and names are those of all parameters.
func (g group) clickParam() (clickParam, names []byte) {
	at := groupFixed + int(binary.LittleEndian.Uint16(g[24:])) + int(binary.LittleEndian.Uint16(g[30:]))
	end := at + int(g[23])
	return g[at:end], g[end:]
}

// clickIDNames are those of names that are the click id's.
func (g group) clickIDNames(names []byte) []byte {
	return names[:binary.LittleEndian.Uint16(g[32:])]
}

// groupTexts are the texts of a group.
type groupTexts struct {
	head, tail, clickParam, names []byte
	clickIDNames                  int // bytes of names
}

func appendGroup(dst []byte, k groupKey, starts, ends uint32, flags byte, x groupTexts) group {
	le := binary.LittleEndian
	for _, n := range [...]uint32{k.brand, k.campaign, k.domain, starts, ends} {
		dst = le.AppendUint32(dst, n)
	}
	dst = append(dst, flags, k.keyID, byte(k.format), byte(len(x.clickParam)))
	address, _, queryAt := cutHead(x.head)
	dst = le.AppendUint16(dst, uint16(len(x.head)))
	dst = le.AppendUint16(dst, uint16(len(address)))
	dst = le.AppendUint16(dst, uint16(queryAt))
	dst = le.AppendUint16(dst, uint16(len(x.tail)))
	dst = le.AppendUint16(dst, uint16(x.clickIDNames))
	for _, s := range [...][]byte{x.head, x.tail, x.clickParam, x.names} {
		dst = append(dst, s...)
	}
	return dst
}

// A creator is what the answers to an influencer's links need of them.
//
//	 0      1         2                 4
//	+------+---------+-----------------+----------+-----+
//	| tier | enabled | platform length | platform | key |   texts are escaped for a query
//	+------+---------+-----------------+----------+-----+
type creator []byte

const creatorFixed = 4

func (c creator) tier() ingest.Tier { return ingest.Tier(c[0]) }
func (c creator) enabled() bool     { return c[1] != 0 }

func (c creator) platform() []byte {
	return c[creatorFixed : creatorFixed+int(binary.LittleEndian.Uint16(c[2:]))]
}

func (c creator) key() []byte {
	return c[creatorFixed+int(binary.LittleEndian.Uint16(c[2:])):]
}

func appendCreator(dst []byte, tier ingest.Tier, enabled bool, platform, key string) creator {
	dst = append(dst, byte(tier), 0)
	if enabled {
		dst[len(dst)-1] = 1
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(platform)))
	return append(append(dst, platform...), key...)
}
