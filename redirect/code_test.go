package redirect

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// golden reads vectors that testdata/golden.py computed without this package.
func golden[T any](t testing.TB, file string) (vectors []T) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(vectors) < 20 {
		t.Fatalf("%s has %d vectors, at least 20 expected", file, len(vectors))
	}
	return vectors
}

func unhexed(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type goldenCode struct {
	Secret, Host, Code, Slug string
	KeyID                    uint8 `json:"key_id"`
	Link                     uint32
	SlugSignature            string `json:"slug_signature"`
}

func TestGoldenCodes(t *testing.T) {
	for _, g := range golden[goldenCode](t, "codes.json") {
		key := NewCodeKey(unhexed(t, g.Secret), g.Host)
		if got := string(key.AppendCode(nil, g.KeyID, g.Link)); got != g.Code {
			t.Errorf("code of link %d, slot %d on %s: %s, want %s", g.Link, g.KeyID, g.Host, got, g.Code)
		}
		code, ok := ParseCode([]byte(g.Code))
		if !ok || code.KeyID() != g.KeyID || code.Link() != g.Link || !code.Verify(&key) {
			t.Errorf("%s reads as slot %d, link %d, %v, verified %v", g.Code, code.KeyID(), code.Link(), ok, code.Verify(&key))
		}
		if got := string(key.AppendSlugSignature(nil, []byte(g.Slug))); got != g.SlugSignature {
			t.Errorf("signature of slug %q on %s: %s, want %s", g.Slug, g.Host, got, g.SlugSignature)
		}
		if !key.VerifySlug([]byte(g.Slug), []byte(g.SlugSignature)) {
			t.Errorf("slug %q does not verify with its own signature", g.Slug)
		}
	}
}

func TestParseCodeKnowsOneSpelling(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       uint64
		ok         bool
	}{
		{"lowest", "00000000000", 0, true},
		{"highest, 2^64-1", "LygHa16AHYF", math.MaxUint64, true},
		{"2^64", "LygHa16AHYG", 0, false},
		{"2^64 + 61", "LygHa16AHZF", 0, false},
		{"all z", "zzzzzzzzzzz", 0, false},
		{"empty", "", 0, false},
		{"ten characters", "0000000000", 0, false},
		{"twelve characters", "000000000000", 0, false},
		{"trailing slash", "0000000000/", 0, false},
		{"base64url", "000000000-_", 0, false},
		{"percent", "00000000%30", 0, false},
		{"blank", "0000000000 ", 0, false},
		{"NUL", "0000000000\x00", 0, false},
		{"full-width digit", "00000000０", 0, false},
	} {
		got, ok := ParseCode([]byte(c.text))
		if ok != c.ok || ok && uint64(got) != c.want {
			t.Errorf("%s: ParseCode(%q) = %d, %v, want %d, %v", c.name, c.text, got, ok, c.want, c.ok)
		}
	}
}

// drawnCode is a random code and what made it.
func drawnCode(t *rapid.T) (secret []byte, host string, slot uint8, link uint32, text []byte) {
	secret = rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "secret")
	host = rapid.StringMatching(`[a-z]{1,8}\.example`).Draw(t, "host")
	slot = uint8(rapid.IntRange(0, KeySlots-1).Draw(t, "slot"))
	link = uint32(rapid.IntRange(0, MaxLink).Draw(t, "link"))
	key := NewCodeKey(secret, host)
	return secret, host, slot, link, key.AppendCode(nil, slot, link)
}

func TestCodesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret, host, slot, link, text := drawnCode(t)
		key := NewCodeKey(secret, host)
		code, ok := ParseCode(text)
		if !ok || len(text) != CodeLen || code.KeyID() != slot || code.Link() != link || !code.Verify(&key) {
			t.Fatalf("%q read as slot %d, link %d, %v", text, code.KeyID(), code.Link(), ok)
		}
		if !looksLikeCode(text) || ValidSlug(text) {
			t.Fatalf("%q could be a slug", text)
		}
	})
}

// No altered code verifies: not with another character, not with another bit, not in another place. A MAC of 32 bits lets
// one alteration in 2^32 through; none of these runs is that long.
func TestNoAlteredCodeVerifies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret, host, slot, link, text := drawnCode(t)
		key := NewCodeKey(secret, host)
		code, _ := ParseCode(text)
		for i := range text {
			for _, digit := range []byte(base62) {
				altered := slices.Clone(text)
				altered[i] = digit
				if other, ok := ParseCode(altered); ok && digit != text[i] && other.Verify(&key) {
					t.Fatalf("%q verifies as well as %q", altered, text)
				}
			}
		}
		for bit := range 64 {
			if (code ^ 1<<bit).Verify(&key) {
				t.Fatalf("%q verifies with bit %d flipped", text, bit)
			}
		}
		elsewhere := map[string]CodeKey{
			"another host":          NewCodeKey(secret, "x"+host),
			"a subdomain":           NewCodeKey(secret, "www."+host),
			"another brand":         NewCodeKey(append([]byte{1}, secret...), host),
			"the slugs' key":        {code: key.slug, slug: key.code},
			"host and secret glued": NewCodeKey(append(slices.Clone(secret), host[0]), host[1:]),
		}
		for name, other := range elsewhere {
			if code.Verify(&other) {
				t.Fatalf("%q verifies for %s", text, name)
			}
		}
		for other := range uint8(KeySlots) {
			moved := Code(uint64(other)<<62 | uint64(code)&(1<<62-1))
			if other != slot && moved.Verify(&key) {
				t.Fatalf("%q of link %d verifies in slot %d", text, link, other)
			}
		}
	})
}

func TestValidSlug(t *testing.T) {
	for slug, want := range map[string]bool{
		"abc": true, "a-b": true, "a_b": true, "0--": true, "summer-sale": true, "2024": true,
		strings.Repeat("a", 64): true, "abcdefghij-": true, "abcdefghij": true, "abcdefghijkl": true,
		"": false, "a": false, "ab": false, "-ab": false, "_ab": false, strings.Repeat("a", 65): false,
		"abcdefghijk": false, "12345678901": false, "Abc": false, "ab.c": false, "ab/c": false, "ab~c": false, "ab%": false,
		"äbc": false, "ab c": false, "ab\x00": false,
	} {
		if got := ValidSlug([]byte(slug)); got != want {
			t.Errorf("ValidSlug(%q) = %v, want %v", slug, got, want)
		}
	}
}

func TestSlugSignaturesAreBoundToSlugHostAndBrand(t *testing.T) {
	secret, slug := []byte("a brand's secret"), []byte("summer")
	key := NewCodeKey(secret, "go.brand.example")
	signature := key.AppendSlugSignature(nil, slug)
	if len(signature) != SlugSignatureLen || !key.VerifySlug(slug, signature) {
		t.Fatalf("signature %q does not verify", signature)
	}
	otherHost, otherBrand := NewCodeKey(secret, "x.co"), NewCodeKey([]byte("another secret"), "go.brand.example")
	for name, ok := range map[string]bool{
		"another slug":    key.VerifySlug([]byte("summes"), signature),
		"no signature":    key.VerifySlug(slug, nil),
		"shorter":         key.VerifySlug(slug, signature[:5]),
		"longer":          key.VerifySlug(slug, append(slices.Clone(signature), '0')),
		"another host":    otherHost.VerifySlug(slug, signature),
		"another brand":   otherBrand.VerifySlug(slug, signature),
		"altered":         key.VerifySlug(slug, []byte{signature[0] ^ 1, signature[1], signature[2], signature[3], signature[4], signature[5]}),
		"of code's shape": key.VerifySlug(slug, key.AppendCode(nil, 0, 1)[:6]),
	} {
		if ok {
			t.Errorf("%s verifies", name)
		}
	}
}

// FuzzParseCode: what parses has one spelling, the one it came in.
func FuzzParseCode(f *testing.F) {
	for _, g := range golden[goldenCode](f, "codes.json") {
		f.Add([]byte(g.Code))
	}
	for _, s := range []string{"", "00000000000", "zzzzzzzzzzz", "LygHa16AHYF", "LygHa16AHYG", "0000000000\x00", "summer-sale"} {
		f.Add([]byte(s))
	}
	key := NewCodeKey(make([]byte, 32), "go.brand.example")
	f.Fuzz(func(t *testing.T, s []byte) {
		code, ok := ParseCode(s)
		if !ok {
			return
		}
		if again := appendBase62(nil, uint64(code), CodeLen); string(again) != string(s) {
			t.Fatalf("%q and %q are the same code", s, again)
		}
		if signed := key.AppendCode(nil, code.KeyID(), code.Link()); code.Verify(&key) != (string(signed) == string(s)) {
			t.Fatalf("%q verifies: %v, but the code of its link is %q", s, code.Verify(&key), signed)
		}
	})
}
