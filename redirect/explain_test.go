package redirect

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// explained is an explainer of an edge's table, with the keys of its snapshot or without.
func explained(t *testing.T, e *edge, sealer *Sealer) *Explainer {
	t.Helper()
	x, err := NewExplainer(snapshotFile(t, e), sealer)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// snapshotFile is the path of a snapshot of an edge's table.
func snapshotFile(t *testing.T, e *edge) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "table.snapshot")
	if err := os.WriteFile(path, snapshotBytes(t, e.builder), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An explanation gives the very answer of an edge, and the first step that failed says what kept it from redirecting.
func TestExplanationsAreAnswers(t *testing.T) {
	e := newEdge(t)
	signed := NewCodeKey(glowSecrets[1], "s.glow.test")
	winter := "/winter~" + string(signed.AppendSlugSignature(nil, []byte("winter")))
	with, without := explained(t, e, testSealer(t)), explained(t, e, nil)
	for _, c := range []struct {
		host, path string
		failed     string // the first failed step, empty for none
		blind      string // the same without keys
	}{
		{"go.glow.test", "/" + glowCode(linkLive), "", ""},
		{"go.glow.test", "/" + glowCode(linkLive) + "?fbclid=x&utm_source=mine&fbclid=y", "", ""},
		{"go.glow.test", "/" + glowCode(linkFragment), "", ""},
		{"go.glow.test", "/" + glowCode(linkParam) + "?click_id=forged", "", ""},
		{"go.glow.test", "/summer", "", ""},
		{"s.glow.test", winter, "", ""},
		{"go.glow.test", glowToken(withSubs("bio link")), "", ""},
		{"go.glow.test", glowToken(func(t *Token) { t.Link = linkLive }), "", ""},
		{"go.glow.test", glowToken(func(t *Token) { t.Expires = 1 }), "time: the link has ended 1970-01-01T00:00:01Z", "="},
		{"go.glow.test", glowToken(func(t *Token) { t.Campaign = 99 }), "link: its row, campaign or creator is deleted, unknown or another's", "="},
		{"go.glow.test", glowToken(func(t *Token) { t.KeyID = 2 }), "key: brand glow has no key 2: it was retired or never made", "="},
		{"go.glow.test", glowToken() + "A", "path: a token that is cut off or altered", "="},
		{"go.glow.test", "/" + glowCode(linkExpired), "time: the link has ended 2026-05-28T11:59:59Z", "="},
		{"go.glow.test", "/" + glowCode(linkExpiredFallback), "time: the link has ended 2026-05-28T11:00:00Z", "="},
		{"go.glow.test", "/" + glowCode(linkDisabled), "state: the link is disabled", "="},
		{"go.glow.test", "/" + glowCode(linkPausedCampaign), "state: campaign spring is disabled", "="},
		{"go.glow.test", "/" + glowCode(linkEarlyCampaign), "time: campaign spring begins 2026-05-28T12:01:00Z", "="},
		{"go.glow.test", "/" + glowCode(linkGoneCreator), "state: creator tom is disabled", "="},
		{"go.glow.test", "/" + glowCode(linkDeleted), fmt.Sprintf("link: link %d was deleted, or is one that no edge can serve", linkDeleted), "="},
		{"go.glow.test", "/" + glowCode(linkAbsent), "link: there is no link 777 in this snapshot", "="},
		{"go.glow.test", "/" + codeOn("go.glow.test", glowSecrets[1], 1, linkVolt), fmt.Sprintf("link: link %d is on another domain, go.volt.test", linkVolt), "="},
		{"go.glow.test", "/" + codeOn("go.glow.test", glowSecrets[2], 2, linkRetiredKey), "key: brand glow has no key 2: it was retired or never made", "="},
		{"go.glow.test", "/" + codeOn("go.glow.test", voltSecret, 1, linkLive), "signature: wrong: altered, mistyped, or made for another host", ""},
		{"go.glow.test", "/absent", "link: no link that is answered has this slug here", "="},
		{"go.glow.test", "/summer~abcdef", "path: the slug summer with a signature, on a domain whose slugs have none", "="},
		{"s.glow.test", "/winter", "path: the slug winter without the signature ~xxxxxx that this domain asks for", "="},
		{"s.glow.test", "/winter~abcdef", "signature: wrong: altered, mistyped, or made for another host", ""},
		{"m.glow.test", "/", "path: the home page of the domain", "="},
		{"m.glow.test", "/absent", "link: no link that is answered has this slug here", "="},
		{"go.glow.test", "/Ab", "path: neither a code of 11 letters and digits, nor a slug, nor a token: /Ab", "="},
		{"nobody.test", "/summer", "host: nobody.test is no short domain in this snapshot", "="},
	} {
		want := e.get(t, c.host, c.path)
		location := want.header.Get("Location")
		recorded := len(e.take()) > 0
		if recorded && want.status == 302 {
			if at := clickIDIn.FindStringIndex(location); at != nil {
				location = location[:at[0]] + clickIDPlaceholder + location[at[0]+ClickIDLen:]
			}
		}
		x, err := with.Explain("https://"+c.host+c.path, edgeNow)
		if err != nil {
			t.Fatal(err)
		}
		if x.Status != want.status || x.Location != location || x.Recorded != recorded || x.Assumed {
			t.Errorf("%s%s: %d %s, recorded %v, assumed %v; an edge says %d %s", c.host, c.path, x.Status, x.Location, x.Recorded, x.Assumed, want.status, location)
		}
		if got := firstFailed(x); got != c.failed {
			t.Errorf("%s%s: failed %q, want %q", c.host, c.path, got, c.failed)
		}
		if c.blind == "=" {
			c.blind = c.failed
		}
		blind, err := without.Explain(c.host+c.path, edgeNow)
		if err != nil {
			t.Fatal(err)
		}
		if got := firstFailed(blind); got != c.blind || c.blind == c.failed && (blind.Status != x.Status || blind.Location != x.Location) {
			t.Errorf("%s%s, without keys: %d %s, failed %q, want %q", c.host, c.path, blind.Status, blind.Location, got, c.blind)
		}
		if c.blind != c.failed && (blind.Status != 302 || !blind.Assumed) {
			t.Errorf("%s%s, without keys: status %d, assumed %v", c.host, c.path, blind.Status, blind.Assumed)
		}
	}
}

func firstFailed(x Explanation) string {
	for _, s := range x.Steps {
		if s.Failed {
			return s.Check + ": " + s.Result
		}
	}
	return ""
}

// What a redirect is made of is told step by step.
func TestExplanationOfARedirect(t *testing.T) {
	e := newEdge(t)
	x, err := explained(t, e, testSealer(t)).Explain("HTTP://Go.Glow.test:8080/"+glowCode(linkOverride)+"?fbclid=x&utm_source=y#top", edgeNow)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, s := range x.Steps {
		fmt.Fprintf(&got, "%s: %s\n", s.Check, s.Result)
	}
	want := `host: go.glow.test, brand glow, slugs are open
path: a signed code of link 20, under key 1
key: key 1 of brand glow, active
signature: right
link: number 20, key l20, campaign spring, creator mia
state: the link is enabled
state: campaign spring is enabled
state: creator mia is enabled
time: the link has begun 2026-05-27T12:00:00Z
destination: campaign spring's
utm: utm_source=story+l20, from the link's own, and where it has none campaign spring's
utm: utm_medium=influencer, from the link's own, and where it has none campaign spring's
utm: utm_campaign=spring-mia, from the link's own, and where it has none campaign spring's
utm: utm_content=reel, from the link's own, and where it has none campaign spring's
query: fbclid is passed on
query: utm_source is left out: the link sets it, it is repeated or malformed, or there are too many
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	if x.Outcome != "redirect" || x.Status != 302 || !strings.HasSuffix(x.Location, "&fbclid=x&click_id={click_id}") || x.Reasons != "" {
		t.Errorf("%+v", x)
	}
	if later, _ := explained(t, e, testSealer(t)).Explain("go.glow.test/"+glowCode(linkEarly), edgeNow.Add(2*time.Hour)); later.Outcome != "redirect" {
		t.Errorf("a link that has begun by then: %+v", later)
	}
}

func TestExplainRefuses(t *testing.T) {
	e := newEdge(t)
	x := explained(t, e, nil)
	for _, url := range []string{"", "ftp://go.glow.test/x", "https:///x", "https://a b/x", "/x"} {
		if _, err := x.Explain(url, edgeNow); !errors.Is(err, ErrURL) {
			t.Errorf("Explain(%q): %v", url, err)
		}
	}
	other, err := NewSealer(bytes.Repeat([]byte("x"), 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewExplainer(snapshotFile(t, e), other); !errors.Is(err, ErrSealed) {
		t.Errorf("under another secret: %v", err)
	}
}
