package redirect

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"carom/ingest"
)

// benchSink is the ring of production. When it is full the clock stands while it is emptied.
type benchSink struct {
	ringSink
	b *testing.B
}

func (s *benchSink) PutClick(lane uint64, c *ingest.Click) bool {
	if c.Put(s.ring, lane) {
		return true
	}
	s.b.StopTimer()
	for n := 1; n > 0; {
		n, _ = s.ring.Read(1<<20, func([]byte) {})
		s.ring.Release(s.ring.Mark(nil))
	}
	s.b.StartTimer()
	return c.Put(s.ring, lane)
}

// benchServer has n links on d1.test, and no listener.
func benchServer(b *testing.B, n uint32) *Server {
	b.Helper()
	m := newModel()
	m.builder.SetKey(KeyRow{Kind: KeyClickID, ID: "1", Secret: edgeKey, Active: true})
	m.builder.SetKey(KeyRow{Kind: KeyVisitor, ID: time.Now().UTC().Format(time.DateOnly), Secret: make([]byte, VisitorKeyLen), Active: true})
	for id := uint32(1); id <= 20; id++ {
		m.builder.SetCampaign(Campaign{
			ID: id, Key: fmt.Sprintf("campaign-%d", id), Brand: 1, Destination: fmt.Sprintf("https://shop.example/collections/%d", id),
			UTM:          UTM{Source: "{platform}", Medium: "influencer", Campaign: "{campaign}", Content: "{influencer}-{link}"},
			ClickIDParam: "click_id", Enabled: true,
		})
	}
	for number := uint32(1); number <= n; number++ {
		if err := m.builder.SetLink(LinkRow{
			ID: number, Key: fmt.Sprintf("link-%d", number), Brand: 1, Campaign: number%20 + 1, Influencer: 1, Domain: 1, Enabled: true,
		}); err != nil {
			b.Fatal(err)
		}
	}
	s, err := NewServer(Default(), &benchSink{newRingSink(b), b}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	s.SetTable(m.builder.Table())
	return s
}

// BenchmarkRedirect is what a redirect costs between the parsed request and the prepared answer, the click's record in the
// ring included. "bare" is the least that a fasthttp handler can do for a 302 with one header; what is above it is Carom.
func BenchmarkRedirect(b *testing.B) {
	location := []byte("https://shop.example/collections/1?utm_source=instagram&utm_medium=influencer&click_id=HbL068_RmN-ZgqpqlL-cXA")
	bare := func(ctx *fasthttp.RequestCtx) {
		ctx.Response.SetStatusCode(fasthttp.StatusFound)
		ctx.Response.Header.SetCanonical([]byte("Location"), location)
	}
	b.Run("bare", func(b *testing.B) { benchHandler(b, bare, []string{"/5UfZOaWF8di"}) })

	key := NewCodeKey(modelSecret(1), modelHost(1))
	for _, links := range []uint32{1_000, 100_000} {
		s := benchServer(b, links)
		for _, query := range []struct{ name, text string }{
			{"none", ""}, {"ads", "?fbclid=IwZXh0bgNhZW0CMTEAAR0xZJ9mKqV&utm_id=120215&sub1=bio%20link"},
		} {
			for _, pick := range []string{"hot", "random"} {
				targets := make([]string, links)
				for i := range targets {
					number := uint32(1)
					if pick == "random" {
						number = 1 + rand.Uint32N(links)
					}
					targets[i] = "/" + string(key.AppendCode(nil, 0, number)) + query.text
				}
				b.Run(fmt.Sprintf("links=%d/%s/query=%s", links, pick, query.name), func(b *testing.B) {
					s.sink.(*benchSink).b = b
					benchHandler(b, s.handle, targets)
				})
			}
		}
	}
}

// benchHandler runs a handler over targets in turn, with the headers of an in-app browser.
func benchHandler(b *testing.B, handle fasthttp.RequestHandler, targets []string) {
	ctx := prepared(b, browserRequest("GET", modelHost(1), "/"), "198.51.100.7")
	b.ReportAllocs()
	next := 0
	for b.Loop() {
		ctx.Request.Header.SetRequestURI(targets[next])
		if next++; next == len(targets) {
			next = 0
		}
		handle(ctx)
		if ctx.Response.StatusCode() != fasthttp.StatusFound {
			b.Fatalf("status %d", ctx.Response.StatusCode())
		}
		ctx.Response.Header.Reset()
	}
}
