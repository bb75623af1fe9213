package redirect

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestCheckDestination(t *testing.T) {
	policy := DestinationPolicy{
		AppSchemes: []string{"myapp", "intent", "javascript", "data"},
		OwnHost:    func(host string) bool { return host == "go.brand.example" },
	}
	for _, c := range []struct{ name, raw, want string }{ // want empty: refused
		{"as it stands", "https://shop.example/a?b=c#d", "https://shop.example/a?b=c#d"},
		{"http", "http://shop.example", "http://shop.example"},
		{"scheme and host in any case", "HTTPS://Shop.EXAMPLE/Path", "https://shop.example/Path"},
		{"trailing dot", "https://shop.example./", "https://shop.example/"},
		{"port", "https://shop.example:8443/", "https://shop.example:8443/"},
		{"empty port", "https://shop.example:/", "https://shop.example/"},
		{"IPv4", "https://192.0.2.1/", "https://192.0.2.1/"},
		{"IPv6", "https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443/"},
		{"international name", "https://bücher.example/", "https://xn--bcher-kva.example/"},
		{"international name in capitals", "https://BÜCHER.example/", "https://xn--bcher-kva.example/"},
		{"ideographic full stop", "https://shop。example/", "https://shop.example/"},
		{"international path and query", "https://shop.example/ü?q=ü#ü", "https://shop.example/%C3%BC?q=%C3%BC#%C3%BC"},
		{"quotes and angle brackets", `https://shop.example/?a="<x>`, "https://shop.example/?a=%22%3Cx%3E"},
		{"encoded line feed stays encoded", "https://shop.example/?a=%0d%0aX:1", "https://shop.example/?a=%0d%0aX:1"},
		{"address as parameter", "https://shop.example/?url=https://evil.example", "https://shop.example/?url=https://evil.example"},
		{"at sign in the path", "https://shop.example/@user", "https://shop.example/@user"},
		{"braces", "https://shop.example/?a={b}", "https://shop.example/?a={b}"},
		{"app scheme on the list", "myapp://open/item?id=1", "myapp://open/item?id=1"},
		{"app scheme in capitals", "MyApp://open", "myapp://open"},
		{"intent on the list", "intent://scan/#Intent;scheme=zxing;end", "intent://scan/#Intent;scheme=zxing;end"},
		{"longest", "https://shop.example/" + strings.Repeat("a", MaxDestination-21), "https://shop.example/" + strings.Repeat("a", MaxDestination-21)},

		{"empty", "", ""},
		{"CR", "https://shop.example/\rX:1", ""},
		{"LF", "https://shop.example/\nX:1", ""},
		{"LF in front", "\nhttps://shop.example/", ""},
		{"CR LF behind", "https://shop.example/\r\n", ""},
		{"NUL", "https://shop.example/\x00", ""},
		{"tab", "https://shop.example/\tx", ""},
		{"DEL", "https://shop.example/\x7f", ""},
		{"blank", "https://shop.example/a b", ""},
		{"blank in front", " https://shop.example/", ""},
		{"invalid UTF-8", "https://shop.example/\xff", ""},
		{"javascript", "javascript:alert(1)", ""},
		{"javascript in any case", "JaVaScRiPt:alert(1)", ""},
		{"javascript with a tab", "java\tscript:alert(1)", ""},
		{"javascript behind a blank", " javascript:alert(1)", ""},
		{"javascript with slashes", "javascript://shop.example/%0aalert(1)", ""},
		{"data", "data:text/html,x", ""},
		{"vbscript", "VBScript:x", ""},
		{"file", "file:///etc/passwd", ""},
		{"blob", "blob:https://shop.example/1", ""},
		{"app scheme not on the list", "otherapp://x", ""},
		{"mail", "mailto:a@shop.example", ""},
		{"no scheme", "shop.example/a", ""},
		{"host and port", "shop.example:443/a", ""},
		{"relative", "/a", ""},
		{"another scheme's host", "//evil.example/a", ""},
		{"backslashes", `https:\\evil.example`, ""},
		{"backslash for a slash", `https://shop.example\@evil.example/`, ""},
		{"backslash in the path", `https://shop.example/\evil`, ""},
		{"user name", "https://ok@evil.example/", ""},
		{"user name and password", "https://ok:x@evil.example/", ""},
		{"empty user name", "https://@evil.example/", ""},
		{"encoded at sign", "https://ok%40evil.example/", ""},
		{"no host", "https:///a", ""},
		{"no slashes", "https:shop.example", ""},
		{"one slash", "https:/shop.example", ""},
		{"only a port", "https://:443/", ""},
		{"a dot for a host", "https://./", ""},
		{"two trailing dots", "https://shop.example../", ""},
		{"empty label", "https://shop..example/", ""},
		{"leading dot", "https://.shop.example/", ""},
		{"port out of range", "https://shop.example:65536/", ""},
		{"port zero", "https://shop.example:0/", ""},
		{"IPv6 zone", "https://[fe80::1%25eth0]/", ""},
		{"invalid UTF-8, encoded, in the host", "https://sh%E0op.example/", ""},
		{"brackets around a name", "https://[shop.example]/", ""},
		{"underscore", "https://sh_op.example/", ""},
		{"name too long", "https://" + strings.Repeat("a.", 127) + "example/", ""},
		{"label too long", "https://" + strings.Repeat("a", 64) + ".example/", ""},
		{"too long", "https://shop.example/" + strings.Repeat("a", MaxDestination-20), ""},
		{"app address that reads differently once encoded", "myapp://ü>", ""},
		{"too long once encoded", "https://shop.example/?a=" + strings.Repeat("ü", 700), ""},
		{"app address too long once encoded", "myapp:?a=" + strings.Repeat("ü", 700), ""},
		{"own short domain", "https://go.brand.example/x", ""},
		{"own short domain in capitals, with port and dot", "https://GO.Brand.Example.:443/x", ""},
		{"own short domain, full-width", "https://ｇｏ.brand.example/x", ""},
		{"broken escape in the path", "https://shop.example/%zz", ""},
	} {
		got, err := CheckDestination(c.raw, policy)
		switch {
		case c.want == "" && !errors.Is(err, ErrDestination):
			t.Errorf("%s: %q becomes %q, %v, want ErrDestination", c.name, c.raw, got.URL, err)
		case c.want != "" && (err != nil || got.URL != c.want):
			t.Errorf("%s: %q becomes %q, %v, want %q", c.name, c.raw, got.URL, err, c.want)
		}
	}
}

func TestCheckDestinationHostList(t *testing.T) {
	policy := DestinationPolicy{Hosts: []string{"shop.example", "xn--bcher-kva.example"}}
	for raw, want := range map[string]bool{
		"https://shop.example/": true, "https://SHOP.example.:443/": true, "https://bücher.example/": true,
		"https://www.shop.example/": false, "https://shop.example.evil.example/": false, "https://evil.example/shop.example": false,
	} {
		if _, err := CheckDestination(raw, policy); (err == nil) != want {
			t.Errorf("%q: %v, want accepted %v", raw, err, want)
		}
	}
}

func TestCheckAppScheme(t *testing.T) {
	for scheme, want := range map[string]string{
		"myapp": "myapp", "MyApp": "myapp", "my.app+x-1": "my.app+x-1", "intent": "intent",
		"": "", "http": "", "HTTPS": "", "JavaScript": "", "data": "", "file": "", "my app": "", "myapp:": "", "1app": "", "my/app": "", "mÿapp": "",
	} {
		got, err := CheckAppScheme(scheme)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q becomes %q, %v, want %q", scheme, got, err, want)
		}
	}
}

func TestCheckDestinationFlagsMixedScripts(t *testing.T) {
	for host, want := range map[string]bool{
		"shop.example": false, "bücher.example": false, "яндекс.example": false, "東京タワー.example": false, "한국漢字.example": false,
		"pаypal.example":        true,                         // Cyrillic а
		"xn--pypal-4ve.example": true, "gοοgle.example": true, // Greek ο
		"shop.яндекс": false, // scripts differ between labels only
	} {
		got, err := CheckDestination("https://"+host+"/", DestinationPolicy{})
		if err != nil || got.MixedScripts != want {
			t.Errorf("%s: mixed scripts %v, %v, want %v", host, got.MixedScripts, err, want)
		}
	}
}

func TestCheckDestinationErrorsNameWhatIsWrong(t *testing.T) {
	for raw, want := range map[string]string{
		"javascript:alert(1)":     `scheme "javascript"`,
		"https://ok@evil.example": "user name",
		"shop.example/x":          "no scheme",
		"https://a/\n":            "at byte 10",
	} {
		if _, err := CheckDestination(raw, DestinationPolicy{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %s", raw, err, want)
		}
	}
}

// FuzzCheckDestination: what is accepted can stand in a Location header, leads where the policy allows, and passes again
// unchanged.
func FuzzCheckDestination(f *testing.F) {
	for _, s := range []string{
		"https://shop.example/a?b=c#d", "HTTP://Bücher.Example.:80/ü?ü#ü", "https://[2001:db8::1]:1/", "https://192.0.2.1",
		"myapp://open/x?y#z", "myapp:x", "javascript:alert(1)", "//evil", "https://ok@evil", "https://a..b/", "https://a/%0d%0a",
		"https://a/%2f..%2f", "https://a?b", "https://a#b", "https:///", `https://a\b`, "https://a/\"<>`{}|^", "https://xn--/", "https://a:0/",
		"myapp://ü?ü", "https://a/?a=%", "https://a/#%", "intent:#Intent;end",
	} {
		f.Add(s)
	}
	policy := DestinationPolicy{AppSchemes: []string{"myapp"}, OwnHost: func(host string) bool { return host == "go.brand.example" }}
	f.Fuzz(func(t *testing.T, raw string) {
		d, err := CheckDestination(raw, policy)
		if err != nil {
			if !errors.Is(err, ErrDestination) {
				t.Fatalf("%q: %v does not wrap ErrDestination", raw, err)
			}
			return
		}
		if len(d.URL) > MaxDestination {
			t.Fatalf("%q becomes %d bytes", raw, len(d.URL))
		}
		if i := strings.IndexFunc(d.URL, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }); i >= 0 {
			t.Fatalf("%q becomes %q, unsafe at byte %d", raw, d.URL, i)
		}
		u, err := url.Parse(d.URL)
		if err != nil || !slices.Contains([]string{"http", "https", "myapp"}, u.Scheme) {
			t.Fatalf("%q becomes %q: %v", raw, d.URL, err)
		}
		if u.Scheme != "myapp" && (u.User != nil || u.Hostname() == "" || policy.OwnHost(u.Hostname())) {
			t.Fatalf("%q becomes %q, which leads to %q of %v", raw, d.URL, u.Host, u.User)
		}
		if again, err := CheckDestination(d.URL, policy); err != nil || again.URL != d.URL {
			t.Fatalf("%q becomes %q, and that %q, %v", raw, d.URL, again.URL, err)
		}
	})
}
