package redirect

import (
	"bytes"
	"net/netip"
)

// cutForwarded reads Forwarded (RFC 7239, section 4): elements apart by commas, each of pairs apart by semicolons, a value being
// a token or a quoted string in which both may stand. An element that does not keep to that names nobody, nor does one that
// says for= twice. Blanks around a pair and a port without the quotes it asks for are let pass: proxies write them.
func cutForwarded(line []byte) (hop netip.Addr, rest []byte, more bool) {
	element, rest, more := cutUnquoted(line, ',')
	for another := true; another; {
		var pair []byte
		pair, element, another = cutUnquoted(element, ';')
		if pair = bytes.TrimSpace(pair); len(pair) == 0 {
			continue
		}
		name, value, _ := bytes.Cut(pair, []byte("="))
		value, ok := unquote(value)
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\"") {
			return netip.Addr{}, rest, more
		}
		if bytes.EqualFold(name, []byte("for")) {
			if hop.IsValid() {
				return netip.Addr{}, rest, more
			}
			if hop = parseHop(value); !hop.IsValid() {
				return hop, rest, more
			}
		}
	}
	return hop, rest, more
}

// cutUnquoted is bytes.Cut at the first sep outside of quoted strings.
func cutUnquoted(s []byte, sep byte) (before, after []byte, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == sep:
			return s[:i], s[i+1:], true
		}
	}
	return s, nil, false
}

// unquote returns the text of a token or a quoted string (RFC 9110, section 5.6.4), and whether s is one of them.
func unquote(s []byte) (text []byte, ok bool) {
	inside, quoted := bytes.CutPrefix(s, []byte(`"`))
	if !quoted {
		return s, len(s) > 0 && !bytes.ContainsAny(s, " \t\"\\")
	}
	end := bytes.IndexByte(inside, '"')
	if escape := bytes.IndexByte(inside, '\\'); escape < 0 || escape > end {
		return inside[:max(end, 0)], end >= 0 && end == len(inside)-1
	}
	for i := 0; i < len(inside); i++ {
		switch inside[i] {
		case '"':
			return text, i == len(inside)-1
		case '\\':
			if i++; i == len(inside) {
				return nil, false
			}
		}
		text = append(text, inside[i])
	}
	return nil, false
}
