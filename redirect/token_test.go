package redirect

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carom/ingest"
)

type goldenToken struct {
	Secret, Host, Token string
	KeyID               uint8 `json:"key_id"`
	Link                uint32
	Campaign            uint32
	Influencer          uint32
	Expires             uint32
	Subs                []string
}

func (g goldenToken) content() (t Token) {
	t = Token{KeyID: g.KeyID, Link: g.Link, Campaign: g.Campaign, Influencer: g.Influencer, Expires: g.Expires}
	for i, sub := range g.Subs {
		t.Subs[i] = []byte(sub)
	}
	return t
}

func sameToken(a, b Token) bool {
	for i := range a.Subs {
		if !bytes.Equal(a.Subs[i], b.Subs[i]) {
			return false
		}
	}
	return a.KeyID == b.KeyID && a.Link == b.Link && a.Campaign == b.Campaign && a.Influencer == b.Influencer && a.Expires == b.Expires
}

func TestGoldenTokens(t *testing.T) {
	for _, g := range golden[goldenToken](t, "tokens.json") {
		key := NewCodeKey(unhexed(t, g.Secret), g.Host)
		if got := string(key.AppendToken(nil, g.content())); got != g.Token {
			t.Errorf("token of %+v: %s", g, got)
		}
		var buffer TokenBuffer
		token, ok := ParseToken(&buffer, []byte(g.Token))
		if !ok || !sameToken(token, g.content()) || !token.Verify(&key) {
			t.Errorf("%s reads as %+v, %v, verified %v", g.Token, token, ok, ok && token.Verify(&key))
		}
	}
}

// drawnToken is a random token and what made it.
func drawnToken(t *rapid.T) (secret []byte, host string, content Token, text []byte) {
	secret = rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "secret")
	host = rapid.StringMatching(`[a-z]{1,8}\.example`).Draw(t, "host")
	content = Token{
		KeyID: uint8(rapid.IntRange(0, KeySlots-1).Draw(t, "slot")), Link: uint32(rapid.IntRange(1, MaxLink).Draw(t, "link")),
		Campaign: rapid.Uint32().Draw(t, "campaign"), Influencer: rapid.Uint32().Draw(t, "influencer"),
		Expires: rapid.SampledFrom([]uint32{0, 1, 1780000000, 1<<32 - 1}).Draw(t, "expires"),
	}
	for i := range rapid.IntRange(0, MaxSubs).Draw(t, "subs") {
		content.Subs[i] = []byte(rapid.StringOfN(rapid.RuneFrom([]rune("aZ0 -_&=%ü")), 0, 20, MaxSub).Draw(t, "sub"))
	}
	key := NewCodeKey(secret, host)
	return secret, host, content, key.AppendToken(nil, content)
}

func TestTokensRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret, host, content, text := drawnToken(t)
		key := NewCodeKey(secret, host)
		var buffer TokenBuffer
		token, ok := ParseToken(&buffer, text)
		if !ok || !sameToken(token, content) || !token.Verify(&key) {
			t.Fatalf("%q of %+v read as %+v, %v", text, content, token, ok)
		}
	})
}

// No altered token verifies: not with another character, a character more or less, not on another host, under another brand's
// secret, or as another kind of signature. A MAC of 64 bits lets one alteration in 2^64 through.
func TestNoAlteredTokenVerifies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret, host, _, text := drawnToken(t)
		key := NewCodeKey(secret, host)
		var buffer TokenBuffer
		verifies := func(text []byte, key CodeKey) bool {
			token, ok := ParseToken(&buffer, text)
			return ok && token.Verify(&key)
		}
		for i := range text {
			altered := slices.Clone(text)
			for c := range byte(128) {
				if altered[i] = c; c != text[i] && verifies(altered, key) {
					t.Fatalf("%q verifies as well as %q", altered, text)
				}
			}
			for _, c := range []byte("A_-=\n\r") {
				if longer := slices.Insert(slices.Clone(text), i, c); verifies(longer, key) {
					t.Fatalf("%q verifies as well as %q", longer, text)
				}
			}
			if shorter := slices.Delete(slices.Clone(text), i, i+1); verifies(shorter, key) {
				t.Fatalf("%q verifies as well as %q", shorter, text)
			}
		}
		for name, other := range map[string]CodeKey{
			"another host":  NewCodeKey(secret, "x"+host),
			"another brand": NewCodeKey(append([]byte{1}, secret...), host),
			"the codes'":    {token: key.code},
			"the slugs'":    {token: key.slug},
		} {
			if verifies(text, other) {
				t.Fatalf("%q verifies under %s key", text, name)
			}
		}
	})
}

// FuzzParseToken: what parses has one spelling, the one it came in, and verifies only if it is what its content signs to.
func FuzzParseToken(f *testing.F) {
	for _, g := range golden[goldenToken](f, "tokens.json") {
		f.Add([]byte(g.Token))
	}
	for _, s := range []string{"", "~", "AAAA", strings.Repeat("A", 28), strings.Repeat("_", 28), strings.Repeat("A", 500), "AAAA\nAAAA"} {
		f.Add([]byte(s))
	}
	key := NewCodeKey(make([]byte, 32), "go.brand.example")
	f.Fuzz(func(t *testing.T, s []byte) {
		var buffer TokenBuffer
		token, ok := ParseToken(&buffer, s)
		if !ok {
			return
		}
		if again := tokenText.EncodeToString(buffer[:len(token.signed)+len(token.mac)]); again != string(s) {
			t.Fatalf("%q and %q are the same token", s, again)
		}
		signed := key.AppendToken(nil, token)
		if len(signed) != len(s) || token.Verify(&key) != (string(signed) == string(s)) {
			t.Fatalf("%q verifies: %v, but its content signs to %q", s, token.Verify(&key), signed)
		}
	})
}

func TestCheckSub(t *testing.T) {
	for sub, want := range map[string]bool{
		"": true, "story 1": true, "Größe": true, "a&b=c": true, strings.Repeat("x", MaxSub): true,
		strings.Repeat("x", MaxSub+1): false, "a\nb": false, "a\x00": false, "\x7f": false, "\xff": false, "a\u0085b": false,
	} {
		if err := CheckSub(sub); (err == nil) != want {
			t.Errorf("CheckSub(%q) = %v", sub, err)
		}
	}
}

// glowToken is the path of a token as glow mints it for go.glow.test, for a link of campaign spring and creator mia that the edge
// has no row of. Changes make it another one.
func glowToken(changes ...func(*Token)) string {
	token := Token{KeyID: 1, Link: linkAbsent, Campaign: 1, Influencer: 1}
	for _, change := range changes {
		change(&token)
	}
	key := NewCodeKey(glowSecrets[min(int(token.KeyID), 2)], "go.glow.test")
	return "/~" + string(key.AppendToken(nil, token))
}

func withSubs(subs ...string) func(*Token) {
	return func(t *Token) {
		for i, sub := range subs {
			t.Subs[i] = []byte(sub)
		}
	}
}

func TestTokenAnswers(t *testing.T) {
	e := newEdge(t)
	const spring = "https://glow.example/spring?ref=carom&utm_source=instagram&utm_medium=influencer&utm_campaign=spring-mia&utm_content=&"
	for _, c := range []struct {
		name, path, location string // Location with ID in place of the click id
		link                 uint32
	}{
		{"no row yet", glowToken(), spring + "click_id=ID", linkAbsent},
		{"older key", glowToken(func(t *Token) { t.KeyID = 0 }), spring + "click_id=ID", linkAbsent},
		{"not expired", glowToken(func(t *Token) { t.Expires = uint32(edgeNow.Unix()) + 1 }), spring + "click_id=ID", linkAbsent},
		{"sub ids", glowToken(withSubs("bio link", "", "a&b")), spring + "sub1=bio%20link&sub3=a%26b&click_id=ID", linkAbsent},
		{
			"sub ids win over incoming ones", glowToken(withSubs("signed")) + "?sub1=mine&SUB1=mine&sub2=two&fbclid=x",
			spring + "sub1=signed&sub2=two&fbclid=x&click_id=ID", linkAbsent,
		},
		{
			"the click-id parameter of the campaign", glowToken(func(t *Token) { t.Campaign = 5 }) + "?aff_sub=forged&click_id=forged",
			spring + "aff+sub=ID", linkAbsent,
		},
		{
			"a row with its own destination", glowToken(func(t *Token) { t.Link = linkFragment }, withSubs("s")),
			"https://glow.example/p?size=m&utm_source=instagram&utm_medium=influencer&utm_campaign=spring-mia&utm_content=reel&sub1=s&click_id=ID#reviews",
			linkFragment,
		},
		{
			"a row outlives the token", glowToken(func(t *Token) { t.Link, t.Expires = linkLive, 1 }),
			strings.Replace(spring, "utm_content=", "utm_content=reel", 1) + "click_id=ID", linkLive,
		},
	} {
		got, click := e.get(t, "go.glow.test", c.path).location(t)
		if got != c.location || click.Link != c.link {
			t.Errorf("%s: link %d, Location\n     %s\nwant %s", c.name, click.Link, got, c.location)
		}
		row := e.one(t)
		if row.Link != c.link || row.Brand != 1 || row.Campaign == 0 || row.Influencer != 1 || row.Tier != ingest.TierMicro ||
			string(row.Host) != "go.glow.test" || len(row.Slug) != 0 || row.Reasons != 0 ||
			!strings.Contains(got, string(row.Query)) {
			t.Errorf("%s: click %+v", c.name, row)
		}
	}
}

// {link} is the key that minting gives the link.
func TestTokenNamesItsLink(t *testing.T) {
	e := newEdge(t)
	e.builder.SetCampaign(Campaign{ID: 1, Key: "spring", Brand: 1, Destination: "https://glow.example/?sub2=own", UTM: UTM{Term: "{link}"}, Enabled: true})
	e.server.SetTable(e.builder.Table())
	want := fmt.Sprintf("https://glow.example/?sub2=own&utm_term=token-%d&sub1=a&click_id=ID", linkAbsent)
	if got, _ := e.get(t, "go.glow.test", glowToken(withSubs("a", "b"))).location(t); got != want || TokenKey(linkAbsent) != "token-777" {
		t.Errorf("Location %s, want %s", got, want)
	}
}

func TestTokenThatIsStopped(t *testing.T) {
	e := newEdge(t)
	for _, c := range []struct {
		name, path string
		reason     ingest.Reasons
	}{
		{"expired", glowToken(func(t *Token) { t.Expires = uint32(edgeNow.Unix()) }), ingest.Expired},
		{"campaign disabled", glowToken(func(t *Token) { t.Campaign = 2 }), ingest.Disabled},
		{"campaign ended", glowToken(func(t *Token) { t.Campaign = 3 }), ingest.Expired},
		{"campaign not begun", glowToken(func(t *Token) { t.Campaign = 4 }), ingest.Disabled},
		{"creator disabled", glowToken(func(t *Token) { t.Influencer = 2 }), ingest.Disabled},
		{"the row is disabled", glowToken(func(t *Token) { t.Link = linkDisabled }), ingest.Disabled},
		{"the row has expired", glowToken(func(t *Token) { t.Link = linkExpired }), ingest.Expired},
	} {
		if got := e.get(t, "go.glow.test", c.path); got.status != 410 {
			t.Errorf("%s: status %d", c.name, got.status)
		}
		if click := e.one(t); click.Reasons != c.reason || click.Influencer == 0 {
			t.Errorf("%s: click %+v", c.name, click)
		}
	}
}

func TestTokenThatIsUnknown(t *testing.T) {
	e := newEdge(t)
	good := glowToken()
	for name, path := range map[string]string{
		"no token":                     "/~",
		"cut off":                      good[:len(good)-1],
		"altered":                      good[:10] + string(good[10]^1) + good[11:],
		"retired key":                  glowToken(func(t *Token) { t.KeyID = 2 }),
		"a slot without a key":         glowToken(func(t *Token) { t.KeyID = 3 }),
		"unknown campaign":             glowToken(func(t *Token) { t.Campaign = 99 }),
		"another brand's campaign":     glowToken(func(t *Token) { t.Campaign = 6 }),
		"unknown creator":              glowToken(func(t *Token) { t.Influencer = 99 }),
		"its link was deleted":         glowToken(func(t *Token) { t.Link = linkDeleted }),
		"a row of another campaign":    glowToken(func(t *Token) { t.Link, t.Campaign = linkLive, 5 }),
		"a row of another creator":     glowToken(func(t *Token) { t.Link, t.Influencer = linkLive, 2 }),
		"a row on another host":        glowToken(func(t *Token) { t.Link = linkLiveOnM }),
		"something behind it":          good + "/x",
		"a slug's signature character": "/summer" + good[1:],
	} {
		if got := e.get(t, "go.glow.test", path); got.status != 404 {
			t.Errorf("%s: status %d", name, got.status)
		}
	}
	if got := e.get(t, "m.glow.test", good); got.status != 302 || got.header.Get("Location") != "https://glow.example/lost" {
		t.Errorf("on another host of the brand: status %d, %q", got.status, got.header)
	}
	if clicks := e.take(); len(clicks) != 0 {
		t.Errorf("%d clicks recorded", len(clicks))
	}
	e.builder.SetCampaign(Campaign{ID: 1, Deleted: true})
	e.server.SetTable(e.builder.Table())
	if got := e.get(t, "go.glow.test", good); got.status != 404 {
		t.Errorf("the campaign was deleted: status %d", got.status)
	}
}

// A start from a snapshot answers tokens too: what they need is made of the campaigns in it.
func TestTokensAfterSnapshot(t *testing.T) {
	e := newEdge(t)
	b, _, _, err := readSnapshot(bytes.NewReader(snapshotBytes(t, e.builder)), testSealer(t))
	if err != nil {
		t.Fatal(err)
	}
	e.server.setTable(b.Table(), time.Now())
	if got := e.get(t, "go.glow.test", glowToken()); got.status != 302 {
		t.Errorf("status %d", got.status)
	}
}
