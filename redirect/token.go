package redirect

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dchest/siphash"
)

// A self-contained link is /~TOKEN: it says itself whose click it is, so an edge answers it from the campaign's destination
// before the link's row has reached it. A token is base64url (RFC 4648, no padding) of these bytes, integers big endian:
//
//	 0      1      5          9            13        13 or 17               length-8
//	+------+------+----------+------------+---------+---+- - - -+---+- - - -+--------+
//	| head | link | campaign | influencer | expires | n | sub 1 | n | sub 2 |  MAC   |
//	+------+------+----------+------------+---------+---+- - - -+---+- - - -+--------+
//	 1      4      4          4            0 or 4    up to five, n bytes each         8
//
//	head   7 6      5 4    3         2 1 0
//	      +--------+------+---------+---------------+
//	      | key id | 0 0  | expires | how many subs |
//	      +--------+------+---------+---------------+
//
// link has 30 bits, its two highest are zero; campaign and influencer have all 32 of the tables. expires is in Unix seconds and
// there when its bit is set. A sub id that is left out before another one has n = 0; the last one is never empty.
//
// MAC is SipHash-2-4, 64 bits, little endian, over everything before it under a CodeKey: like a code, a token of one host or
// brand verifies nowhere else. Every byte is under the MAC and base64url is read strictly, so a token has one spelling.
const (
	// MaxSubs is how many sub ids there are.
	MaxSubs = 5
	// MaxSub is the length of the longest sub id of a token in bytes.
	MaxSub = 64

	tokenFixed    = 13
	tokenMAC      = 8
	maxToken      = tokenFixed + 4 + MaxSubs*(1+MaxSub) + tokenMAC
	tokenExpires  = 1 << 3 // in head
	tokenSubs     = 1<<3 - 1
	tokenReserved = 3 << 4
)

var tokenText = base64.RawURLEncoding.Strict()

// A Token is what a self-contained link holds. One that was parsed refers to the TokenBuffer it was parsed into.
type Token struct {
	KeyID      uint8  // slot of the signing key, 0 to 3
	Link       uint32 // number, 1 to MaxLink
	Campaign   uint32
	Influencer uint32
	Expires    uint32          // Unix seconds, 0 = never
	Subs       [MaxSubs][]byte // sub1 to sub5 as visitors would bring them, decoded; empty = none

	signed, mac []byte // of a parsed token
}

// A TokenBuffer is the memory of one parsed token.
type TokenBuffer [maxToken]byte

// TokenKey is the key of the link that a token was minted for: what {link} stands for in UTM templates.
func TokenKey(link uint32) string { return string(appendTokenKey(nil, link)) }

func appendTokenKey(dst []byte, link uint32) []byte {
	return strconv.AppendUint(append(dst, "token-"...), uint64(link), 10)
}

// CheckSub refuses what cannot be a token's sub id.
func CheckSub(sub string) error {
	if len(sub) > MaxSub {
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(sub), MaxSub)
	}
	if !utf8.ValidString(sub) {
		return fmt.Errorf("is not valid UTF-8")
	}
	for _, r := range sub {
		if unicode.IsControl(r) {
			return fmt.Errorf("holds the control character %q", r)
		}
	}
	return nil
}

// AppendToken appends the text of a token whose numbers are in their ranges and whose sub ids pass CheckSub.
func (k *CodeKey) AppendToken(dst []byte, t Token) []byte {
	subs := MaxSubs
	for subs > 0 && len(t.Subs[subs-1]) == 0 {
		subs--
	}
	head := t.KeyID<<6 | byte(subs)
	if t.Expires != 0 {
		head |= tokenExpires
	}
	be := binary.BigEndian
	raw := make([]byte, 0, maxToken)
	raw = be.AppendUint32(append(raw, head), t.Link)
	raw = be.AppendUint32(raw, t.Campaign)
	raw = be.AppendUint32(raw, t.Influencer)
	if t.Expires != 0 {
		raw = be.AppendUint32(raw, t.Expires)
	}
	for _, sub := range t.Subs[:subs] {
		raw = append(append(raw, byte(len(sub))), sub...)
	}
	raw = binary.LittleEndian.AppendUint64(raw, k.tokenMAC(raw))
	return tokenText.AppendEncode(dst, raw)
}

func (k *CodeKey) tokenMAC(signed []byte) uint64 {
	return siphash.Hash(k.token[0], k.token[1], signed)
}

// ParseToken reads the text of a token, not yet verified, into buffer. It reports false for anything that AppendToken cannot
// have written.
func ParseToken(buffer *TokenBuffer, text []byte) (t Token, ok bool) {
	n := tokenText.DecodedLen(len(text))
	if n < tokenFixed+tokenMAC || n > maxToken {
		return t, false
	}
	n, err := tokenText.Decode(buffer[:], text)
	if err != nil || tokenText.EncodedLen(n) != len(text) { // the decoder skips line breaks
		return t, false
	}
	signed, mac := buffer[:n-tokenMAC], buffer[n-tokenMAC:n]
	be := binary.BigEndian
	head := signed[0]
	t = Token{
		KeyID: head >> 6, Link: be.Uint32(signed[1:]), Campaign: be.Uint32(signed[5:]), Influencer: be.Uint32(signed[9:]),
		signed: signed, mac: mac,
	}
	rest := pieces{signed[tokenFixed:], true}
	if head&tokenExpires != 0 {
		if expires := rest.skip(4); expires != nil {
			t.Expires = be.Uint32(expires)
		}
		rest.ok = rest.ok && t.Expires != 0
	}
	subs := int(head & tokenSubs)
	if subs > MaxSubs {
		return t, false
	}
	for i := range subs {
		t.Subs[i] = rest.skip8()
		rest.ok = rest.ok && len(t.Subs[i]) <= MaxSub
	}
	return t, rest.ok && len(rest.rest) == 0 && head&tokenReserved == 0 && t.Link != 0 && t.Link <= MaxLink &&
		(subs == 0 || len(t.Subs[subs-1]) > 0)
}

// Verify reports in constant time whether a parsed token was signed with k.
func (t *Token) Verify(k *CodeKey) bool {
	var want [tokenMAC]byte
	binary.LittleEndian.PutUint64(want[:], k.tokenMAC(t.signed))
	return subtle.ConstantTimeCompare(want[:], t.mac) == 1
}

// ExpiresAt is the moment at which the token ends; the zero time for never.
func (t *Token) ExpiresAt() time.Time {
	if t.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(int64(t.Expires), 0).UTC()
}

// maxTokenLink is above the length of the record of a link that only its token knows.
const maxTokenLink = maxFixed + 4 + 1 + len("token-4294967295")

// A tokenLink is the memory for answering a token.
type tokenLink struct {
	buffer TokenBuffer
	token  Token
	record [maxTokenLink]byte
}

// byToken is answered for a self-contained link. Where there is a row of the link, its state and destination count.
func (t *Table) byToken(r *resolved, d *Domain, text []byte) bool {
	if r.made == nil {
		r.made = new(tokenLink)
	}
	var ok bool
	if r.made.token, ok = ParseToken(&r.made.buffer, text); !ok || !d.verifyToken(&r.made.token) {
		return false
	}
	k := &r.made.token
	if known := t.link(k.Link); len(known) > 0 {
		ok = t.answered(r, d, k.Link) && r.group.campaign() == k.Campaign && r.link.influencer() == k.Influencer
	} else {
		ok = t.answeredAlone(r, d, k)
	}
	r.subs = k.Subs[:]
	return ok
}

// answeredAlone reads the link that a token describes into r; false where its campaign is unknown or another brand's, or its
// creator unknown.
func (t *Table) answeredAlone(r *resolved, d *Domain, k *Token) bool {
	g, c := group(t.templates.At(k.Campaign)), creator(t.creators.At(k.Influencer))
	if len(g) == 0 || len(c) == 0 || !g.is(groupHead) || !g.is(groupTail) || g.brand() != d.Brand.ID {
		return false
	}
	var key [maxTokenLink]byte
	x := linkTexts{key: appendTokenKey(key[:0], k.Link)}
	l := appendLink(r.made.record[:0], 0, k.Influencer, 0, k.Expires, true, x)
	r.domain, r.number, r.link, r.group, r.creator, r.slug = d, k.Link, l, g, c, nil
	return true
}

// verifyToken is verify for a token.
func (d *Domain) verifyToken(k *Token) bool {
	return k.Verify(&d.keys[k.KeyID]) && d.usable[k.KeyID]
}

// appendSubs appends the sub ids of a token to a location whose parameters begin at queryAt, but for those that the destination
// sets itself.
func appendSubs(text []byte, queryAt int, subs [][]byte) []byte {
	own := text[queryAt:]
	for i, sub := range subs {
		if digit := byte('1' + i); len(sub) > 0 && !setsSub(own, digit) {
			text = append(append(text, "sub"...), digit, '=')
			text = append(appendEscaped(text, sub), '&')
		}
	}
	return text
}

func setsSub(query []byte, digit byte) bool {
	for len(query) > 0 {
		var pair []byte
		pair, query = cutByte(query, '&')
		if name, _ := cutByte(pair, '='); len(name) == 4 && string(name[:3]) == "sub" && name[3] == digit {
			return true
		}
	}
	return false
}
