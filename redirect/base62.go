package redirect

import "math/bits"

// base62 is the alphabet of codes and slug signatures, digits first, so that codes sort like their numbers.
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// notBase62 marks bytes outside the alphabet in base62Value.
const notBase62 = 0xff

// base62Value maps a byte to its digit, or to notBase62. It is written once, here, and only read.
var base62Value = func() (t [256]byte) {
	for i := range t {
		t[i] = notBase62
	}
	for i := range len(base62) {
		t[base62[i]] = byte(i)
	}
	return t
}()

// appendBase62 appends v in exactly width digits, most significant first. v must be below 62^width.
func appendBase62(dst []byte, v uint64, width int) []byte {
	n := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := n + width - 1; i >= n; i-- {
		dst[i] = base62[v%62]
		v /= 62
	}
	return dst
}

// parseBase62 reads s as one number. It refuses a byte outside the alphabet and a value of 2^64 or more,
// so each number has one spelling of a given width.
func parseBase62(s []byte) (v uint64, ok bool) {
	for _, c := range s {
		d := base62Value[c]
		hi, lo := bits.Mul64(v, 62)
		sum, carry := bits.Add64(lo, uint64(d), 0)
		if d == notBase62 || hi != 0 || carry != 0 {
			return 0, false
		}
		v = sum
	}
	return v, true
}
