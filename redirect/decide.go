package redirect

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"

	"carom/ingest"
)

// scratch is the memory of one request, pooled.
type scratch struct {
	host     [maxHost]byte
	link     resolved
	location []byte
	names    []byte // see appendPassthrough
	stored   []byte // names of a link's own parameters, see appendNames
	click    ingest.Click
}

// asker is what the request's headers say about who asks.
type asker struct {
	agent, referrer, language []byte
	reasons                   ingest.Reasons
	hops                      [1][]byte // the last X-Forwarded-For
	hopLines                  int       // how many there are
}

// ask reads the headers that a click keeps, in one pass.
func ask(h *fasthttp.RequestHeader) (a asker) {
	a.agent = h.UserAgent()
	for key, value := range h.All() {
		switch len(key) {
		case len("Referer"): // and of Purpose
			switch string(key) {
			case "Referer":
				a.referrer = value
			case "Purpose":
				a.prefetch(value)
			}
		case len("Accept-Language"): // and of X-Forwarded-For
			if string(key) == "Accept-Language" {
				a.language = value
			} else if string(key) == "X-Forwarded-For" {
				a.hops[0] = value
				a.hopLines++
			}
		case len("Sec-Purpose"):
			if string(key) == "Sec-Purpose" {
				a.prefetch(value)
			}
		case len("X-Purpose"):
			if string(key) == "X-Purpose" {
				a.prefetch(value)
			}
		case len("X-Moz"):
			if string(key) == "X-Moz" {
				a.prefetch(value)
			}
		}
	}
	if h.IsHead() {
		a.reasons |= ingest.Head
	}
	return a
}

// prefetch marks a request that a browser made ahead of a tap. The values are "prefetch", "prefetch;prerender",
// "preview" (Safari's top sites) and, from old Firefox, "prefetch".
func (a *asker) prefetch(value []byte) {
	for word := range bytes.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		if bytes.EqualFold(word, []byte("prefetch")) || bytes.EqualFold(word, []byte("preview")) ||
			bytes.EqualFold(word, []byte("prerender")) {
			a.reasons |= ingest.Prefetch
		}
	}
}

// resolve finds the link that path names on d. A signature is verified before anything is looked up; a path that names
// nothing, a forged code and a deleted link look alike.
func (t *Table) resolve(r *resolved, d *Domain, path []byte) bool {
	name := path[1:]
	if code, isCode := ParseCode(name); isCode {
		return d.verify(code) && t.answered(r, d, code.Link())
	}
	if name[0] == '~' {
		return t.byToken(r, d, name[1:])
	}
	slug, signature := cutByte(name, '~')
	if !ValidSlug(slug) || d.SignedSlugs != (len(signature) == SlugSignatureLen) || len(slug) < len(name) && !d.SignedSlugs {
		return false
	}
	var signers slots
	if d.SignedSlugs {
		if signers = d.signers(slug, signature); signers == 0 {
			return false
		}
	}
	return t.bySlug(r, d, slug) && (!d.SignedSlugs || signers.has(r.group.keyID()))
}

// decide fills click and location for a request on the link that was resolved. unixMillis is the wall clock.
func (s *Server) decide(sc *scratch, t *Table, a asker, query []byte, addr [16]byte, unixMillis int64) {
	c, l := &sc.click, &sc.link
	millis, sequence := s.clock.next(unixMillis)
	t.clickIDs[0].Seal(&c.ID, Click{Link: l.number, Millis: millis, Node: s.config.Node, Sequence: sequence})

	at := l.appendLocation(sc.location[:0])
	loc := at.text
	clickParam, names := l.group.clickParam()
	if len(query) > 0 {
		loc, sc.names = appendPassthrough(loc, query, l.storedNames(at, names, &sc.stored), sc.names[:0])
	}
	queryEnd := len(loc)
	loc = append(loc, clickParam...)
	loc = AppendClickID(loc, &c.ID)
	loc = append(loc, at.fragment...)
	sc.location = loc

	c.Millis = millis
	c.Addr = addr
	c.AgentHash = xxhash.Sum64(a.agent)
	c.Visitor = s.visitors.hash(millis/1000, &c.Addr, c.AgentHash)
	c.Link, c.Brand, c.Campaign, c.Influencer = l.number, l.group.brand(), l.group.campaign(), l.link.influencer()
	c.Reasons = a.reasons | l.state(unixMillis/1000)
	c.Tier, c.Format = l.creator.tier(), l.group.format()
	c.Host = l.domain.hostBytes
	c.Slug = l.slug
	c.Query = loc[at.queryAt:queryEnd]
	c.Agent, c.Referrer, c.Language = a.agent, a.referrer, a.language
}
