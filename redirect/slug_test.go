package redirect

import (
	"strings"
	"testing"
)

func TestSlugs(t *testing.T) {
	e := newEdge(t)
	key := NewCodeKey(glowSecrets[1], "s.glow.test")
	oldKey := NewCodeKey(glowSecrets[0], "s.glow.test")
	signature := string(key.AppendSlugSignature(nil, []byte("winter")))
	for _, c := range []struct {
		name, host, path string
		link             uint32 // 0: unknown
	}{
		{"open domain", "go.glow.test", "/summer", linkSlug},
		{"with a query", "go.glow.test", "/summer?a=b", linkSlug},
		{"the same slug of another domain", "m.glow.test", "/summer", linkLiveOnM},
		{"another brand's slug", "go.glow.test", "/volt-sale", 0},
		{"deleted link's slug", "go.glow.test", "/deleted", 0},
		{"capitals", "go.glow.test", "/Summer", 0},
		{"escaped letter", "go.glow.test", "/s%75mmer", 0},
		{"trailing slash", "go.glow.test", "/summer/", 0},
		{"below another path", "go.glow.test", "/x/summer", 0},
		{"doubled slash", "go.glow.test", "//summer", 0},
		{"signature where none is asked for", "go.glow.test", "/summer~abcdef", 0},
		{"bare tilde", "go.glow.test", "/summer~", 0},
		{"signed", "s.glow.test", "/winter~" + signature, linkSigned},
		{"signed domain, no signature", "s.glow.test", "/winter", 0},
		{"signed domain, bare tilde", "s.glow.test", "/winter~", 0},
		{"altered signature", "s.glow.test", "/winter~" + signature[:5] + string(signature[5]^1), 0},
		{"longer signature", "s.glow.test", "/winter~" + signature + "0", 0},
		{"signed twice", "s.glow.test", "/winter~" + signature + "~" + signature, 0},
		{"signature of the brand's other key", "s.glow.test", "/winter~" + string(oldKey.AppendSlugSignature(nil, []byte("winter"))), 0},
		{"another slug's signature", "s.glow.test", "/winter~" + string(key.AppendSlugSignature(nil, []byte("summer"))), 0},
		{"signed but absent", "s.glow.test", "/summer~" + string(key.AppendSlugSignature(nil, []byte("summer"))), 0},
		{"self-contained token without a slug", "go.glow.test", "/~AAAA", 0},
	} {
		got := e.get(t, c.host, c.path)
		if c.link == 0 {
			if clicks := e.take(); got.status != 404 || len(clicks) != 0 {
				t.Errorf("%s: status %d, %d clicks, want 404 and none", c.name, got.status, len(clicks))
			}
			continue
		}
		_, click := got.location(t)
		slug, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/"), "~")
		slug, _, _ = strings.Cut(slug, "?")
		if kept := e.one(t); click.Link != c.link || string(kept.Slug) != slug || string(kept.Host) != c.host {
			t.Errorf("%s: link %d, recorded slug %q on %q", c.name, click.Link, kept.Slug, kept.Host)
		}
	}
}

func TestSlugSignatureOfARetiredKey(t *testing.T) {
	e := newEdge(t)
	key := NewCodeKey(glowSecrets[1], "s.glow.test")
	path := "/winter~" + string(key.AppendSlugSignature(nil, []byte("winter")))
	if got := e.get(t, "s.glow.test", path); got.status != 302 {
		t.Fatalf("answers %q", got.raw)
	}
	e.builder.SetKey(KeyRow{Brand: 1, Kind: KeyCode, ID: "1", Retired: true})
	e.server.SetTable(e.builder.Table())
	if got := e.get(t, "s.glow.test", path); got.status != 404 {
		t.Errorf("with its key retired answers %q", got.raw)
	}
}
