package ingest

import (
	"bytes"
	"net/url"
	"unicode/utf8"
)

// campaignParams are the decoded parameters of a location that a click row stores. Slices may alias the query.
type campaignParams struct {
	source, medium, campaign, term, content, id, sourcePlatform, creativeFormat []byte

	sub [5][]byte
}

// parse reads them from the raw query of a location. The first of a repeated name wins, as in the location.
func (p *campaignParams) parse(query []byte) {
	*p = campaignParams{}
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if len(pair) == 0 || pair[0] != 'u' && pair[0] != 's' {
			continue
		}
		i := bytes.IndexByte(pair, '=')
		if i < 0 {
			continue
		}
		if to := p.field(pair[:i]); to != nil && *to == nil {
			*to = decode(pair[i+1:])
		}
	}
}

func (p *campaignParams) field(name []byte) *[]byte {
	switch string(name) {
	case "utm_source":
		return &p.source
	case "utm_medium":
		return &p.medium
	case "utm_campaign":
		return &p.campaign
	case "utm_term":
		return &p.term
	case "utm_content":
		return &p.content
	case "utm_id":
		return &p.id
	case "utm_source_platform":
		return &p.sourcePlatform
	case "utm_creative_format":
		return &p.creativeFormat
	case "sub1", "sub2", "sub3", "sub4", "sub5":
		return &p.sub[name[3]-'1']
	}
	return nil
}

// maxParam is the longest stored value in bytes; what is longer is cut.
const maxParam = 512

// decode undoes percent-encoding; a broken escape stays as it is. Invalid UTF-8 becomes U+FFFD.
func decode(raw []byte) []byte {
	raw = raw[:min(len(raw), maxParam):len(raw)]
	if isPlain(raw) {
		return raw
	}
	if s, err := url.QueryUnescape(string(raw)); err == nil {
		raw = []byte(s)
	}
	return bytes.ToValidUTF8(raw, []byte("\uFFFD"))
}

// isPlain reports whether a value stands for itself, as nearly all do.
func isPlain(raw []byte) bool {
	for _, c := range raw {
		if c == '%' || c == '+' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
