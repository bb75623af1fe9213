package redirect

import (
	"crypto/hmac"
	"crypto/sha256"
)

// VisitorKeyLen is the length of a visitor key in bytes.
const VisitorKeyLen = 32

// NextVisitorKey derives the visitor key of the day after key's: HMAC-SHA256(key, "carom visitor day"). Control and every
// edge derive the same one; once the old key is erased nobody can go back to it.
func NextVisitorKey(key []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("carom visitor day"))
	return m.Sum(nil)
}
