package redirect

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"

	"github.com/dchest/siphash"
)

// A signed code is eleven base62 characters that spell 64 bits, most significant first:
//
//	 63 62 61                            32 31                             0
//	+-----+--------------------------------+--------------------------------+
//	| key |          link number           |              MAC               |
//	+-----+--------------------------------+--------------------------------+
//	 2 bit             30 bit                            32 bit
//
// MAC is the low half of SipHash-2-4 over the upper 32 bits (little endian) under a CodeKey, which is itself derived from
// the brand's secret and the host: a code made for one host, or by another brand, verifies nowhere else.
// 32 bits is what eleven characters leave. A guess costs a request and hits one link in 2^32 tries, and what it
// would win is a redirect that is public anyway; conversions are authenticated by the click id and the postback key.
const (
	// CodeLen is the length of a signed code in bytes.
	CodeLen = 11
	// MaxSlug is the length of the longest vanity slug in bytes.
	MaxSlug = 64
	// MaxLink is the highest link number: 30 bits.
	MaxLink = 1<<30 - 1
	// KeySlots is how many signing keys a brand can have at once: a 2-bit key id.
	KeySlots = 4
	// SlugSignatureLen is the length of a vanity slug's signature, the "~" before it not counted.
	SlugSignatureLen = 6
)

// slugSignatures is 62^SlugSignatureLen, the number of signatures a slug can have (about 2^35.7).
const slugSignatures = 62 * 62 * 62 * 62 * 62 * 62

// A CodeKey signs and verifies the codes, slugs and tokens of one host under one of its brand's keys.
type CodeKey struct {
	code, slug, token [2]uint64
}

// NewCodeKey derives the key of host (as CanonicalHost returns it) from a brand's signing secret.
func NewCodeKey(secret []byte, host string) CodeKey {
	return CodeKey{
		code:  deriveSIPKey(secret, "carom code v1", host),
		slug:  deriveSIPKey(secret, "carom slug v1", host),
		token: deriveSIPKey(secret, "carom token v1", host),
	}
}

// deriveSIPKey is HMAC-SHA256(secret, purpose 0x00 context), its first 128 bits.
func deriveSIPKey(secret []byte, purpose, context string) [2]uint64 {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(purpose))
	m.Write([]byte{0})
	m.Write([]byte(context))
	sum := m.Sum(nil)
	return [2]uint64{binary.LittleEndian.Uint64(sum), binary.LittleEndian.Uint64(sum[8:])}
}

func (k *CodeKey) mac(head uint32) uint32 {
	var msg [4]byte
	binary.LittleEndian.PutUint32(msg[:], head)
	return uint32(siphash.Hash(k.code[0], k.code[1], msg[:]))
}

// AppendCode appends the code of link (at most MaxLink) under the key in slot keyID (below KeySlots).
func (k *CodeKey) AppendCode(dst []byte, keyID uint8, link uint32) []byte {
	head := uint32(keyID)<<30 | link&MaxLink
	return appendBase62(dst, uint64(head)<<32|uint64(k.mac(head)), CodeLen)
}

// A Code is a parsed, not yet verified, signed code.
type Code uint64

// ParseCode reads a code. It reports false for anything that AppendCode cannot have written.
func ParseCode(s []byte) (Code, bool) {
	if len(s) != CodeLen {
		return 0, false
	}
	v, ok := parseBase62(s)
	return Code(v), ok
}

// KeyID is the slot of the signing key, 0 to 3.
func (c Code) KeyID() uint8 { return uint8(c >> 62) }

// Link is the link number, 30 bits.
func (c Code) Link() uint32 { return uint32(c>>32) & MaxLink }

// Verify reports whether c was signed with k, in time that does not depend on where a MAC differs.
func (c Code) Verify(k *CodeKey) bool {
	return subtle.ConstantTimeEq(int32(uint32(c)), int32(k.mac(uint32(c>>32)))) == 1
}

// AppendSlugSignature appends the six characters that follow "~" on a domain whose slugs are signed.
func (k *CodeKey) AppendSlugSignature(dst, slug []byte) []byte {
	return appendBase62(dst, siphash.Hash(k.slug[0], k.slug[1], slug)%slugSignatures, SlugSignatureLen)
}

// VerifySlug reports in constant time whether signature was made for slug with k.
func (k *CodeKey) VerifySlug(slug, signature []byte) bool {
	var want [SlugSignatureLen]byte
	return subtle.ConstantTimeCompare(k.AppendSlugSignature(want[:0], slug), signature) == 1
}

// looksLikeCode reports whether s has a code's shape, which no vanity slug may have: eleven letters and digits.
func looksLikeCode(s []byte) bool {
	if len(s) != CodeLen {
		return false
	}
	for _, c := range s {
		if base62Value[c] == notBase62 {
			return false
		}
	}
	return true
}

// ValidSlug reports whether s can be a vanity slug: [a-z0-9][a-z0-9_-]{2,63} and not of a code's shape.
func ValidSlug(s []byte) bool {
	if len(s) < 3 || len(s) > MaxSlug || looksLikeCode(s) {
		return false
	}
	for i, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}
