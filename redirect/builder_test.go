package redirect

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"carom/ingest"
)

// The world of the model test is small, so that links meet: in a page, at its borders, over a slug.
const pageLinks = 256

var (
	modelNumbers = []uint32{1, 2, 3, pageLinks - 1, pageLinks, pageLinks + 1, 2 * pageLinks, 9*pageLinks + 7}
	modelSlugs   = []string{"", "", "alpha", "beta", "gamma"}
)

// modelLink is what a test expects of a link: the plain truth, without records and pages.
type modelLink struct {
	row         LinkRow
	destination string // its own, or the campaign's as it is now
}

// A model is the reference data as a map, and the way changes reach a builder.
type model struct {
	links        map[uint32]LinkRow
	destinations map[uint32]string // by campaign; a campaign without one is unknown
	builder      *Builder
}

func newModel() *model {
	b := NewBuilder()
	for id := uint32(1); id <= 2; id++ {
		b.SetBrand(Brand{ID: id, Key: fmt.Sprintf("brand%d", id)})
		b.SetKey(KeyRow{Brand: id, Kind: KeyCode, ID: "0", Secret: modelSecret(id), Active: true})
	}
	for id := uint32(1); id <= 3; id++ {
		b.SetDomain(DomainRow{ID: id, Host: modelHost(id), Brand: (id + 1) / 2})
	}
	b.SetInfluencer(Influencer{ID: 1, Key: "mia", Tier: ingest.TierMid, Enabled: true})
	return &model{links: map[uint32]LinkRow{}, destinations: map[uint32]string{}, builder: b}
}

func modelSecret(brand uint32) []byte { return fmt.Appendf(nil, "secret of brand %d", brand) }
func modelHost(domain uint32) string  { return fmt.Sprintf("d%d.test", domain) }

// change makes one change and adds the numbers of the links that the builder has to be given again.
func (m *model) change(t *rapid.T, touched map[uint32]bool) {
	number := rapid.SampledFrom(modelNumbers).Draw(t, "number")
	switch rapid.IntRange(0, 9).Draw(t, "change") {
	case 0:
		if row, ok := m.links[number]; ok {
			row.Deleted = true
			m.links[number] = row
			touched[number] = true
		}
	case 1:
		id := uint32(rapid.IntRange(1, 3).Draw(t, "campaign"))
		m.destinations[id] = fmt.Sprintf("https://shop.example/%d/%d", id, rapid.IntRange(0, 99).Draw(t, "version"))
		m.builder.SetCampaign(Campaign{ID: id, Key: "c", Brand: 1, Destination: m.destinations[id], ClickIDParam: "click_id", Enabled: true})
	default:
		domain := uint32(rapid.IntRange(1, 3).Draw(t, "domain"))
		if old, ok := m.links[number]; ok {
			domain = old.Domain // never changes
		}
		row := LinkRow{
			ID: number, Brand: (domain + 1) / 2, Campaign: uint32(rapid.IntRange(1, 3).Draw(t, "campaign")), Influencer: 1, Domain: domain,
			Slug:        rapid.SampledFrom(modelSlugs).Draw(t, "slug"),
			Destination: rapid.SampledFrom([]string{"", "", "https://own.example/?a=1&b=2#c", "javascript:alert(1)"}).Draw(t, "destination"),
			Fallback:    rapid.SampledFrom([]string{"", "https://own.example/over"}).Draw(t, "fallback"),
			Coupon:      rapid.SampledFrom([]string{"", "MIA10"}).Draw(t, "coupon"),
			Enabled:     rapid.Bool().Draw(t, "enabled"),
		}
		for n, other := range m.links { // control lets one live link have a slug: the new owner takes it
			if n != number && row.Slug != "" && other.Domain == domain && other.Slug == row.Slug && !other.Deleted {
				other.Slug = ""
				m.links[n] = other
				touched[n] = true
			}
		}
		m.links[number] = row
		touched[number] = true
	}
}

// served is what a table of the model's state must answer.
func (m *model) served() map[uint32]modelLink {
	served := map[uint32]modelLink{}
	for number, row := range m.links {
		campaign, known := m.destinations[row.Campaign]
		if row.Deleted || !known || strings.HasPrefix(row.Destination, "javascript") {
			continue
		}
		if row.Destination != "" {
			campaign = row.Destination
		}
		served[number] = modelLink{row, campaign}
	}
	return served
}

// count is how many links a table of the model's state holds, those without a campaign included.
func (m *model) count() (n int) {
	for _, row := range m.links {
		_, known := m.destinations[row.Campaign]
		if !row.Deleted && (!known || !strings.HasPrefix(row.Destination, "javascript")) {
			n++
		}
	}
	return n
}

// sums are those of the rows, each in the form they were last given in.
func (m *model) sums() (sums []tableSum) {
	for _, row := range m.links {
		if sums == nil {
			sums = make([]tableSum, 1) // all numbers of the model are in the first part
		}
		sums[0].add(xxhash.Sum64(row.appendHashed(nil)))
	}
	return sums
}

// give hands changed and stale links to the builder in any order.
func (m *model) give(t *rapid.T, touched map[uint32]bool) {
	for n, row := range m.links {
		own := row.Destination != "" || row.Fallback != ""
		touched[n] = touched[n] || own && slices.Contains(m.builder.Stale().Campaigns, row.Campaign)
	}
	m.builder.Refreshed()
	numbers := slices.DeleteFunc(slices.Sorted(maps.Keys(touched)), func(n uint32) bool { return !touched[n] })
	if len(numbers) > 1 {
		numbers = rapid.Permutation(numbers).Draw(t, "order")
	}
	served := m.served()
	for _, n := range numbers {
		row, err := m.links[n], m.builder.SetLink(m.links[n])
		_, ok := served[n]
		if (err == nil) != (ok || row.Deleted) {
			t.Fatalf("SetLink(%+v): %v", row, err)
		}
		if err != nil && !errors.Is(err, ErrReference) && !errors.Is(err, ErrDestination) {
			t.Fatalf("SetLink(%+v) fails with %v", row, err)
		}
	}
}

// compare asks the table for every number and slug on every domain.
func compare(t *rapid.T, when string, table *Table, want map[uint32]modelLink) {
	defer runtime.KeepAlive(table)
	for domain := uint32(1); domain <= 3; domain++ {
		d := table.Domain([]byte(modelHost(domain)))
		key := NewCodeKey(modelSecret(d.Brand.ID), d.Host)
		for _, number := range append([]uint32{0, 4, 100 * pageLinks, MaxLink}, modelNumbers...) {
			var l resolved
			ok := table.resolve(&l, d, append([]byte{'/'}, key.AppendCode(nil, 0, number)...))
			link, known := want[number]
			if known = known && link.row.Domain == domain; ok != known {
				t.Fatalf("%s: code of link %d on domain %d resolves: %v, want %v", when, number, domain, ok, known)
			}
			if ok {
				compareLink(t, when, l, number, link)
			}
		}
		for _, slug := range modelSlugs[2:] {
			var l resolved
			ok := table.resolve(&l, d, []byte("/"+slug))
			var owner uint32
			for number, link := range want {
				if link.row.Domain == domain && link.row.Slug == slug {
					owner = number
				}
			}
			if ok != (owner != 0) || ok && l.number != owner {
				t.Fatalf("%s: slug %q on domain %d is link %d (%v), want %d", when, slug, domain, l.number, ok, owner)
			}
			if ok {
				compareLink(t, when, l, owner, want[owner])
			}
		}
	}
}

func compareLink(t *rapid.T, when string, l resolved, number uint32, want modelLink) {
	at, texts := l.appendLocation(nil), l.link.texts()
	destination, wantFragment, _ := strings.Cut(want.destination, "#")
	if strings.Contains(destination, "?") {
		destination += "&"
	} else {
		destination += "?"
	}
	if wantFragment != "" {
		wantFragment = "#" + wantFragment
	}
	if l.number != number || string(at.text) != destination || string(at.fragment) != wantFragment ||
		string(texts.slug) != want.row.Slug || string(texts.fallback) != want.row.Fallback || l.group.campaign() != want.row.Campaign ||
		l.group.brand() != want.row.Brand || l.link.influencer() != 1 || l.creator.tier() != ingest.TierMid ||
		(l.state(1000) == 0) != want.row.Enabled {
		t.Fatalf("%s: link %d is %q %q slug %q fallback %q campaign %d, want %+v", when, number, at.text, at.fragment, texts.slug,
			texts.fallback, l.group.campaign(), want)
	}
}

// Whatever changes come, in whatever order within a poll, a table answers as a map would; and a table once made stays what
// it was while the builder goes on.
func TestTableAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		type frozen struct {
			table *Table
			want  map[uint32]modelLink
		}
		var tables []frozen
		for poll := range rapid.IntRange(1, 8).Draw(t, "polls") {
			touched := map[uint32]bool{}
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				m.change(t, touched)
			}
			m.give(t, touched)
			tables = append(tables, frozen{m.builder.Table(), m.served()})
			if got := tables[poll].table.Links(); got != m.count() {
				t.Fatalf("poll %d: %d links, want %d", poll, got, m.count())
			}
			if got, want := m.builder.sums, m.sums(); !slices.Equal(got, want) {
				t.Fatalf("poll %d: sums %v, want %v", poll, got, want)
			}
			compare(t, fmt.Sprintf("poll %d", poll), tables[poll].table, tables[poll].want)
		}
		for i, f := range tables {
			compare(t, fmt.Sprintf("table %d, at the end", i), f.table, f.want)
		}
	})
}

// filled gives a builder n links, every tenth with a slug.
func filled(t testing.TB, n uint32) *model {
	t.Helper()
	m := newModel()
	m.builder.SetCampaign(Campaign{ID: 1, Key: "c", Brand: 1, Destination: "https://shop.example/?a=b", ClickIDParam: "click_id", Enabled: true})
	for number := uint32(1); number <= n; number++ {
		row := LinkRow{ID: number, Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, Enabled: true}
		if number%10 == 0 {
			row.Slug = fmt.Sprintf("slug-%d", number)
		}
		if err := m.builder.SetLink(row); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestSameLinkAgainChangesNothing(t *testing.T) {
	m := filled(t, 20)
	first := m.builder.Table()
	filledAgain := LinkRow{ID: 10, Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, Slug: "slug-10", Enabled: true}
	if err := m.builder.SetLink(filledAgain); err != nil {
		t.Fatal(err)
	}
	second := m.builder.Table()
	if !reflect.DeepEqual(first.links, second.links) || !reflect.DeepEqual(first.slugs, second.slugs) || second.Links() != 20 {
		t.Error("a link given again as it was made new pages")
	}
	if reflect.ValueOf(first.domains).Pointer() != reflect.ValueOf(second.domains).Pointer() {
		t.Error("domains were made anew though none changed")
	}
}

func TestSetLinkRefusals(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	for name, c := range map[string]struct {
		change func(*LinkRow)
		want   error
	}{
		"in order":         {func(*LinkRow) {}, nil},
		"no such campaign": {func(l *LinkRow) { l.Campaign = 9 }, ErrReference},
		"no such creator":  {func(l *LinkRow) { l.Influencer = 9 }, ErrReference},
		"no such brand":    {func(l *LinkRow) { l.Brand = 9 }, ErrReference},
		"line feed":        {func(l *LinkRow) { l.Destination = "https://shop.example/\n" }, ErrDestination},
		"script":           {func(l *LinkRow) { l.Destination = "javascript:alert(1)" }, ErrDestination},
		"bad fallback":     {func(l *LinkRow) { l.Fallback = "//evil.example" }, ErrDestination},
		"UTM value of 64k": {func(l *LinkRow) { l.UTM.Source = long }, ErrDestination},
		"slug too long":    {func(l *LinkRow) { l.Slug = long[:65] }, ErrDestination},
	} {
		m := filled(t, 5)
		row := LinkRow{ID: 3, Key: "my-link", Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, Enabled: true}
		c.change(&row)
		err := m.builder.SetLink(row)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), `link "my-link" (number 3)`) {
			t.Errorf("%s: %v, want %v with the link's name", name, err, c.want)
		}
		table := m.builder.Table()
		d := table.Domain([]byte(modelHost(1)))
		if answered := table.answered(&resolved{}, d, 3); answered != (err == nil) {
			t.Errorf("%s: the link is answered: %v", name, answered)
		}
		if a, known := table.attribution(3); !known || a != (attribution{row.Brand, row.Campaign, row.Influencer}) {
			t.Errorf("%s: its clicks are attributed to %+v, %v", name, a, known)
		}
	}
	for _, id := range []uint32{0, MaxLink + 1} {
		if err := NewBuilder().SetLink(LinkRow{ID: id}); err == nil {
			t.Errorf("link number %d is taken", id)
		}
	}
}

// A domain without a brand, or deleted, answers nothing; a key retired and a URL that does not pass are as good as none.
func TestDomainsFollowTheirBrandsAndKeys(t *testing.T) {
	m := filled(t, 1)
	b := m.builder
	b.SetDomain(DomainRow{ID: 1, Host: "d1.test", Brand: 1, Home: "javascript:alert(1)", NotFound: "https://shop.example/lost"})
	d := b.Table().Domain([]byte("d1.test"))
	if d == nil || d.Home != nil || string(d.NotFound) != "https://shop.example/lost" || d.Fallback != nil {
		t.Fatalf("domain %+v", d)
	}
	if !d.usable[0] || d.usable[1] {
		t.Errorf("usable slots %v", d.usable)
	}
	b.SetBrand(Brand{ID: 1, Deleted: true})
	if b.Table().Domain([]byte("d1.test")) != nil {
		t.Error("the domain of a deleted brand is still there")
	}
	b.SetBrand(Brand{ID: 1, Key: "back"})
	if d := b.Table().Domain([]byte("d1.test")); d == nil || d.Brand.Key != "back" {
		t.Error("the domain does not come back with its brand")
	}
	b.SetDomain(DomainRow{ID: 1, Deleted: true})
	table := b.Table()
	if table.Domain([]byte("d1.test")) != nil || table.Domain([]byte("d2.test")) == nil {
		t.Error("a deleted domain is still there, or took another with it")
	}
}

// Readers go on with the table they have while the builder makes the next: the race detector watches.
func TestReadersAndBuilderDoNotMeet(t *testing.T) {
	m := filled(t, 3*pageLinks)
	var current atomic.Pointer[Table]
	current.Store(m.builder.Table())
	key := NewCodeKey(modelSecret(1), modelHost(1))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 3 {
		readers.Go(func() {
			var path [1 + CodeLen]byte
			path[0] = '/'
			for i := uint32(r); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				table := current.Load()
				number := i%(3*pageLinks) + 1
				key.AppendCode(path[:1], 0, number)
				var l resolved
				if !table.resolve(&l, table.Domain([]byte("d1.test")), path[:]) || l.number != number {
					t.Errorf("link %d resolves as %d", number, l.number)
					return
				}
				if location := l.appendLocation(nil).text; !bytes.HasPrefix(location, []byte("https://shop.example/?")) {
					t.Errorf("the location of link %d is %q", number, location)
					return
				}
				runtime.KeepAlive(table)
			}
		})
	}
	for i := range uint32(300) {
		row := LinkRow{
			ID: i*7%(3*pageLinks) + 1, Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, Enabled: i%2 == 0, Slug: fmt.Sprintf("new-%d", i),
			Destination: fmt.Sprintf("https://shop.example/?p%d=1", i), Starts: time.Unix(int64(i), 0),
		}
		if err := m.builder.SetLink(row); err != nil {
			t.Fatal(err)
		}
		current.Store(m.builder.Table())
	}
	close(stop)
	readers.Wait()
}
