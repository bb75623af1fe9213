package redirect

import (
	"fmt"
	"net/url"
	"strings"
)

// This is what the Location of a link shall be, written as plainly as possible. The tests hold against it what a table puts
// together from shared pieces.

// templateValues fills the placeholders that a UTM value may hold.
type templateValues struct {
	Brand, Campaign, Influencer, Link, Platform, ContentFormat string
}

func (v templateValues) value(name string) (string, bool) {
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

// expand replaces {name} in template; an unknown name is an error that lists the known ones.
func expand(template string, values templateValues) (string, error) {
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

// A specifiedLocation is the part of a Location header that one link always sends. The redirect answers
//
//	Prefix + "name=value&" for each incoming parameter not in Names + ClickParam + click id + Fragment
type specifiedLocation struct {
	Prefix     string   // destination with its query and UTM values, ending in "?" or "&"
	ClickParam string   // "click_id=" or as the campaign names it
	Fragment   string   // "#…" or empty
	Names      []string // decoded names of the parameters above: incoming ones that a shop may take for them are ignored
}

// specifyLocation builds the location of a link. destination must have passed CheckDestination; UTM values
// replace parameters of the same name in it; clickIDParam names the click-id parameter and must not be empty.
func specifyLocation(destination string, utm UTM, values templateValues, clickIDParam string) (specifiedLocation, error) {
	base, fragment, hasFragment := strings.Cut(destination, "#")
	base, query, _ := strings.Cut(base, "?")
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

	loc := specifiedLocation{Names: []string{clickIDParam}, ClickParam: url.QueryEscape(clickIDParam) + "="}
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
	for pair := range strings.SplitSeq(query, "&") {
		rawName, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			name = rawName
		}
		if pair != "" && !replaced[name] {
			add(name, pair)
		}
	}
	for _, p := range stored {
		if p.template == "" {
			continue
		}
		value, err := expand(p.template, values)
		if err != nil {
			return specifiedLocation{}, fmt.Errorf("%s: %w", p.name, err)
		}
		add(p.name, p.name+"="+url.QueryEscape(value))
	}
	loc.Prefix = b.String()
	if hasFragment {
		loc.Fragment = "#" + fragment
	}
	return loc, nil
}
