package redirect

import "bytes"

// maxPassthrough is how many incoming parameters are looked at; the rest are ignored, which bounds the work that one
// request can ask for.
const maxPassthrough = 32

// appendPassthrough appends "name=value&" for each parameter of an incoming raw query that is not named in
// stored (see packNames). Each is decoded and encoded anew, so that one incoming parameter stays one; of a repeated
// name the first wins; a pair that does not decode is ignored. scratch holds decoded names and is returned grown.
func appendPassthrough(dst, query, stored, scratch []byte) (out, grown []byte) {
	for range maxPassthrough {
		if len(query) == 0 {
			break
		}
		var pair []byte
		pair, query = cutByte(query, '&')
		rawName, rawValue := cutByte(pair, '=')
		if len(rawName) == 0 {
			continue
		}
		known := len(scratch) // where the names passed so far end
		var nameOK, valueOK bool
		scratch = append(scratch, 0, 0) // length of the name, filled in below
		scratch, nameOK = appendUnescaped(scratch, rawName)
		end := len(scratch)
		scratch, valueOK = appendUnescaped(scratch, rawValue)
		name, value := scratch[known+2:end], scratch[end:]
		if !nameOK || !valueOK || hasName(stored, name) || hasName(scratch[:known], name) {
			scratch = scratch[:known]
			continue
		}
		scratch[known], scratch[known+1] = byte(len(name)), byte(len(name)>>8)
		dst = append(appendEscaped(dst, name), '=')
		dst = append(appendEscaped(dst, value), '&')
		scratch = scratch[:end]
	}
	return dst, scratch[:0]
}

// packNames lists names as hasName reads them: two length bytes, little endian, before each.
func packNames(names []string) []byte {
	var b []byte
	for _, n := range names {
		b = append(b, byte(len(n)), byte(len(n)>>8))
		b = append(b, n...)
	}
	return b
}

func hasName(packed, name []byte) bool {
	for len(packed) >= 2 {
		n := int(packed[0]) | int(packed[1])<<8
		if bytes.Equal(packed[2:2+n], name) {
			return true
		}
		packed = packed[2+n:]
	}
	return false
}

func cutByte(s []byte, sep byte) (before, after []byte) {
	if i := bytes.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, nil
}

// unreserved are the bytes that stand for themselves in a query component (RFC 3986). It is written once, here.
var unreserved = func() (t [256]bool) {
	for _, c := range []byte(base62 + "-._~") {
		t[c] = true
	}
	return t
}()

// cutUnreserved splits s after its leading unreserved bytes.
func cutUnreserved(s []byte) (run, rest []byte) {
	i := 0
	for i < len(s) && unreserved[s[i]] {
		i++
	}
	return s[:i], s[i:]
}

// appendUnescaped decodes a query component (%XX, + is a blank). It refuses a broken escape and control
// characters, which no destination should be handed.
func appendUnescaped(dst, s []byte) ([]byte, bool) {
	for {
		var run []byte
		run, s = cutUnreserved(s)
		dst = append(dst, run...)
		if len(s) == 0 {
			return dst, true
		}
		c := s[0]
		switch c {
		case '+':
			c = ' '
		case '%':
			if len(s) < 3 {
				return dst, false
			}
			hi, lo := unhex(s[1]), unhex(s[2])
			if hi > 15 || lo > 15 {
				return dst, false
			}
			c = hi<<4 | lo
			s = s[2:]
		}
		if c < ' ' || c == 0x7f {
			return dst, false
		}
		dst = append(dst, c)
		s = s[1:]
	}
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// appendEscaped encodes a query component: unreserved characters as they are, the rest as %XX.
func appendEscaped(dst, s []byte) []byte {
	const hex = "0123456789ABCDEF"
	for {
		var run []byte
		run, s = cutUnreserved(s)
		dst = append(dst, run...)
		if len(s) == 0 {
			return dst
		}
		dst = append(dst, '%', hex[s[0]>>4], hex[s[0]&15])
		s = s[1:]
	}
}
