package redirect

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		name, uri, hostHeader string
		status                int
		host, path, query     string
	}{
		{"origin form", "/abc?x=1", "go.glow.test", 0, "go.glow.test", "/abc", "x=1"},
		{"root", "/", "go.glow.test", 0, "go.glow.test", "/", ""},
		{"host in capitals, with port", "/", "GO.Glow.TEST:443", 0, "go.glow.test", "/", ""},
		{"trailing dot", "/", "go.glow.test.", 0, "go.glow.test", "/", ""},
		{"trailing dot and port", "/", "go.glow.test.:8080", 0, "go.glow.test", "/", ""},
		{"address", "/", "192.0.2.1:80", 0, "192.0.2.1", "/", ""},
		{"only the first question mark cuts", "/a?b?c", "h", 0, "h", "/a", "b?c"},
		{"nothing is decoded", "/%2e%2F%00?%26", "h", 0, "h", "/%2e%2F%00", "%26"},
		{"nothing is joined", "/a/../b//c/.", "h", 0, "h", "/a/../b//c/.", ""},
		{"another host in the path", "//evil.test/a", "h", 0, "h", "//evil.test/a", ""},
		{"absolute form", "http://go.glow.test/abc?x=1", "go.glow.test", 0, "go.glow.test", "/abc", "x=1"},
		{"absolute form in capitals, with port", "HTTPS://GO.GLOW.TEST:443/abc", "go.glow.test", 0, "go.glow.test", "/abc", ""},
		{"absolute form without a path", "http://go.glow.test", "go.glow.test", 0, "go.glow.test", "/", ""},
		{"absolute form without a path but a query", "http://go.glow.test?x=1", "go.glow.test", 0, "go.glow.test", "/", "x=1"},
		{"absolute form of another host", "http://evil.test/abc", "go.glow.test", 421, "", "", ""},
		{"absolute form with a user", "http://a@go.glow.test/abc", "go.glow.test", 400, "", "", ""},
		{"absolute form without a host", "http:///abc", "go.glow.test", 400, "", "", ""},
		{"absolute form of another scheme", "ftp://go.glow.test/abc", "go.glow.test", 400, "", "", ""},
		{"no host", "/", "", 400, "", "", ""},
		{"only a port", "/", ":80", 400, "", "", ""},
		{"only a dot", "/", ".", 400, "", "", ""},
		{"port of six digits", "/", "h:123456", 400, "", "", ""},
		{"port of letters", "/", "h:http", 400, "", "", ""},
		{"no port after the colon", "/", "h:", 400, "", "", ""},
		{"user before the host", "/", "go.glow.test@evil.test", 400, "", "", ""},
		{"user and password", "/", "a:b@evil.test", 400, "", "", ""},
		{"two hosts", "/", "go.glow.test, evil.test", 400, "", "", ""},
		{"path in the host", "/", "go.glow.test/evil", 400, "", "", ""},
		{"percent in the host", "/", "go%2eglow.test", 400, "", "", ""},
		{"IPv6", "/", "[::1]:80", 400, "", "", ""},
		{"host not ASCII", "/", "bücher.test", 400, "", "", ""},
		{"blank in the host", "/", "go.glow .test", 400, "", "", ""},
		{"NUL in the host", "/", "go.glow.test\x00", 400, "", "", ""},
		{"longest host", "/", strings.Repeat("a", maxHost), 0, strings.Repeat("a", maxHost), "/", ""},
		{"longest host with a dot", "/", strings.Repeat("a", maxHost) + ".:80", 0, strings.Repeat("a", maxHost), "/", ""},
		{"host too long", "/", strings.Repeat("a", maxHost+1), 400, "", "", ""},
		{"authority form", "go.glow.test:443", "go.glow.test", 400, "", "", ""},
		{"asterisk form", "*", "go.glow.test", 400, "", "", ""},
		{"empty", "", "go.glow.test", 400, "", "", ""},
		{"fragment", "/a#b", "h", 400, "", "", ""},
		{"path not ASCII", "/ü", "h", 400, "", "", ""},
		{"control character in the path", "/a\x01", "h", 400, "", "", ""},
		{"DEL in the path", "/a\x7f", "h", 400, "", "", ""},
	} {
		var memory [maxHost]byte
		got, status := parseTarget([]byte(c.uri), []byte(c.hostHeader), &memory)
		if status != c.status {
			t.Errorf("%s: %q at %q has status %d, want %d", c.name, c.uri, c.hostHeader, status, c.status)
		} else if status == 0 && (string(got.host) != c.host || string(got.path) != c.path || string(got.query) != c.query) {
			t.Errorf("%s: %q at %q is %q %q %q", c.name, c.uri, c.hostHeader, got.host, got.path, got.query)
		}
	}
}

// FuzzParseTarget: a target that passes is of the request's bytes, and its host has one spelling, that of CanonicalHost.
func FuzzParseTarget(f *testing.F) {
	for _, s := range [][2]string{
		{"/abc?x=1", "go.glow.test"},
		{"/", "GO.Glow.TEST.:443"},
		{"http://go.glow.test/abc", "go.glow.test"},
		{"https://go.glow.test?x", "GO.glow.test:80"},
		{"http://a@b/", "b"},
		{"*", "h"},
		{"/%2e%00", "192.0.2.1:80"},
		{"//x", ".."},
		{"/", "a:b@c"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, uri, hostHeader []byte) {
		var memory [maxHost]byte
		got, status := parseTarget(uri, hostHeader, &memory)
		if status != 0 {
			if status != 400 && status != 421 {
				t.Fatalf("%q at %q: status %d", uri, hostHeader, status)
			}
			return
		}
		if len(got.path) == 0 || got.path[0] != '/' || bytes.ContainsAny(got.path, "?# \r\n\x00") {
			t.Fatalf("%q at %q: path %q", uri, hostHeader, got.path)
		}
		whole := string(got.path)
		if bytes.IndexByte(uri, '?') >= 0 {
			whole += "?" + string(got.query)
		}
		if !strings.HasSuffix(string(uri), whole) && whole != "/" && !strings.HasPrefix(whole, "/?") {
			t.Fatalf("%q at %q: path %q and query %q are not its end", uri, hostHeader, got.path, got.query)
		}
		var other [maxHost]byte
		if again, ok := canonicalHost(&other, got.host); len(got.host) == 0 || len(got.host) > maxHost || !ok && got.host[len(got.host)-1] != '.' ||
			ok && got.host[len(got.host)-1] != '.' && !bytes.Equal(again, got.host) {
			t.Fatalf("%q becomes host %q, and that %q, %v", hostHeader, got.host, again, ok)
		}
		if host, err := CanonicalHost(string(hostHeader)); err == nil && host != string(got.host) {
			t.Fatalf("%q is %q for a request and %q for a domain", hostHeader, got.host, host)
		}
	})
}
