package redirect

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Salvage is the reference data that a snapshot holds, for a world of which nothing else is left. SNAPSHOT.md says what a
// snapshot does not know.
type Salvage struct {
	Taken   time.Time // the moment it is of
	builder *Builder
}

// ReadSalvage reads a snapshot file. Its keys must open under sealer.
func ReadSalvage(path string, sealer *Sealer) (*Salvage, error) {
	kept, err := loadSnapshotFile(path, sealer)
	if err != nil {
		return nil, err
	}
	return &Salvage{kept.taken, kept.builder}, nil
}

// Brands are those that were not deleted, by number.
func (s *Salvage) Brands() (list []Brand) {
	for _, b := range byNumber(s.builder.brands) {
		list = append(list, *b)
	}
	return list
}

// Domains are those that were not deleted, by number.
func (s *Salvage) Domains() []DomainRow { return byNumber(s.builder.domains) }

// Campaigns are those that were not deleted, by number.
func (s *Salvage) Campaigns() []Campaign { return byNumber(s.builder.campaigns) }

// Keys are those that were not retired.
func (s *Salvage) Keys() []KeyRow {
	return slices.SortedFunc(maps.Values(s.builder.keys), func(a, b KeyRow) int {
		return cmp.Or(cmp.Compare(a.Brand, b.Brand), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
}

// Influencers yields the creators that were not deleted, the newest first.
func (s *Salvage) Influencers() iter.Seq[Influencer] {
	return func(yield func(Influencer) bool) {
		for number, item := range s.builder.creators.All() {
			c := creator(item)
			v := Influencer{
				ID: number, Key: unescaped(c.key()), Platform: unescaped(c.platform()), Tier: c.tier(), Enabled: c.enabled(),
			}
			if !yield(v) {
				return
			}
		}
	}
}

// Known is how many links there are, deleted ones included.
func (s *Salvage) Known() int { return s.builder.table.known }

// Links yields all links, deleted ones too, the newest first. A link has a key only where its UTM values name it, and instead of
// UTM values of its own those that it ends up with.
func (s *Salvage) Links() iter.Seq[LinkRow] {
	return func(yield func(LinkRow) bool) {
		for number, item := range s.builder.links.All() {
			if !yield(s.link(number, link(item))) {
				return
			}
		}
	}
}

func (s *Salvage) link(number uint32, l link) LinkRow {
	g := group(s.builder.groups.At(l.group()))
	v := LinkRow{
		ID: number, Brand: g.brand(), Campaign: g.campaign(), Influencer: l.influencer(), Domain: g.domain(), KeyID: g.keyID(),
		Format: g.format(), Deleted: l.gone(),
	}
	if l.gone() {
		return v
	}
	x := l.texts()
	v.Key, v.Slug, v.Coupon, v.Fallback = unescaped(x.key), string(x.slug), string(x.coupon), string(x.fallback)
	v.Destination, v.UTM = destinationOf(x.head), templatesOf(x.tail)
	v.Starts, v.Expires, v.Enabled = time.Unix(l.starts(), 0).UTC(), time.Unix(l.expires(), 0).UTC(), l.enabled()
	return v
}

// unescaped reverses url.QueryEscape.
func unescaped(text []byte) string {
	plain, err := url.QueryUnescape(string(text))
	if err != nil {
		return string(text)
	}
	return plain
}

// destinationOf is a destination that has a head, empty for none. Parameters that UTM values replace are not in it any more.
func destinationOf(head []byte) string {
	address, fragment, _ := cutHead(head)
	return string(bytes.TrimRight(address, "?&")) + string(fragment)
}

// templatesOf reverses compileTail, with the names that it filled in where they were placeholders.
func templatesOf(tail []byte) (utm UTM) {
	var text strings.Builder
	for len(tail) > 0 {
		n := int(tail[0])
		tail = tail[1:]
		switch n {
		case tailInfluencer:
			text.WriteString("{influencer}")
		case tailPlatform:
			text.WriteString("{platform}")
		case tailLink:
			text.WriteString("{link}")
		default:
			text.Write(tail[:n])
			tail = tail[n:]
		}
	}
	for pair := range strings.SplitSeq(text.String(), "&") {
		name, value, _ := strings.Cut(pair, "=")
		if value == "" {
			value = "{content_format}" // the one name that may be empty, where the parameter is there all the same
		}
		utm.set(name, unescaped([]byte(value))) // braces are escaped in what is not a placeholder, and never part of it
	}
	return utm
}

// set gives the parameter of a name its template.
func (u *UTM) set(name, template string) {
	switch name {
	case "utm_source":
		u.Source = template
	case "utm_medium":
		u.Medium = template
	case "utm_campaign":
		u.Campaign = template
	case "utm_content":
		u.Content = template
	case "utm_term":
		u.Term = template
	}
}
