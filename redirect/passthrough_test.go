package redirect

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
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
		{"names are case-sensitive", "UTM_SOURCE=x", "UTM_SOURCE=x&"},
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
