package redirect

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hopsOf are the hops that a line of Forwarded names, "" for one that cannot be read.
func hopsOf(line string) (hops []string) {
	rest := []byte(line)
	for more := true; more; {
		var hop netip.Addr
		if hop, rest, more = cutForwarded(rest); hop.IsValid() {
			hops = append(hops, hop.String())
		} else {
			hops = append(hops, "")
		}
	}
	return hops
}

func TestForwarded(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{ // want: hops with "|" between them
		{"token", "for=198.51.100.7", "198.51.100.7"},
		{"name in any case", "FOR=198.51.100.7", "198.51.100.7"},
		{"quoted", `for="198.51.100.7"`, "198.51.100.7"},
		{"quoted with a port", `for="198.51.100.7:80"`, "198.51.100.7"},
		{"IPv6", `for="[2001:db8::1]:80"`, "2001:db8::1"},
		{"port without quotes", "for=198.51.100.7:80", "198.51.100.7"},
		{"escaped characters", `for="19\8.51.100\.7"`, "198.51.100.7"},
		{"all parameters", `for=198.51.100.7;by=203.0.113.9;proto=https;host=go.glow.test`, "198.51.100.7"},
		{"for comes last", `by="203.0.113.9";for=198.51.100.7`, "198.51.100.7"},
		{"blanks around pairs", "by=x ; for=198.51.100.7 ; proto=https", "198.51.100.7"},
		{"empty pairs", ";;for=198.51.100.7;", "198.51.100.7"},
		{"two hops", "for=198.51.100.7, for=203.0.113.9", "198.51.100.7|203.0.113.9"},
		{"comma in quotes", `for="[2001:db8::1]:80";by="a,b", for=203.0.113.9`, "2001:db8::1|203.0.113.9"},
		{"semicolon in quotes", `by="a;for=203.0.113.9";for=198.51.100.7`, "198.51.100.7"},
		{"quoted hop in quotes", `by=", for=203.0.113.9";for=198.51.100.7`, "198.51.100.7"},
		{"escaped quote in quotes", `by="a\", for=203.0.113.9";for=198.51.100.7`, "198.51.100.7"},
		{"escaped backslash at the end of quotes", `by="a\\";for=198.51.100.7, for=203.0.113.9`, "198.51.100.7|203.0.113.9"},
		{"hidden", "for=_hidden, for=unknown", "|"},
		{"without for", "proto=https;by=198.51.100.7", ""},
		{"for twice", "for=198.51.100.7;for=203.0.113.9", ""},
		{"no value", "for=", ""},
		{"no equals sign", "for", ""},
		{"no name", "=198.51.100.7", ""},
		{"blanks around the equals sign", "for = 198.51.100.7", ""},
		{"a blank in a token", "for=198.51.100.7 x", ""},
		{"quote in a token", `for=198.51.100.7"x"`, ""},
		{"text after the quotes", `for="198.51.100.7"x`, ""},
		{"a pair beside it out of form", `for=198.51.100.7;by=a b`, ""},
		{"quotes that do not end", `for="198.51.100.7`, ""},
		{"quotes that do not end, beside it", `for=198.51.100.7;by="x, for=203.0.113.9`, ""},
		{"a single quote sign", `for="`, ""},
		{"an escape of nothing", `for="198.51.100.7\`, ""},
		{"quotes planted to swallow the proxy's hop", `by=", for=203.0.113.9;by="x"`, ""},
		{"garbage before", "garbage, for=198.51.100.7", "|198.51.100.7"},
		{"empty elements", ",,for=198.51.100.7,", "||198.51.100.7|"},
	} {
		if got := strings.Join(hopsOf(c.line), "|"); got != c.want {
			t.Errorf("%s: %s names %q, want %q", c.name, c.line, got, c.want)
		}
	}
}

// Whatever the other parameters say in their quotes, the hops are those that the proxies have written.
func TestForwardedHopsAreThoseWritten(t *testing.T) {
	quoted := func(t *rapid.T, text string) string {
		var b strings.Builder
		b.WriteByte('"')
		for i := range len(text) {
			if c := text[i]; c == '"' || c == '\\' || rapid.IntRange(0, 9).Draw(t, "escape") == 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		}
		b.WriteByte('"')
		return b.String()
	}
	junk := rapid.StringMatching(`[ -~]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		var want, elements []string
		for range rapid.IntRange(1, 4).Draw(t, "hops") {
			ip := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))).String()
			want = append(want, ip)
			pairs := []string{"for=" + rapid.SampledFrom([]string{ip, quoted(t, ip), quoted(t, ip+":443")}).Draw(t, "for")}
			for _, name := range []string{"by", "host", "secret"} {
				if rapid.Bool().Draw(t, name) {
					pairs = append(pairs, name+"="+quoted(t, junk.Draw(t, "value")))
				}
			}
			elements = append(elements, strings.Join(rapid.Permutation(pairs).Draw(t, "order"), ";"))
		}
		line := strings.Join(elements, rapid.SampledFrom([]string{",", ", ", " ,\t"}).Draw(t, "comma"))
		if got := hopsOf(line); !slices.Equal(got, want) {
			t.Fatalf("%s names %q, want %q", line, got, want)
		}
	})
}

// FuzzForwarded: nothing is changed, each hop takes a byte at least, and an address is a plain one.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"", "for=198.51.100.7", `for="[2001:db8::1]:80";by="a,b", for=unknown`, `for="`, `by="a\`, ",,;;", "for=1.2.3.4;for=1.2.3.4", `for="\1.2.3.4"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		given := string(line)
		rest, left := line, len(line)+1
		for more := true; more; {
			var hop netip.Addr
			if hop, rest, more = cutForwarded(rest); more && len(rest) >= left {
				t.Fatalf("%q: %d bytes left of %d", given, len(rest), left)
			}
			left = len(rest)
			if hop.IsValid() && (hop.Zone() != "" || hop.Is4In6()) {
				t.Fatalf("%q names %v", given, hop)
			}
		}
		if string(line) != given {
			t.Fatalf("%q was changed to %q", given, line)
		}
	})
}
