package redirect

import (
	"fmt"
	"iter"
	"net/url"
	"strings"
)

// UTM holds the five campaign parameters of one link, expanded or as templates.
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

// TemplateValues fills the placeholders that a UTM value may hold.
type TemplateValues struct {
	Brand, Campaign, Influencer, Link, Platform, ContentFormat string
}

func (v TemplateValues) value(name string) (string, bool) {
	switch name {
	case "brand":
		return v.Brand, true
	case "campaign":
		return v.Campaign, true
	case "influencer":
		return v.Influencer, true
	case "link":
		return v.Link, true
	case "platform":
		return v.Platform, true
	case "content_format":
		return v.ContentFormat, true
	}
	return "", false
}

// CheckTemplate refuses a UTM value with an unknown placeholder or an unclosed brace.
func CheckTemplate(template string) error {
	_, err := expand(template, TemplateValues{})
	return err
}

// expand replaces {name} in template; an unknown name is an error that lists the known ones.
func expand(template string, values TemplateValues) (string, error) {
	if !strings.ContainsAny(template, "{}") {
		return template, nil
	}
	var b strings.Builder
	for rest := template; ; {
		before, after, open := strings.Cut(rest, "{")
		b.WriteString(before)
		if !open {
			return b.String(), nil
		}
		name, tail, closed := strings.Cut(after, "}")
		value, known := values.value(name)
		if !closed || !known {
			return "", fmt.Errorf("template %q: unknown placeholder %q; known are "+
				"{brand} {campaign} {influencer} {link} {platform} {content_format}", template, "{"+name)
		}
		b.WriteString(value)
		rest = tail
	}
}

// A Location is the part of a Location header that one link always sends. The redirect answers
//
//	Prefix + "name=value&" for each incoming parameter not in Names + ClickParam + click id + Fragment
type Location struct {
	Prefix     string   // destination with its query and UTM values, ending in "?" or "&"
	ClickParam string   // "click_id=" or as the campaign names it
	Fragment   string   // "#…" or empty
	Names      []string // decoded names of the parameters above: incoming ones that a shop may take for them are ignored
}

// NewLocation builds the location of a link. destination must have passed CheckDestination; UTM values
// replace parameters of the same name in it; clickIDParam names the click-id parameter, click_id where CheckClickIDParam
// refuses it.
func NewLocation(destination string, utm UTM, values TemplateValues, clickIDParam string) (Location, error) {
	base, fragment, hasFragment := strings.Cut(destination, "#")
	base, _, _ = strings.Cut(base, "?")
	if CheckClickIDParam(clickIDParam) != nil {
		clickIDParam = defaultClickIDParam
	}
	stored := []struct{ name, template string }{
		{"utm_source", utm.Source},
		{"utm_medium", utm.Medium},
		{"utm_campaign", utm.Campaign},
		{"utm_content", utm.Content},
		{"utm_term", utm.Term},
	}
	replaced := map[string]bool{clickIDParam: true}
	for _, p := range stored {
		if p.template != "" {
			replaced[p.name] = true
		}
	}

	loc := Location{Names: []string{clickIDParam}, ClickParam: url.QueryEscape(clickIDParam) + "="}
	if clickIDParam != defaultClickIDParam {
		loc.Names = append(loc.Names, defaultClickIDParam) // nobody plants a click id, whatever the shop's page reads
	}
	var b strings.Builder
	b.WriteString(base)
	b.WriteByte('?')
	add := func(name, pair string) {
		loc.Names = append(loc.Names, name)
		b.WriteString(pair)
		b.WriteByte('&')
	}
	for name, pair := range queryNames(destination) {
		if !replaced[name] {
			add(name, pair)
		}
	}
	for _, p := range stored {
		if p.template == "" {
			continue
		}
		value, err := expand(p.template, values)
		if err != nil {
			return Location{}, fmt.Errorf("%s: %w", p.name, err)
		}
		add(p.name, p.name+"="+url.QueryEscape(value))
	}
	loc.Prefix = b.String()
	if hasFragment {
		loc.Fragment = "#" + fragment
	}
	return loc, nil
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
