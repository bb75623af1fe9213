package ingest

import "strings"

// subtags holds every pair and then every triple of letters, so that Language can return a piece of it.
var subtags = func() string {
	var b strings.Builder
	for pair := range letters * letters {
		b.WriteByte('a' + byte(pair/letters))
		b.WriteByte('a' + byte(pair%letters))
	}
	for triple := range letters * letters * letters {
		b.WriteByte('a' + byte(triple/letters/letters))
		b.WriteByte('a' + byte(triple/letters%letters))
		b.WriteByte('a' + byte(triple%letters))
	}
	return b.String()
}()

const letters = 26

// Language is the primary subtag of the first entry of an Accept-Language header (RFC 9110, section 12.5.4; RFC 5646,
// section 2.1): two or three letters, lower case, or empty where the header says nothing of the kind. It allocates
// nothing.
func Language(accept []byte) string {
	for len(accept) > 0 && (accept[0] == ' ' || accept[0] == '\t') {
		accept = accept[1:]
	}
	n, index := 0, 0
	for n < len(accept) {
		c := accept[n] | 0x20 // lower case, if it is a letter
		if c < 'a' || c > 'z' {
			break
		}
		if n == 3 {
			return "" // longer subtags are reserved or name no language
		}
		index = index*letters + int(c-'a')
		n++
	}
	if n < len(accept) && !strings.ContainsRune("-_,; \t", rune(accept[n])) {
		return ""
	}
	switch n {
	case 2:
		return subtags[2*index:][:2]
	case 3:
		return subtags[2*letters*letters+3*index:][:3]
	}
	return ""
}
