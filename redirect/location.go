package redirect

import (
	"bytes"
	"fmt"
	"iter"
	"net/url"
	"strings"
)

// The Location that answers a click is put together from pieces, most of which thousands of links share:
//
//	https://shop.example/boots?size=m&utm_source=instagram&utm_campaign=spring-mia&fbclid=IwZ&click_id=HbL068#reviews
//	|-------------- head ------------|-------------------- tail ------------------|passed on|-- click id ----|fragment|
//
// The head is the destination with its own parameters. The tail is a program that puts the creator's and the link's names
// into the UTM templates. Both are made when reference data comes in; see head, compileTail.

// UTM holds the five campaign parameters of one link as templates.
type UTM struct {
	Source, Medium, Campaign, Content, Term string
}

// Or returns u with each empty value taken from def.
func (u UTM) Or(def UTM) UTM {
	or := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	return UTM{
		or(u.Source, def.Source), or(u.Medium, def.Medium), or(u.Campaign, def.Campaign),
		or(u.Content, def.Content), or(u.Term, def.Term),
	}
}

// A parameter is one of a UTM's that is set.
type parameter struct{ name, template string }

// parameters lists what is set, in the order of a Location.
func (u UTM) parameters() (list []parameter) {
	for _, p := range [...]parameter{
		{"utm_source", u.Source},
		{"utm_medium", u.Medium},
		{"utm_campaign", u.Campaign},
		{"utm_content", u.Content},
		{"utm_term", u.Term},
	} {
		if p.template != "" {
			list = append(list, p)
		}
	}
	return list
}

// names reports whether a template of u has the placeholder {name}.
func (u UTM) names(name string) bool {
	for _, p := range u.parameters() {
		if strings.Contains(p.template, "{"+name+"}") {
			return true
		}
	}
	return false
}

// CheckTemplate refuses a UTM value with an unknown placeholder or an unclosed brace.
func CheckTemplate(template string) error {
	return eachPiece(template, func(string, string) {})
}

// eachPiece takes a template apart: text, and the placeholder after it, empty at the end.
func eachPiece(template string, piece func(text, placeholder string)) error {
	for rest := template; ; {
		before, after, open := strings.Cut(rest, "{")
		if !open {
			piece(before, "")
			return nil
		}
		name, tail, closed := strings.Cut(after, "}")
		switch name {
		case "brand", "campaign", "influencer", "link", "platform", "content_format":
		default:
			closed = false
		}
		if !closed {
			return fmt.Errorf("template %q: unknown placeholder %q; known are "+
				"{brand} {campaign} {influencer} {link} {platform} {content_format}", template, "{"+name)
		}
		piece(before, name)
		rest = tail
	}
}

// head is a destination that has passed CheckDestination up to its own parameters, ending in "?" or "&", with its fragment
// behind. UTM values replace parameters of the same name in it, and the click id one of its name.
func head(destination string, utm UTM, clickIDParam string) string {
	base, fragment, hasFragment := strings.Cut(destination, "#")
	base, _, _ = strings.Cut(base, "?")
	replaced := map[string]bool{clickIDParam: true}
	for _, p := range utm.parameters() {
		replaced[p.name] = true
	}
	var b strings.Builder
	b.WriteString(base)
	b.WriteByte('?')
	for name, pair := range queryNames(destination) {
		if !replaced[name] {
			b.WriteString(pair)
			b.WriteByte('&')
		}
	}
	if hasFragment {
		b.WriteByte('#')
		b.WriteString(fragment)
	}
	return b.String()
}

// queryNames yields the decoded names of a URL's parameters, each with its raw pair.
func queryNames(address string) iter.Seq2[string, string] {
	return func(yield func(name, pair string) bool) {
		base, _, _ := strings.Cut(address, "#")
		_, query, _ := strings.Cut(base, "?")
		for pair := range strings.SplitSeq(query, "&") {
			rawName, _, _ := strings.Cut(pair, "=")
			name, err := url.QueryUnescape(rawName)
			if err != nil {
				name = rawName
			}
			if pair != "" && !yield(name, pair) {
				return
			}
		}
	}
}

// cutHead splits a head before its fragment and says where its parameters begin.
func cutHead(head []byte) (address, fragment []byte, queryAt int) {
	address = head
	if i := bytes.IndexByte(head, '#'); i >= 0 {
		address, fragment = head[:i], head[i:]
	}
	return address, fragment, bytes.IndexByte(address, '?') + 1
}

// A tail is a list of pieces: a byte n up to maxTailText and n bytes of text, or one of the bytes below.
const (
	maxTailText    = 252
	tailInfluencer = 253 // the creator's key, escaped
	tailPlatform   = 254 // the creator's platform, escaped
	tailLink       = 255 // the link's key, escaped
)

// constants fill the placeholders that are the same for all creators and links that share a tail.
type constants struct{ brand, campaign, format string }

// compileTail makes a tail of UTM templates: "name=value&" for each that is set.
func compileTail(utm UTM, c constants) ([]byte, error) {
	var tail []byte
	var text strings.Builder
	variable := func(piece byte) {
		tail = append(appendTailText(tail, text.String()), piece)
		text.Reset()
	}
	for _, p := range utm.parameters() {
		text.WriteString(p.name + "=")
		err := eachPiece(p.template, func(before, placeholder string) {
			text.WriteString(url.QueryEscape(before))
			switch placeholder {
			case "brand":
				text.WriteString(url.QueryEscape(c.brand))
			case "campaign":
				text.WriteString(url.QueryEscape(c.campaign))
			case "content_format":
				text.WriteString(url.QueryEscape(c.format))
			case "influencer":
				variable(tailInfluencer)
			case "platform":
				variable(tailPlatform)
			case "link":
				variable(tailLink)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		text.WriteByte('&')
	}
	return appendTailText(tail, text.String()), nil
}

func appendTailText(tail []byte, text string) []byte {
	for len(text) > 0 {
		n := min(len(text), maxTailText)
		tail = append(append(tail, byte(n)), text[:n]...)
		text = text[n:]
	}
	return tail
}

// appendTail runs a tail for a creator and a link's key.
func appendTail(dst, tail []byte, who creator, key []byte) []byte {
	for len(tail) > 0 {
		n := int(tail[0])
		tail = tail[1:]
		switch n {
		case tailInfluencer:
			dst = append(dst, who.key()...)
		case tailPlatform:
			dst = append(dst, who.platform()...)
		case tailLink:
			dst = append(dst, key...)
		default:
			dst = append(dst, tail[:n]...)
			tail = tail[n:]
		}
	}
	return dst
}

// clickIDNames are the parameter names that no visitor can plant a click id with.
func clickIDNames(clickIDParam string) []string {
	if clickIDParam == defaultClickIDParam {
		return []string{clickIDParam}
	}
	return []string{clickIDParam, defaultClickIDParam} // whatever the shop's page reads
}
