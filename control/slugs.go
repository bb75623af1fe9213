package control

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"carom/redirect"
)

// A slugPlace is where a vanity slug stands.
type slugPlace struct {
	domain uint32
	slug   string
}

// A slugBook says who may have which vanity slug while some records are imported together. A slug goes to the first record that
// names it, if nobody holds it, or its holder gives it up in a record of the same chunk, before or after: so two links can
// swap theirs.
type slugBook struct {
	held    map[slugPlace]linkKey // as stored, of the slugs that the records name and of the links that they mean
	leaving map[linkKey]bool      // links that have another slug in a record
	claimed map[slugPlace]linkKey // by an accepted record
	named   map[slugPlace]linkKey // by the first record that does
	spoken  map[slugPlace]bool    // alternatives that are spoken for: a link has them, or was offered them
}

// A slugWish is the slug that a record has for its link, which may be empty.
type slugWish struct {
	key   linkKey
	place slugPlace
}

func (r *linkRow) slugWish() slugWish {
	return slugWish{linkKey{r.BrandID, r.Link}, slugPlace{r.DomainID, r.Slug}}
}

// newSlugBook is given the stored rows of all links and slugs that wishes name. It reads which alternatives to contested
// slugs are free.
func newSlugBook(ctx context.Context, s store, stored map[linkKey]linkRow, wishes []slugWish) (*slugBook, error) {
	b := &slugBook{
		held: map[slugPlace]linkKey{}, leaving: map[linkKey]bool{}, claimed: map[slugPlace]linkKey{},
		named: map[slugPlace]linkKey{}, spoken: map[slugPlace]bool{},
	}
	for key, row := range stored {
		if row.Slug != "" {
			b.held[slugPlace{row.DomainID, row.Slug}] = key
		}
	}
	for _, w := range wishes {
		if row, known := stored[w.key]; known && row.Slug != "" && row.Slug != w.place.slug {
			b.leaving[w.key] = true
		}
		if _, twice := b.named[w.place]; !twice {
			b.named[w.place] = w.key
		}
	}
	var contested []slugWish
	for _, w := range wishes {
		if w.place.slug != "" && (b.named[w.place] != w.key || !b.free(w)) {
			contested = append(contested, w)
		}
	}
	return b, b.readAlternatives(ctx, s, contested)
}

// free reports whether no other link holds the slug for good.
func (b *slugBook) free(w slugWish) bool {
	holder, held := b.held[w.place]
	return !held || holder == w.key || b.leaving[holder]
}

// check says why a link cannot have the slug it wishes for, or nil.
func (b *slugBook) check(w slugWish) error {
	holder, taken := b.claimed[w.place]
	if taken = taken && holder != w.key; !taken && !b.free(w) {
		holder, taken = b.held[w.place], true
	}
	if !taken {
		return nil
	}
	free := b.alternative(w)
	if free != "" {
		free = fmt.Sprintf("; %q is free", free)
	}
	return fmt.Errorf("%w on this host by link %q%s", ErrTaken, holder.link, free)
}

// claim notes that a record was accepted.
func (b *slugBook) claim(w slugWish) {
	if w.place.slug != "" {
		b.claimed[w.place] = w.key
	}
}

// lateHolder is the link that holds a slug though another has claimed it: its own record must give it up.
func (b *slugBook) lateHolder(w slugWish) (holder linkKey, held bool) {
	holder, held = b.held[w.place]
	return holder, held && holder != w.key && w.place.slug != ""
}

// lastAlternative is the highest number that is put behind a slug that is taken.
const lastAlternative = 9

// alternatives are slugs like the one wished for: with a number, and with what only this link would get.
func alternatives(w slugWish) []slugPlace {
	var list []slugPlace
	add := func(suffix string) {
		stem := w.place.slug[:min(len(w.place.slug), redirect.MaxSlug-len(suffix))]
		list = append(list, slugPlace{w.place.domain, stem + suffix})
	}
	for n := 2; n <= lastAlternative; n++ {
		add("-" + strconv.Itoa(n))
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(w.key.link)) // never fails
	add("-" + strconv.FormatUint(uint64(hash.Sum32()), 36))
	return list
}

// readAlternatives finds out which alternatives to contested slugs are held, or were by links that are deleted.
func (b *slugBook) readAlternatives(ctx context.Context, s store, contested []slugWish) error {
	if len(contested) == 0 {
		return nil
	}
	table, err := ext.NewTable("named", ext.Column("domain", "UInt32"), ext.Column("slug", "String"))
	if err != nil {
		return err
	}
	for _, w := range contested {
		for _, a := range alternatives(w) {
			if err := table.Append(a.domain, a.slug); err != nil {
				return err
			}
		}
	}
	type holder struct {
		Domain uint32 `ch:"domain_id"`
		Slug   string `ch:"slug"`
	}
	rows, err := selectRows[holder](withTable(ctx, table), s, "links", `link_id IN (
		SELECT link_id FROM links WHERE slug != '' AND (domain_id, slug) IN (SELECT domain, slug FROM named))`)
	for _, row := range rows {
		b.spoken[slugPlace{row.Domain, row.Slug}] = true
	}
	return err
}

// alternative offers a slug that is free, each to one link only; empty where none is.
func (b *slugBook) alternative(w slugWish) string {
	for _, a := range alternatives(w) {
		if _, named := b.named[a]; !named && !b.spoken[a] && redirect.ValidSlug([]byte(a.slug)) {
			b.spoken[a] = true
			return a.slug
		}
	}
	return ""
}

// review refuses links whose slug its holder should have given up and did not, its own record being refused; and then those
// that were to have what they give up.
func (k *linkImport) review(outcomes []outcome[linkRow]) (refused []int) {
	slugs := map[linkKey]string{} // of the links that were accepted
	takers := map[linkKey][]int{} // of what a link holds
	var open []int
	for i := range outcomes {
		if outcomes[i].refused != nil {
			continue
		}
		wish := outcomes[i].row.slugWish()
		slugs[wish.key] = wish.place.slug
		if holder, held := k.slugs.lateHolder(wish); held {
			takers[holder] = append(takers[holder], i)
			open = append(open, i)
		}
	}
	for len(open) > 0 {
		i := open[0]
		open = open[1:]
		wish := outcomes[i].row.slugWish()
		holder, _ := k.slugs.lateHolder(wish)
		if slug, accepted := slugs[holder]; outcomes[i].refused != nil || accepted && slug != wish.place.slug {
			continue
		}
		outcomes[i] = outcome[linkRow]{row: outcomes[i].row, refused: refuse("slug",
			"%s on this host by link %q, which does not give it up: its own line is refused", ErrTaken, holder.link).because(ErrTaken)}
		delete(slugs, wish.key)
		refused, open = append(refused, i), append(open, takers[wish.key]...)
	}
	return refused
}

// checkSlug says why a text cannot be anybody's slug, or nil.
func checkSlug(slug string) error {
	lower := strings.ToLower(slug)
	switch reason := reservedSlug(slug); {
	case !redirect.ValidSlug([]byte(slug)) && redirect.ValidSlug([]byte(lower)) && reservedSlug(lower) == "":
		return fmt.Errorf("must be in lower case, as %q: a short URL in capitals is another one, and unknown", lower)
	case !redirect.ValidSlug([]byte(slug)):
		return fmt.Errorf("must be 3 to %d of a-z, 0-9, _ and -, a letter or digit first, and not %d letters and digits, "+
			"which is a signed code's shape", redirect.MaxSlug, redirect.CodeLen)
	case reason != "":
		return fmt.Errorf("is reserved: %s", reason)
	}
	return nil
}

// reservedSlug says what a slug that looks like another page would be mistaken for; empty for one that is free to take. What
// edges answer themselves (/_/, /.well-known/, /robots.txt, /~) has no slug's shape.
func reservedSlug(slug string) string {
	switch slug {
	case "login", "logout", "signin", "signout", "signup", "sign-in", "sign-out", "sign-up", "log-in", "log-out",
		"account", "password", "passwords", "reset-password", "auth", "oauth", "oauth2", "sso", "saml", "2fa", "mfa", "otp",
		"verify", "verification", "webmail":
		return "visitors would take it for a page that may ask for a password"
	case "admin", "administrator", "root", "api", "graphql", "metrics", "health", "healthz",
		"ready", "readyz", "livez", "debug", "pprof", "server-status", "wp-admin", "wp-login", "phpmyadmin", "cgi-bin":
		return "operators and scanners expect a service's own pages there"
	case "assets", "static", "well-known", "robots", "favicon", "sitemap", "service-worker", "manifest":
		return "browsers and crawlers expect a site's own files there"
	case "null", "undefined", "nan", "none":
		return "faulty pages link there by mistake"
	}
	return ""
}
