package redirect

import "encoding/binary"

// What comes from a file is checked once, before anybody reads it as what it should be.

// valid reports whether every piece of the link lies in it.
func (l link) valid() bool {
	if len(l) == 0 || len(l) < l.fixed() || l[0]&flagSum != 0 && len(l) < l.fixed()+linkSum {
		return false
	}
	rest := pieces{l.withoutSum()[l.fixed():], true}
	if l[0]&flagGone != 0 {
		return len(rest.rest) <= maxText
	}
	if l[0]&flagExpires != 0 {
		rest.skip(4)
	}
	if l[0]&flagKey != 0 {
		rest.skip8()
	}
	if l[0]&flagSlug != 0 {
		rest.skip8()
	}
	if l[0]&flagExtra == 0 {
		return rest.ok
	}
	rest.skip8()
	rest.skip16()
	return validTail(rest.skip16()) && rest.ok
}

// valid reports whether every piece of the group lies in it.
func (g group) valid() bool {
	if len(g) < groupFixed {
		return false
	}
	le := binary.LittleEndian
	head, address, queryAt := int(le.Uint16(g[24:])), int(le.Uint16(g[26:])), int(le.Uint16(g[28:]))
	rest := pieces{g[groupFixed:], true}
	rest.skip(head)
	tail := rest.skip(int(le.Uint16(g[30:])))
	rest.skip(int(g[23]))
	clickIDNames := int(le.Uint16(g[32:]))
	return rest.ok && queryAt <= address && address <= head && validTail(tail) && clickIDNames <= len(rest.rest) &&
		validNames(rest.rest[:clickIDNames]) && validNames(rest.rest[clickIDNames:])
}

// valid reports whether every piece of the creator lies in it.
func (c creator) valid() bool {
	return len(c) >= creatorFixed && creatorFixed+int(binary.LittleEndian.Uint16(c[2:])) <= len(c)
}

func validTail(tail []byte) bool {
	rest := pieces{tail, true}
	for rest.ok && len(rest.rest) > 0 {
		if n := rest.rest[0]; n <= maxTailText {
			rest.skip8()
		} else {
			rest.skip(1)
		}
	}
	return rest.ok
}

func validNames(packed []byte) bool {
	rest := pieces{packed, true}
	for rest.ok && len(rest.rest) > 0 {
		rest.skip16()
	}
	return rest.ok
}

// pieces goes through bytes; ok turns false where there are too few.
type pieces struct {
	rest []byte
	ok   bool
}

func (p *pieces) skip(n int) (piece []byte) {
	if n > len(p.rest) {
		p.rest, p.ok = nil, false
		return nil
	}
	piece, p.rest = p.rest[:n], p.rest[n:]
	return piece
}

// skip8 goes over a byte of length and what has it.
func (p *pieces) skip8() (piece []byte) {
	if n := p.skip(1); n != nil {
		return p.skip(int(n[0]))
	}
	return nil
}

// skip16 goes over two bytes of length and what has it.
func (p *pieces) skip16() (piece []byte) {
	if n := p.skip(2); n != nil {
		return p.skip(int(binary.LittleEndian.Uint16(n)))
	}
	return nil
}
