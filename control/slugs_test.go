package control_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"carom/control"
)

// slugs imports links of one campaign, creator and host: each line is a link and its slug.
func (w *world) slugs(lines ...string) control.Result {
	w.t.Helper()
	file := []string{"domain,campaign,influencer,link,slug"}
	for _, line := range lines {
		file = append(file, "go.acme.example,boots,lena,"+line)
	}
	return w.run(control.LocalScope(), "links", csv(file...))
}

// holders are the stored links by their slug.
func (w *world) holders() map[string]string {
	w.t.Helper()
	holders := map[string]string{}
	err := w.EachLink(w.t.Context(), control.LocalScope(), control.LinkFilter{}, func(l control.Link) error {
		if l.Slug != "" {
			if other, twice := holders[l.Slug]; twice {
				w.t.Fatalf("slug %s is held by %s and by %s", l.Slug, other, l.Link)
			}
			holders[l.Slug] = l.Link
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return holders
}

// reasons are why lines of an import were refused, by line.
func reasons(r control.Result) map[int]string {
	list := map[int]string{}
	for _, reject := range r.Rejected {
		list[reject.Line] = reject.Reason
	}
	return list
}

func TestSlugsChangeHandsWithinOneFile(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	for _, test := range []struct {
		why     string
		lines   []string
		holders map[string]string
		refused map[int]string
	}{
		{"two are swapped", []string{"a,two", "b,one"}, map[string]string{"two": "a", "one": "b", "three": "c"}, map[int]string{}},
		{"three go round", []string{"a,two", "b,three", "c,one"}, map[string]string{"two": "a", "three": "b", "one": "c"}, map[int]string{}},
		{
			"a line before the one that gives it up",
			[]string{"new,one", "a,"},
			map[string]string{"one": "new", "two": "b", "three": "c"},
			map[int]string{},
		},
		{
			"a line behind it",
			[]string{"a,other", "new,one"},
			map[string]string{"other": "a", "one": "new", "two": "b", "three": "c"},
			map[int]string{},
		},
		{
			"half of a swap is refused, and so is the rest",
			[]string{"a,two", "b,NO WAY"},
			map[string]string{"one": "a", "two": "b", "three": "c"},
			map[int]string{2: `is taken on this host by link "b", which does not give it up: its own line is refused`, 3: "must be 3 to 64"},
		},
		{
			"a chain without its end",
			[]string{"a,two", "b,three", "c,-", "new,one"},
			map[string]string{"one": "a", "two": "b", "three": "c"},
			map[int]string{2: `by link "b", which does not`, 3: `by link "c", which does not`, 4: "must be 3 to 64", 5: `by link "a", which does not`},
		},
		{
			"the second line of a link does not count",
			[]string{"new,one", "a,one", "a,other"},
			map[string]string{"one": "a", "two": "b", "three": "c"},
			map[int]string{2: `is taken on this host by link "a"`, 4: "repeats the key of line 3"},
		},
	} {
		t.Run(test.why, func(t *testing.T) {
			w.slugs("new,", "a,one", "b,two", "c,three")
			got := reasons(w.slugs(test.lines...))
			if diff := cmp.Diff(test.holders, w.holders()); diff != "" {
				t.Errorf("holders (-want +got):\n%s", diff)
			}
			if len(got) != len(test.refused) {
				t.Errorf("refused: %v", got)
			}
			for line, says := range test.refused {
				if !strings.Contains(got[line], says) {
					t.Errorf("line %d: %q, want %q", line, got[line], says)
				}
			}
		})
	}
}

// Whatever lines ask for, no slug has two holders, and importing the file again changes nothing more where all was accepted.
func TestSlugsHaveOneHolder(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	rapid.Check(t, func(t *rapid.T) {
		link, slug := rapid.SampledFrom([]string{"a", "b", "c", "d"}), rapid.SampledFrom([]string{"", "one", "two", "three", "No"})
		var lines []string
		for range rapid.IntRange(1, 6).Draw(t, "lines") {
			lines = append(lines, link.Draw(t, "link")+","+slug.Draw(t, "slug"))
		}
		first := w.slugs(lines...)
		holders := w.holders()
		if len(first.Rejected) > 0 {
			return
		}
		for _, line := range lines {
			link, slug, _ := strings.Cut(line, ",")
			if slug != "" && holders[slug] != link {
				t.Fatalf("%v was accepted, %s is held by %q", lines, slug, holders[slug])
			}
		}
		if again := w.slugs(lines...); again.Unchanged != len(lines) {
			t.Fatalf("again: %+v", again)
		}
	})
}

func TestTakenSlugsComeWithAFreeOne(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	w.load("brands", "brand,name,currency", "other,Other,EUR")
	w.load("domains", "host,brand", "go.other.example,other")
	w.load("campaigns", "campaign,brand,name,destination", "hats,other,Hats,https://other-goods.example/")
	long := strings.Repeat("x", 64)
	w.slugs("a,sale", "b,sale-2", "c,sale-4", "d,"+long)
	w.load("links", "domain,campaign,influencer,link,slug", "go.other.example,hats,lena,o,sale-3") // which is another host's
	got := reasons(w.slugs("n1,sale", "n2,sale", "n3,sale-5", "n4,sale", "n5,twice", "n6,twice", "n7,"+long))
	want := map[int]string{
		2: `is taken on this host by link "a"; "sale-3" is free`,
		3: `is taken on this host by link "a"; "sale-6" is free`, // 4 is held, 5 named by a line of the file
		5: `is taken on this host by link "a"; "sale-7" is free`,
		7: `is taken on this host by link "n5"; "twice-2" is free`,
		8: fmt.Sprintf(`is taken on this host by link "d"; %q is free`, long[:62]+"-2"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := w.slugs("n1,sale-3", "n2,sale-6", "n4,sale-7", "n6,twice-2", "n7,"+long[:62]+"-2"); len(again.Rejected) > 0 {
		t.Errorf("what was offered is refused: %+v", again.Rejected)
	}
	api := w.serve() + "/api/v1"
	patched := ask(t, http.MethodPatch, api+"/links/n1", w.token(control.Editor, "acme"), `{"slug": "sale"}`)
	if patched.status != http.StatusConflict || !strings.Contains(patched.body, `\"sale-8\" is free`) || !strings.Contains(patched.body, "body.slug") {
		t.Errorf("over the API: %+v", patched)
	}
	// With all numbers in use there is still one that only this link would be offered.
	w.slugs("e,sale-8", "f,sale-9")
	if got := reasons(w.slugs("n8,sale"))[2]; !strings.HasPrefix(got, `is taken on this host by link "a"; "sale-`) {
		t.Errorf("%q", got)
	}
}

func TestSlugsThatNobodyGets(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	for slug, says := range map[string]string{
		"login":       "is reserved: visitors would take it for a page that may ask for a password",
		"healthz":     "is reserved: operators and scanners expect",
		"favicon":     "is reserved: browsers and crawlers expect",
		"undefined":   "is reserved: faulty pages link there",
		"Summer-Sale": `must be in lower case, as "summer-sale"`,
		"LOGIN":       "must be 3 to 64",
		"Abcdefghijk": "signed code's shape",
		"su":          "must be 3 to 64",
		"sömmer":      "must be 3 to 64",
		"a/b":         "must be 3 to 64",
		"~sale":       "must be 3 to 64",
		"robots.txt":  "must be 3 to 64",
	} {
		if got := reasons(w.slugs("new," + slug))[2]; !strings.Contains(got, says) {
			t.Errorf("%s: %q, want %q", slug, got, says)
		}
	}
	if got := w.slugs("new,support", "more,live", "shop,checkout"); len(got.Rejected) > 0 {
		t.Errorf("words that brands use: %+v", got.Rejected)
	}
}
