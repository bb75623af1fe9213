package redirect

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"carom/ingest"
	"carom/ingest/ring"
)

// ringSink is what production has between the redirect and the flusher.
type ringSink struct{ ring *ring.Ring }

func newRingSink(t testing.TB) ringSink {
	t.Helper()
	r, err := ring.New(ring.Config{Lanes: 1, SegmentBytes: 1 << 20, BudgetBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return ringSink{r}
}

func (s ringSink) PutClick(lane uint64, c *ingest.Click) bool { return c.Put(s.ring, lane) }
func (s ringSink) PutConversion(c *ingest.Conversion) bool    { return c.Put(s.ring, 0) }
func (s ringSink) records(t testing.TB, limit int) (records [][]byte) {
	t.Helper()
	if _, lost := s.ring.Read(limit, func(p []byte) { records = append(records, bytes.Clone(p)) }); lost > 0 {
		t.Fatalf("%d records do not match their checksum", lost)
	}
	return records
}

// browserRequest is what an in-app browser sends, as it stands on the wire.
func browserRequest(method, host, target string) string {
	return strings.Join([]string{
		method + " " + target + " HTTP/1.1",
		"Host: " + host,
		"Connection: keep-alive",
		`sec-ch-ua: "Android WebView";v="137", "Chromium";v="137", "Not/A)Brand";v="24"`,
		"sec-ch-ua-mobile: ?1",
		`sec-ch-ua-platform: "Android"`,
		"Upgrade-Insecure-Requests: 1",
		"User-Agent: Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) " +
			"Version/4.0 Chrome/137.0.7151.115 Mobile Safari/537.36 Instagram 385.0.0.47.74 Android (34/14; 450dpi; 1080x2115)",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
		"Sec-Fetch-Site: cross-site",
		"Sec-Fetch-Mode: navigate",
		"Sec-Fetch-Dest: document",
		"Referer: https://l.instagram.com/",
		"Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: de-AT,de;q=0.9,en-US;q=0.8",
		"\r\n",
	}, "\r\n")
}

// prepared is a request as fasthttp hands it to the handler, from a peer with that address.
func prepared(t testing.TB, raw, peer string) *fasthttp.RequestCtx {
	t.Helper()
	var request fasthttp.Request
	if err := request.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
		t.Fatal(err)
	}
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&request, &net.TCPAddr{IP: net.ParseIP(peer), Port: 4711}, quiet{})
	return ctx
}

// fasthttp gives the memory of a request to the next one. Nothing of the second may show in the record of the first.
func TestRecordsDoNotAliasTheRequest(t *testing.T) {
	e, sink := newEdge(t), newRingSink(t)
	e.server.sink = sink
	ctx := prepared(t, browserRequest("GET", "go.glow.test", "/summer?sub1=follower&utm_term=shoes"), "198.51.100.7")
	e.server.handle(ctx)
	scribbled := 0
	scribble := func(b []byte) {
		for i := range b {
			b[i] = '#'
		}
		scribbled += len(b)
	}
	h := &ctx.Request.Header
	for _, b := range [][]byte{h.RequestURI(), h.Host(), h.UserAgent(), h.RawHeaders(), h.Method(), h.Protocol()} {
		scribble(b)
	}
	for _, value := range h.All() {
		scribble(value)
	}
	if scribbled < 2*len("Mozilla/5.0 …") {
		t.Fatalf("only %d bytes of the request were overwritten", scribbled)
	}
	records := sink.records(t, 2)
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	got := records[0]
	for _, want := range []string{"sub1=follower", "utm_term=shoes", "Instagram 385.0.0.47.74", "https://l.instagram.com/", "de-AT,de;q=0.9", "go.glow.test", "summer"} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("the record lacks %q: %q", want, got)
		}
	}
	if bytes.Contains(got, []byte("##")) {
		t.Errorf("the record shows what was written to the request later: %q", got)
	}
}

// The same over a connection: the second request lies where the first was.
func TestRecordsOfOneConnection(t *testing.T) {
	e, sink := newEdge(t), newRingSink(t)
	e.server.sink = sink
	conn := e.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, who := range []string{"aaaaaaaa", "bbbbbbbb"} {
		write(t, conn, wire("GET /"+glowCode(linkLive)+"?sub1="+who+" HTTP/1.1\nHost: go.glow.test\nUser-Agent: "+who+"\nReferer: https://"+who+".test/"))
		read(t, r, "GET")
	}
	records := sink.records(t, 3)
	if len(records) != 2 {
		t.Fatalf("%d records", len(records))
	}
	for i, who := range []string{"aaaaaaaa", "bbbbbbbb"} {
		other := []string{"bbbbbbbb", "aaaaaaaa"}[i]
		if bytes.Count(records[i], []byte(who)) != 3 || bytes.Contains(records[i], []byte(other)) {
			t.Errorf("record %d is %q", i, records[i])
		}
	}
}
