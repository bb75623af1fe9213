package redirect

import "bytes"

// maxPassthrough is how many incoming parameters are looked at; the rest are ignored, which bounds the work that one
// request can ask for.
const maxPassthrough = 32

// appendPassthrough appends "name=value&" for each parameter of an incoming raw query that no shop can take for one of
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
		if !nameOK || !valueOK || readAsStored(stored, name) || hasName(scratch[:known], name) {
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

// packNames lists stored names as readAsStored reads them: folded, two length bytes, little endian, before each. A name with a
// bracket stands for its list or map as a whole too.
func packNames(names []string) (packed []byte) {
	for _, n := range names {
		packed = foldLast(append(append(packed, 0, 0), n...), len(packed))
	}
	return packed
}

// appendNames is packNames of the names of a stored query's parameters, appended; a name that does not decode stands for itself.
func appendNames(packed, query []byte) []byte {
	for len(query) > 0 {
		var pair []byte
		pair, query = cutByte(query, '&')
		raw, _ := cutByte(pair, '=')
		if len(pair) == 0 {
			continue
		}
		at := len(packed)
		var ok bool
		if packed, ok = appendUnescaped(append(packed, 0, 0), raw); !ok {
			packed = append(packed[:at+2], raw...)
		}
		packed = foldLast(packed, at)
	}
	return packed
}

// foldLast packs the name that ends packed, as it is, behind two bytes for its length at an offset.
func foldLast(packed []byte, at int) []byte {
	name := packed[at+2:]
	list := bytes.IndexByte(bytes.TrimLeft(name, " "), '[')
	name = fold(name)
	packed[at], packed[at+1] = byte(len(name)), byte(len(name)>>8)
	packed = packed[:at+2+len(name)]
	if list >= 0 {
		packed = append(append(packed, byte(list), byte(list>>8)), name[:list]...)
	}
	return packed
}

// nameFold maps the bytes of parameter names that some shop takes for the same: PHP reads a blank, a dot and a bracket that is
// not closed as "_", ASP.NET ignores the case. It is written once, here.
var nameFold = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = c + 'a' - 'A'
	}
	t[' '], t['.'], t['['] = '_', '_', '_'
	return t
}()

// fold turns a name into the one spelling of the names that some shop takes for it, in place. PHP drops the blanks before it.
func fold(name []byte) []byte {
	name = name[:copy(name, bytes.TrimLeft(name, " "))]
	for i, c := range name {
		name[i] = nameFold[c]
	}
	return name
}

// readAsStored reports whether some shop may take an incoming name for one of those packed. What stands before a bracket is the
// name of a list or map, which would take the place of the stored value.
func readAsStored(packed, name []byte) bool {
	name = bytes.TrimLeft(name, " ")
	for len(packed) >= 2 {
		n := int(packed[0]) | int(packed[1])<<8
		if len(name) >= n && (len(name) == n || name[n] == '[') && foldsTo(name[:n], packed[2:2+n]) {
			return true
		}
		packed = packed[2+n:]
	}
	return false
}

func foldsTo(name, folded []byte) bool {
	for i, c := range name {
		if nameFold[c] != folded[i] {
			return false
		}
	}
	return true
}

// hasName reports whether name is one of those that appendPassthrough has noted.
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
