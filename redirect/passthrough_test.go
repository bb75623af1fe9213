package redirect

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func passed(query string, stored ...string) string {
	out, _ := appendPassthrough(nil, []byte(query), packNames(stored), nil)
	return string(out)
}

func TestAppendPassthrough(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "p%d=%d&", i, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, query, want string }{
		{"nothing", "", ""},
		{"ad click ids", "gclid=Cj0_-1&fbclid=IwAR.x~1&ttclid=E.C.P", "gclid=Cj0_-1&fbclid=IwAR.x~1&ttclid=E.C.P&"},
		{"sub ids", "sub1=a&sub2=b&sub5=e", "sub1=a&sub2=b&sub5=e&"},
		{"of a repeated name the first", "a=1&b=2&a=3", "a=1&b=2&"},
		{"of a repeated name the first, in another spelling", "a=1&%61=2", "a=1&"},
		{"a repeated name whose first does not decode", "a=%zz&a=2", "a=2&"},
		{"stored names", "utm_source=evil&click_id=forged&x=1", "x=1&"},
		{"stored names, encoded", "utm%5Fsource=evil&%63lick_id=forged", ""},
		{"in other case, as ASP.NET reads them", "UTM_Source=evil&x=1&Click_ID=forged", "x=1&"},
		{"with a dot, as PHP reads them", "utm.source=evil&x.y=1&click.id=forged", "x.y=1&"},
		{"with a blank, as PHP reads them", "utm+source=evil&utm%20source=evil&click%20id=forged&x+y=1", "x%20y=1&"},
		{"with a bracket that is not closed, as PHP reads them", "utm[source=evil&click%5Bid=forged&x%5By=1", "x%5By=1&"},
		{"with blanks before", "+utm_source=evil&%20%20click_id=forged&+x=1", "%20x=1&"},
		{"as a list", "utm_source[]=evil&click_id%5B%5D=forged&x[]=1", "x%5B%5D=1&"},
		{"as a map", "utm_source[a]=evil&utm.source[b][c]=evil&x[a]=1&x[b]=2", "x%5Ba%5D=1&x%5Bb%5D=2&"},
		{"as a list that is not closed", "click_id[=forged", ""},
		{"within longer names", "utm_source2=a&xclick_id=b&utm_source_=c&utm=d&click-id=e", "utm_source2=a&xclick_id=b&utm_source_=c&utm=d&click-id=e&"},
		{"only blanks", "++=1&x=1", "%20%20=1&x=1&"},
		{"an encoded ampersand", "a=1%26admin%3D1", "a=1%26admin%3D1&"},
		{"an encoded ampersand in a name", "a%26b=1", "a%26b=1&"},
		{"an equals sign in the value", "a=b=c", "a=b%3Dc&"},
		{"a blank, either way", "a=b+c&d=e%20f", "a=b%20c&d=e%20f&"},
		{"an encoded plus", "a=1%2B1", "a=1%2B1&"},
		{"lower-case escapes", "a=%c3%bc", "a=%C3%BC&"},
		{"bytes outside ASCII", "a=ü", "a=%C3%BC&"},
		{"invalid UTF-8", "a=%ff", "a=%FF&"},
		{"no value", "a=&b&c=1", "a=&b=&c=1&"},
		{"no name", "=1&a=2", "a=2&"},
		{"stray separators", "&&a=1&&&b=2&", "a=1&b=2&"},
		{"a semicolon is no separator", "a=1;b=2", "a=1%3Bb%3D2&"},
		{"a fragment sign", "a=1%23x", "a=1%23x&"},
		{"line feeds", "a=1%0d%0aX-Evil:1&b=2", "b=2&"},
		{"a line feed in the name", "a%0a=1&b=2", "b=2&"},
		{"NUL", "a=%00&b=2", "b=2&"},
		{"DEL", "a=%7f&b=2", "b=2&"},
		{"broken escapes", "a=%&b=%1&c=%g1&d=%1g&e=1", "e=1&"},
		{"a broken escape in the name", "%=1&a%=2&e=1", "e=1&"},
		{"addresses", "url=https://evil.example&destination=//evil", "url=https%3A%2F%2Fevil.example&destination=%2F%2Fevil&"},
		{"as many as allowed", many(maxPassthrough), many(maxPassthrough)},
		{"more than allowed", many(maxPassthrough + 5), many(maxPassthrough)},
		{"separators count, so that work is bounded", strings.Repeat("&", maxPassthrough) + "a=1", ""},
	} {
		if got := passed(c.query, "utm_source", "click_id"); got != c.want {
			t.Errorf("%s: %q passes as %q, want %q", c.name, c.query, got, c.want)
		}
	}
}

// A destination's own odd names are as safe as plain ones.
func TestStoredNamesAreReadAsShopsReadThem(t *testing.T) {
	for _, c := range []struct{ stored, query, want string }{
		{"aff.sub", "aff_sub=evil&aff%20sub=evil&aff.sub=evil&aff-sub=1", "aff-sub=1&"},
		{"aff sub", "aff_sub=evil&aff.sub=evil", ""},
		{"Ref", "ref=evil&REF=evil&ref2=1", "ref2=1&"},
		{"filter[color]", "filter[color]=evil&filter=evil&filter[size]=evil&filters=1", "filters=1&"},
		{"filter[color", "filter_color=evil&filter[color=evil", ""},
		{"list[]", "list=evil&list[]=evil&lists[]=1", "lists%5B%5D=1&"},
		{"ü", "%C3%BC=evil&u=1", "u=1&"},
		{"", "a=1", "a=1&"},
	} {
		if got := passed(c.query, c.stored); got != c.want {
			t.Errorf("with %q stored %q passes as %q, want %q", c.stored, c.query, got, c.want)
		}
	}
}

// phpName is the key of $_GET that PHP 8 stores a decoded name under (php_register_variable_ex).
func phpName(name string) string {
	name = strings.TrimLeft(name, " ")
	under := strings.NewReplacer(" ", "_", ".", "_", "[", "_")
	if list, index, bracketed := strings.Cut(name, "["); bracketed && strings.Contains(index, "]") {
		return under.Replace(list)
	}
	return under.Replace(name)
}

// Whatever PHP makes of a query that has passed, it never stores a value where the link has stored one.
func TestNothingPassesThatPHPReadsAsStored(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune("aB_. []=&")), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		stored := rapid.SliceOfN(name, 1, 3).Draw(t, "stored")
		var query strings.Builder
		for range rapid.IntRange(1, 6).Draw(t, "parameters") {
			query.WriteString(url.QueryEscape(name.Draw(t, "incoming")) + "=evil&")
		}
		for pair := range strings.SplitSeq(strings.TrimSuffix(passed(query.String(), stored...), "&"), "&") {
			raw, _, _ := strings.Cut(pair, "=")
			incoming, err := url.QueryUnescape(raw)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range stored {
				if phpName(incoming) != "" && phpName(incoming) == phpName(s) {
					t.Fatalf("%q passes beside the stored %q: both are %q to PHP", incoming, s, phpName(s))
				}
			}
		}
	})
}

func TestAppendPassthroughReusesItsMemory(t *testing.T) {
	dst, scratch := make([]byte, 0, 256), make([]byte, 0, 256)
	query, stored := []byte("gclid=1&fbclid=%41%42&utm_source=x&gclid=2"), packNames([]string{"utm_source"})
	if n := testing.AllocsPerRun(100, func() { dst, scratch = appendPassthrough(dst[:0], query, stored, scratch) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if string(query) != "gclid=1&fbclid=%41%42&utm_source=x&gclid=2" {
		t.Errorf("the query was changed to %q", query)
	}
	if string(dst) != "gclid=1&fbclid=AB&" {
		t.Errorf("passed %q", dst)
	}
}

// FuzzAppendPassthrough compares with net/url: what passes is what the browser meant, in safe bytes, each name once and
// never a stored one.
func FuzzAppendPassthrough(f *testing.F) {
	for _, s := range []string{
		"", "a=1&b=2&a=3", "utm_source=a%26admin%3D1", "click_id=x", "%63lick_id=1", "a=%0d%0a", "a=%zz&a=1", "&&&=&=1", "a+b=c+d", "ü=ü",
		"a=%ff%fe", strings.Repeat("x=1&", 100), strings.Repeat("a", 300) + "=1",
	} {
		f.Add([]byte(s))
	}
	stored := []string{"click_id", "utm_source", ""}
	f.Fuzz(func(t *testing.T, query []byte) {
		given := slices.Clone(query)
		prefix := []byte("https://shop.example/?stored=1&")
		out, _ := appendPassthrough(slices.Clone(prefix), query, packNames(stored), nil)
		if !bytes.Equal(given, query) {
			t.Fatalf("the query was changed from %q to %q", given, query)
		}
		out, kept := bytes.CutPrefix(out, prefix)
		if !kept || len(out) > 3*len(query)+2*maxPassthrough {
			t.Fatalf("%d bytes of query became %d, prefix kept %v", len(query), len(out), kept)
		}
		if i := bytes.IndexFunc(out, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%&=", r)
		}); i >= 0 {
			t.Fatalf("%q passes as %q, unsafe at byte %d", query, out, i)
		}
		seen := map[string]bool{}
		for pair := range bytes.SplitAfterSeq(out, []byte("&")) {
			if len(pair) == 0 {
				continue
			}
			name, value, _ := strings.Cut(strings.TrimSuffix(string(pair), "&"), "=")
			decoded, err := url.QueryUnescape(name)
			if _, err2 := url.QueryUnescape(value); err != nil || err2 != nil || decoded == "" || pair[len(pair)-1] != '&' ||
				seen[decoded] || slices.Contains(stored, decoded) || strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("%q passes as %q, and %q should not", query, out, pair)
			}
			seen[decoded] = true
		}
		if len(seen) > maxPassthrough {
			t.Fatalf("%d parameters pass", len(seen))
		}
	})
}
