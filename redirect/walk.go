package redirect

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A walk goes the way of a request step by step, by the same functions, and says what each has found.
type walk struct {
	*Explainer
	now      int64 // Unix seconds
	steps    []Step
	assuming bool // that a signature is right
}

func (w *walk) say(check, result string, args ...any) {
	w.steps = append(w.steps, Step{Check: check, Result: fmt.Sprintf(result, args...)})
}

// fail is say for what keeps the request from its redirect.
func (w *walk) fail(check, result string, args ...any) {
	w.say(check, result, args...)
	w.steps[len(w.steps)-1].Failed = true
}

// follow returns the target to be asked for: the one given, signed with the keys at hand where these are made up.
func (w *walk) follow(host, target string) string {
	d := w.table.Domain([]byte(host))
	if d == nil {
		w.fail("host", "%s is no short domain in this snapshot", host)
		return target
	}
	slugs := "open"
	if d.SignedSlugs {
		slugs = "signed"
	}
	w.say("host", "%s, brand %s, slugs are %s", host, d.Brand.Key, slugs)
	path, query := cutByte([]byte(target), '?')
	switch {
	case hasPrefix(path, "/_/"):
		w.fail("path", "a conversion, which needs its own message: %s", path)
	case len(path) == 1:
		w.fail("path", "the home page of the domain")
	default:
		r := &resolved{}
		if path = w.name(r, d, path); path != nil {
			w.link(r, query)
			return strings.TrimSuffix(string(path)+"?"+string(query), "?")
		}
	}
	return target
}

// name reads the link that a path names into r, and returns the path, or nil where it names none that is answered.
func (w *walk) name(r *resolved, d *Domain, path []byte) []byte {
	name := path[1:]
	if code, isCode := ParseCode(name); isCode {
		w.say("path", "a signed code of link %d, under key %d", code.Link(), code.KeyID())
		if !w.key(d, code.KeyID()) {
			return nil
		}
		if w.assumed {
			path = d.keys[code.KeyID()].AppendCode([]byte{'/'}, code.KeyID(), code.Link())
		}
		if !w.signature(d.verify(code)) || !w.row(r, d, code.Link()) {
			return nil
		}
		return path
	}
	if name[0] == '~' {
		return w.token(r, d, path)
	}
	slug, signature := cutByte(name, '~')
	switch {
	case !ValidSlug(slug):
		w.fail("path", "neither a code of %d letters and digits, nor a slug, nor a token: %s", CodeLen, path)
		return nil
	case d.SignedSlugs && len(signature) != SlugSignatureLen:
		w.fail("path", "the slug %s without the signature ~%s that this domain asks for", slug, strings.Repeat("x", SlugSignatureLen))
		return nil
	case !d.SignedSlugs && len(slug) < len(name):
		w.fail("path", "the slug %s with a signature, on a domain whose slugs have none", slug)
		return nil
	}
	w.say("path", "the slug %s", slug)
	if !w.table.bySlug(r, d, slug) {
		w.fail("link", "no link that is answered has this slug here")
		return nil
	}
	w.say("link", "number %d has the slug", r.number)
	if !d.SignedSlugs {
		return path
	}
	slot := r.group.keyID()
	if !w.key(d, slot) {
		return nil
	}
	if w.assumed {
		path = d.keys[slot].AppendSlugSignature(append([]byte{'/'}, string(slug)+"~"...), slug)
	}
	if !w.signature(d.signers(slug, signature).has(slot)) {
		return nil
	}
	return path
}

// token is name for a self-contained link.
func (w *walk) token(r *resolved, d *Domain, path []byte) []byte {
	var buffer TokenBuffer
	token, ok := ParseToken(&buffer, path[2:])
	if !ok {
		w.fail("path", "a token that is cut off or altered")
		return nil
	}
	w.say("path", "a token of link %d, campaign %s, creator %s, under key %d", token.Link, w.campaign(token.Campaign),
		w.creator(token.Influencer), token.KeyID)
	for i, sub := range token.Subs {
		if len(sub) > 0 {
			w.say("token", "sub%d is %q", i+1, sub)
		}
	}
	if token.Expires != 0 {
		w.say("token", "expires %s", token.ExpiresAt().Format(time.RFC3339))
	}
	if !w.key(d, token.KeyID) {
		return nil
	}
	if w.assumed {
		path = d.keys[token.KeyID].AppendToken([]byte("/~"), token)
	}
	if !w.signature(d.verifyToken(&token)) {
		return nil
	}
	if !w.table.byToken(r, d, path[2:]) {
		w.fail("link", "its row, campaign or creator is deleted, unknown or another's")
		return nil
	}
	if len(w.table.link(token.Link)) == 0 {
		w.say("link", "there is no row of it in this snapshot: the campaign says where it leads")
	}
	return path
}

// key tells of the signing key in a slot and reports whether it is in use.
func (w *walk) key(d *Domain, slot uint8) bool {
	if !d.usable[slot] {
		w.fail("key", "brand %s has no key %d: it was retired or never made", d.Brand.Key, slot)
		return false
	}
	state := "still checks"
	if w.names.keys[keyPlace{d.Brand.ID, KeyCode, string(rune('0' + slot))}].Active {
		state = "active"
	}
	w.say("key", "key %d of brand %s, %s", slot, d.Brand.Key, state)
	return true
}

// signature tells of a signature and reports whether it is right, or taken to be.
func (w *walk) signature(verified bool) bool {
	switch {
	case w.assumed:
		w.assuming = true
		w.say("signature", "not checked without the cluster secret; what follows holds if it is right")
	case verified:
		w.say("signature", "right")
	default:
		w.fail("signature", "wrong: altered, mistyped, or made for another host")
		return false
	}
	return true
}

// row reads the link of a number into r, and reports whether d answers it.
func (w *walk) row(r *resolved, d *Domain, number uint32) bool {
	if w.table.answered(r, d, number) {
		return true
	}
	l := w.table.link(number)
	switch {
	case len(l) == 0:
		w.fail("link", "there is no link %d in this snapshot", number)
	case l.gone():
		w.fail("link", "link %d was deleted, or is one that no edge can serve", number)
	case r.group.domain() != d.ID:
		w.fail("link", "link %d is on another domain, %s", number, w.names.domains[r.group.domain()].Host)
	case len(r.creator) == 0:
		w.fail("link", "the creator %d of link %d is unknown", l.influencer(), number)
	default:
		w.fail("link", "the campaign %s of link %d is unknown or has no destination that the brand allows", w.campaign(r.group.campaign()), number)
	}
	return false
}

// link tells of a link that was found, and of what becomes of the query.
func (w *walk) link(r *resolved, query []byte) {
	campaign, creator := w.campaign(r.group.campaign()), w.creator(r.link.influencer())
	key, tail, head := r.link.own()
	name := ""
	if len(key) > 0 {
		name = ", key " + string(key)
	}
	w.say("link", "number %d%s, campaign %s, creator %s", r.number, name, campaign, creator)
	w.state(r, campaign, creator)
	if len(head) > 0 {
		w.say("destination", "the link's own")
	} else {
		w.say("destination", "campaign %s's", campaign)
	}
	at := r.appendLocation(nil)
	whose := "campaign " + campaign + "'s"
	if len(tail) > 0 {
		whose = "the link's own, and where it has none " + whose
	}
	for name, pair := range queryNames(string(at.text)) {
		if strings.HasPrefix(name, "utm_") {
			w.say("utm", "%s, from %s", pair, whose)
		}
	}
	w.query(r, at, query)
}

// state tells what of the link, its campaign and its creator lets it redirect, or does not.
func (w *walk) state(r *resolved, campaign, creator string) {
	for _, s := range []struct {
		what string
		on   bool
	}{{"the link", r.link.enabled()}, {"campaign " + campaign, r.group.is(groupEnabled)}, {"creator " + creator, r.creator.enabled()}} {
		if s.on {
			w.say("state", "%s is enabled", s.what)
		} else {
			w.fail("state", "%s is disabled", s.what)
		}
	}
	for _, s := range []struct {
		what         string
		starts, ends int64
	}{{"the link", r.link.starts(), r.link.expires()}, {"campaign " + campaign, r.group.starts(), r.group.ends()}} {
		if s.starts > w.now {
			w.fail("time", "%s begins %s", s.what, unixText(s.starts))
		} else if s.starts != 0 {
			w.say("time", "%s has begun %s", s.what, unixText(s.starts))
		}
		if s.ends != 0 && s.ends <= w.now {
			w.fail("time", "%s has ended %s", s.what, unixText(s.ends))
		} else if s.ends != 0 {
			w.say("time", "%s ends %s", s.what, unixText(s.ends))
		}
	}
}

func unixText(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }

// query tells which incoming parameters are passed on.
func (w *walk) query(r *resolved, at location, query []byte) {
	_, names := r.group.clickParam()
	passed, _ := appendPassthrough(nil, query, r.storedNames(at, names, new([]byte)), nil)
	var kept []string
	for name := range queryNames("?" + string(passed)) {
		kept = append(kept, name)
	}
	for name := range queryNames("?" + string(query)) {
		if slices.Contains(kept, name) {
			w.say("query", "%s is passed on", url.QueryEscape(name))
		} else {
			w.say("query", "%s is left out: the link sets it, it is repeated or malformed, or there are too many", url.QueryEscape(name))
		}
	}
}

// campaign is the key of a campaign, its number where it is unknown.
func (w *walk) campaign(id uint32) string {
	if c, known := w.names.campaigns[id]; known {
		return c.Key
	}
	return fmt.Sprintf("number %d", id)
}

// creator is campaign for a creator.
func (w *walk) creator(id uint32) string {
	if c := creator(w.table.creators.At(id)); len(c) > 0 {
		return unescaped(c.key())
	}
	return fmt.Sprintf("number %d", id)
}
