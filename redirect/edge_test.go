package redirect

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest"
)

// An edge is a real server on a real socket with two brands, and a sink that remembers what it was given.
//
//	brand 1 glow   go.glow.test   nothing but links
//	               m.glow.test    has a home, a fallback and a not-found page
//	               s.glow.test    slugs are signed
//	brand 2 volt   go.volt.test
//
// Glow's signing keys: slot 0 verifies, slot 1 is active, slot 2 is retired, slot 3 was never made.
type edge struct {
	*clickSink
	server   *Server
	registry *prometheus.Registry
	builder  *Builder
	log      *strings.Builder
}

var edgeNow = time.Date(2026, 5, 28, 12, 0, 0, 123e6, time.UTC)

var (
	glowSecrets = [...][]byte{[]byte("glow, oldest"), []byte("glow, current"), []byte("glow, retired")}
	voltSecret  = []byte("volt")
	edgeKey     = []byte("a cluster's key!")
)

// The links of an edge by what they show.
const (
	linkLive       = 1 + iota // spring, go.glow.test, slot 1, no slug
	linkSlug                  // slug "summer" on go.glow.test
	linkOldKey                // slot 0
	linkRetiredKey            // slot 2
	linkExpired
	linkExpiredFallback // has a fallback of its own
	linkDisabled
	linkEarly
	linkPausedCampaign
	linkEndedCampaign
	linkEarlyCampaign
	linkGoneCreator         // creator disabled
	linkExpiredOnM          // m.glow.test, which has a fallback
	linkExpiredOnMOwn       // and a fallback of its own besides
	linkLiveOnM             // slug "summer" on m.glow.test as well
	linkSigned              // slug "winter" on s.glow.test
	linkVolt                // go.volt.test
	linkDeleted             // answers as if it had never been
	linkFragment            // own destination with query and fragment
	linkOverride            // own UTM source
	linkParam               // of a campaign whose click-id parameter is "aff sub"
	linkLast                // not a link
	linkAbsent        = 777 // never made
)

func edgeBuilder(t testing.TB) *Builder {
	t.Helper()
	b := NewBuilder()
	b.SetBrand(Brand{ID: 1, Key: "glow", Name: "Glow & Co", Currency: "EUR", AttributionDays: 30})
	b.SetBrand(Brand{ID: 2, Key: "volt", Name: "Volt", Currency: "USD", AttributionDays: 7})
	b.SetDomain(DomainRow{ID: 1, Host: "go.glow.test", Brand: 1})
	b.SetDomain(DomainRow{ID: 2, Host: "m.glow.test", Brand: 1, Home: "https://glow.example/", Fallback: "https://glow.example/ended", NotFound: "https://glow.example/lost"})
	b.SetDomain(DomainRow{ID: 3, Host: "s.glow.test", Brand: 1, SignedSlugs: true})
	b.SetDomain(DomainRow{ID: 4, Host: "go.volt.test", Brand: 2})
	b.SetKey(KeyRow{Brand: 1, Kind: KeyCode, ID: "0", Secret: glowSecrets[0]})
	b.SetKey(KeyRow{Brand: 1, Kind: KeyCode, ID: "1", Secret: glowSecrets[1], Active: true})
	b.SetKey(KeyRow{Brand: 1, Kind: KeyCode, ID: "2", Secret: glowSecrets[2], Retired: true})
	b.SetKey(KeyRow{Brand: 2, Kind: KeyCode, ID: "0", Secret: voltSecret, Active: true})
	b.SetKey(KeyRow{Kind: KeyClickID, ID: "1", Secret: edgeKey, Active: true})
	b.SetKey(KeyRow{Kind: KeyVisitor, ID: edgeNow.Format(time.DateOnly), Secret: make([]byte, VisitorKeyLen), Active: true})
	b.SetInfluencer(Influencer{ID: 1, Key: "mia", Platform: "instagram", Tier: ingest.TierMicro, Enabled: true})
	b.SetInfluencer(Influencer{ID: 2, Key: "tom", Platform: "tiktok", Tier: ingest.TierNano})
	spring := Campaign{
		ID: 1, Key: "spring", Brand: 1, Destination: "https://glow.example/spring?ref=carom",
		UTM:          UTM{Source: "{platform}", Medium: "influencer", Campaign: "{campaign}-{influencer}", Content: "{content_format}"},
		ClickIDParam: "click_id", Enabled: true,
	}
	for _, change := range []func(*Campaign){
		func(*Campaign) {},
		func(c *Campaign) { c.Enabled = false },
		func(c *Campaign) { c.Ends = edgeNow.Add(-time.Minute) },
		func(c *Campaign) { c.Starts = edgeNow.Add(time.Minute) },
		func(c *Campaign) { c.ClickIDParam = "aff sub" },
		func(c *Campaign) { c.Brand, c.UTM, c.Destination = 2, UTM{}, "https://volt.example/" },
	} {
		c := spring
		change(&c)
		b.SetCampaign(c)
		spring.ID++
	}
	for id, change := range map[uint32]func(*LinkRow){
		linkLive:            func(*LinkRow) {},
		linkSlug:            func(l *LinkRow) { l.Slug = "summer" },
		linkOldKey:          func(l *LinkRow) { l.KeyID = 0 },
		linkRetiredKey:      func(l *LinkRow) { l.KeyID = 2 },
		linkExpired:         func(l *LinkRow) { l.Expires, l.Slug = edgeNow.Add(-time.Second), "spring-sale" },
		linkExpiredFallback: func(l *LinkRow) { l.Expires, l.Fallback = edgeNow.Add(-time.Hour), "https://glow.example/next?a=b" },
		linkDisabled:        func(l *LinkRow) { l.Enabled = false },
		linkEarly:           func(l *LinkRow) { l.Starts = edgeNow.Add(time.Hour) },
		linkPausedCampaign:  func(l *LinkRow) { l.Campaign = 2 },
		linkEndedCampaign:   func(l *LinkRow) { l.Campaign = 3 },
		linkEarlyCampaign:   func(l *LinkRow) { l.Campaign = 4 },
		linkGoneCreator:     func(l *LinkRow) { l.Influencer = 2 },
		linkExpiredOnM:      func(l *LinkRow) { l.Domain, l.Expires = 2, edgeNow.Add(-time.Hour) },
		linkExpiredOnMOwn: func(l *LinkRow) {
			l.Domain, l.Expires, l.Fallback = 2, edgeNow.Add(-time.Hour), "https://glow.example/next"
		},
		linkLiveOnM:  func(l *LinkRow) { l.Domain, l.Slug = 2, "summer" },
		linkSigned:   func(l *LinkRow) { l.Domain, l.Slug = 3, "winter" },
		linkVolt:     func(l *LinkRow) { l.Brand, l.Campaign, l.Domain, l.KeyID, l.Slug = 2, 6, 4, 0, "volt-sale" },
		linkDeleted:  func(l *LinkRow) { l.Deleted, l.Slug = true, "deleted" },
		linkFragment: func(l *LinkRow) { l.Destination = "https://glow.example/p?size=m&utm_source=own#reviews" },
		linkOverride: func(l *LinkRow) { l.UTM.Source = "story {link}" },
		linkParam:    func(l *LinkRow) { l.Campaign = 5 },
	} {
		l := LinkRow{
			ID: id, Key: fmt.Sprintf("l%d", id), Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, KeyID: 1,
			Format: ingest.FormatOf("reel"), Starts: edgeNow.Add(-24 * time.Hour), Enabled: true,
		}
		change(&l)
		if err := b.SetLink(l); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// newEdge starts an edge; options change its configuration.
func newEdge(t testing.TB, options ...func(*Config)) *edge {
	t.Helper()
	e := &edge{clickSink: &clickSink{}, registry: prometheus.NewRegistry(), builder: edgeBuilder(t), log: &strings.Builder{}}
	c := Default()
	c.Listen, c.Node = "127.0.0.1:0", 9
	c.MaxConns = 512 // which fits any usual limit of open files: nothing to warn of
	for _, change := range options {
		change(&c)
	}
	var err error
	e.server, err = NewServer(c, e.clickSink, e.registry, slog.New(slog.NewTextHandler(e.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e.server.now = func() time.Time { return edgeNow }
	e.server.SetTable(e.builder.Table())
	if err := e.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

// clickSink remembers copies of what it was given. A test may set onPut to interfere.
type clickSink struct {
	onPut func(*ingest.Click)

	mu     sync.Mutex
	clicks []ingest.Click
}

func (s *clickSink) PutClick(_ uint64, c *ingest.Click) bool {
	if s.onPut != nil {
		s.onPut(c)
	}
	kept := *c
	for _, piece := range []*[]byte{&kept.Host, &kept.Slug, &kept.Query, &kept.Agent, &kept.Referrer, &kept.Language} {
		*piece = slices.Clone(*piece)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clicks = append(s.clicks, kept)
	return true
}

func (s *clickSink) PutConversion(*ingest.Conversion) bool { panic("no conversion was sent") }

// take returns what was recorded since the last call.
func (s *clickSink) take() []ingest.Click {
	s.mu.Lock()
	defer s.mu.Unlock()
	clicks := s.clicks
	s.clicks = nil
	return clicks
}

// codeOn is the code of a link as its brand would have minted it for host.
func codeOn(host string, secret []byte, slot uint8, link uint32) string {
	key := NewCodeKey(secret, host)
	return string(key.AppendCode(nil, slot, link))
}

// glowCode is the code of one of glow's links on go.glow.test.
func glowCode(link uint32) string { return codeOn("go.glow.test", glowSecrets[1], 1, link) }

// A reply is what came back on the wire.
type reply struct {
	status int
	header http.Header
	body   string
	raw    string // all bytes but the value of Date
}

var dateLine = regexp.MustCompile(`(?m)^Date: .*\r\n`)

// send writes raw bytes on a new connection and reads one reply; it fails the test if there is none. Bare "\n" of the
// request become CR LF, and the empty line is added.
func (e *edge) send(t testing.TB, request string) reply {
	t.Helper()
	conn := e.dial(t)
	defer conn.Close()
	write(t, conn, wire(request))
	return read(t, bufio.NewReader(conn), request)
}

func wire(request string) string {
	return strings.ReplaceAll(strings.TrimSuffix(request, "\n"), "\n", "\r\n") + "\r\n\r\n"
}

func (e *edge) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", e.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func write(t testing.TB, conn net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(conn, s); err != nil {
		t.Fatal(err)
	}
}

// read reads the answer to request.
func read(t testing.TB, r *bufio.Reader, request string) reply {
	t.Helper()
	var raw strings.Builder
	tee := bufio.NewReader(io.TeeReader(oneByte{r}, &raw))
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(tee, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer to %.200q: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("body of the answer to %.200q: %v", request, err)
	}
	return reply{response.StatusCode, response.Header, string(body), dateLine.ReplaceAllString(raw.String(), "")}
}

// oneByte keeps a reader from taking bytes of the next reply.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

// get asks for a path on a host with the headers given, "Name: value" each.
func (e *edge) get(t testing.TB, host, path string, headers ...string) reply {
	t.Helper()
	return e.send(t, "GET "+path+" HTTP/1.1\nHost: "+host+"\n"+strings.Join(append(headers, ""), "\n"))
}

var clickIDIn = regexp.MustCompile(`[A-Za-z0-9_-]{22}(#.*)?$`)

// location is the reply's Location with ID in place of the click id, and the click that the id holds.
func (a reply) location(t testing.TB) (string, Click) {
	t.Helper()
	loc := a.header.Get("Location")
	at := clickIDIn.FindStringIndex(loc)
	if a.status != 302 || at == nil {
		t.Fatalf("status %d, Location %q has no click id", a.status, loc)
	}
	id := loc[at[0] : at[0]+ClickIDLen]
	c, err := clickIDKeys{mustClickIDKey(t, edgeKey)}.open(id)
	if err != nil {
		t.Fatalf("click id %s: %v", id, err)
	}
	return loc[:at[0]] + "ID" + loc[at[0]+ClickIDLen:], c
}

// one returns the only click recorded since the last take.
func (s *clickSink) one(t testing.TB) ingest.Click {
	t.Helper()
	clicks := s.take()
	if len(clicks) != 1 {
		t.Fatalf("%d clicks recorded, 1 expected", len(clicks))
	}
	return clicks[0]
}
