package redirect

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest"
)

func TestMethods(t *testing.T) {
	e := newEdge(t)
	link := "/" + glowCode(linkLive)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", link, 302},
		{"HEAD", link, 302},
		{"OPTIONS", link, 204},
		{"OPTIONS", "/", 204},
		{"OPTIONS", "/nothing-here", 204},
		{"OPTIONS", "/_/postback", 204},
		{"OPTIONS", "*", 204},
		{"GET", "*", 400},
		{"HEAD", "*", 400},
		{"POST", "*", 400},
		{"POST", link, 405},
		{"POST", "/", 405},
		{"POST", "/_/pixel.gif", 405},
		{"POST", "/_/postback/", 405},
		{"POST", "/_%2fpostback", 405},
		{"PUT", link, 405},
		{"DELETE", link, 405},
		{"PATCH", link, 405},
		{"TRACE", link, 405},
		{"PUT", "/_/postback", 405},
		{"CONNECT", "go.glow.test:443", 405},
		{"PROPFIND", link, 405},
		{"get", link, 405},
		{"GET0", link, 405},
	} {
		got := e.send(t, c.method+" "+c.path+" HTTP/1.1\nHost: go.glow.test\nContent-Length: 0")
		if got.status != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, got.status, c.status)
		}
		if allow, want := got.header.Get("Allow"), c.status == 405 || c.status == 204; (allow != "") != want ||
			want && strings.Contains(allow, "POST") != (c.path == "/_/postback") {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, allow)
		}
		if clicks := e.take(); len(clicks) != 0 && c.status != 302 {
			t.Errorf("%s %s: %d clicks recorded", c.method, c.path, len(clicks))
		}
	}
}

func TestHostsAndTargets(t *testing.T) {
	e := newEdge(t)
	code := glowCode(linkLive)
	for _, c := range []struct {
		name, request string // CODE stands for a live link's code
		status        int
	}{
		{"plain", "GET /CODE HTTP/1.1\nHost: go.glow.test", 302},
		{"capitals and port", "GET /CODE HTTP/1.1\nHost: GO.Glow.Test:443", 302},
		{"trailing dot", "GET /CODE HTTP/1.1\nHost: go.glow.test.", 302},
		{"trailing dot and port", "GET /CODE HTTP/1.1\nHost: go.glow.test.:443", 302},
		{"HTTP/1.0 with a host", "GET /CODE HTTP/1.0\nHost: go.glow.test", 302},
		{"absolute form", "GET http://go.glow.test/CODE HTTP/1.1\nHost: go.glow.test", 302},
		{"absolute form, other spelling", "GET HTTP://GO.GLOW.TEST:80/CODE HTTP/1.1\nHost: go.glow.test", 302},
		{"two hosts", "GET /CODE HTTP/1.1\nHost: go.glow.test\nHost: go.glow.test", 400},
		{"two hosts, the second foreign", "GET /CODE HTTP/1.1\nHost: go.glow.test\nHost: go.volt.test", 400},
		{"no host", "GET /CODE HTTP/1.1", 400},
		{"empty host", "GET /CODE HTTP/1.1\nHost:", 400},
		{"no host, HTTP/1.0", "GET /CODE HTTP/1.0", 400},
		{"no host but an absolute form", "GET http://go.glow.test/CODE HTTP/1.1", 400},
		{"user in the host", "GET /CODE HTTP/1.1\nHost: evil@go.glow.test", 400},
		{"host as a user", "GET /CODE HTTP/1.1\nHost: go.glow.test@evil.test", 400},
		{"absolute form of another host", "GET http://go.volt.test/CODE HTTP/1.1\nHost: go.glow.test", 421},
		{"absolute form of this host, Host of another", "GET http://go.glow.test/CODE HTTP/1.1\nHost: go.volt.test", 421},
		{"absolute form with a user", "GET http://evil@go.glow.test/CODE HTTP/1.1\nHost: go.glow.test", 400},
		{"host in a list", "GET /CODE HTTP/1.1\nHost: go.glow.test, go.volt.test", 400},
		{"port out of form", "GET /CODE HTTP/1.1\nHost: go.glow.test:x", 400},
		{"HTTP/9.9", "GET /CODE HTTP/9.9\nHost: go.glow.test", 505},
		{"HTTP/1.2", "GET /CODE HTTP/1.2\nHost: go.glow.test", 505},
		{"OPTIONS * without a host", "OPTIONS * HTTP/1.1", 400},
		{"OPTIONS * on a host out of form", "OPTIONS * HTTP/1.1\nHost: a@b", 400},
		{"OPTIONS * of HTTP/9.9", "OPTIONS * HTTP/9.9\nHost: go.glow.test", 505},
		{"OPTIONS of more than *", "OPTIONS ** HTTP/1.1\nHost: go.glow.test", 400},
		{"HTTP/2.0 in HTTP/1 form", "GET /CODE HTTP/2.0\nHost: go.glow.test", 505},
		{"no version", "GET /CODE\nHost: go.glow.test", 400},
		{"lower-case version", "GET /CODE http/1.1\nHost: go.glow.test", 400},
		{"version with a tail", "GET /CODE HTTP/1.1x\nHost: go.glow.test", 400},
		{"blank in the path", "GET /CO DE HTTP/1.1\nHost: go.glow.test", 400},
		{"fragment in the path", "GET /CODE#x HTTP/1.1\nHost: go.glow.test", 400},
		{"control character in the path", "GET /CODE\x01 HTTP/1.1\nHost: go.glow.test", 400},
		{"NUL in the path", "GET /CODE\x00 HTTP/1.1\nHost: go.glow.test", 400},
		{"byte outside ASCII in the path", "GET /CODE\xff HTTP/1.1\nHost: go.glow.test", 400},
		{"NUL in a header", "GET /CODE HTTP/1.1\nHost: go.glow.test\nX-A: a\x00b", 400},
		{"carriage return in a header", "GET /CODE HTTP/1.1\nHost: go.glow.test\nX-A: a\rX-B: b", 400},
		{"blank before the colon", "GET /CODE HTTP/1.1\nHost : go.glow.test", 400},
		{"header without a colon", "GET /CODE HTTP/1.1\nHost: go.glow.test\nnonsense", 400},
		{"two lengths", "GET /CODE HTTP/1.1\nHost: go.glow.test\nContent-Length: 0\nContent-Length: 5", 400},
		{"length with a sign", "GET /CODE HTTP/1.1\nHost: go.glow.test\nContent-Length: +5", 400},
		{"unknown transfer coding", "GET /CODE HTTP/1.1\nHost: go.glow.test\nTransfer-Encoding: gzip", 400},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
	} {
		got := e.send(t, strings.ReplaceAll(c.request, "CODE", code))
		if got.status != c.status {
			t.Errorf("%s: answers %q, want %d", c.name, got.raw, c.status)
		}
		if clicks := e.take(); (len(clicks) == 1) != (c.status == 302) {
			t.Errorf("%s: %d clicks recorded", c.name, len(clicks))
		}
		if c.status != 302 && (!strings.Contains(got.raw, "Connection: close\r\n") || got.header.Get("Server") != "" || strings.Contains(got.body, code)) {
			t.Errorf("%s: answers %q: it should close, name no server and repeat nothing", c.name, got.raw)
		}
	}
	if e.log.Len() > 0 {
		t.Errorf("clients filled the log: %s", e.log)
	}
}

func TestOversizeRequests(t *testing.T) {
	e := newEdge(t)
	code := glowCode(linkLive)
	limit := Default().HeaderBytes
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"long query, within the limit", "GET /" + code + "?x=" + strings.Repeat("a", limit-300) + " HTTP/1.1\nHost: go.glow.test", 302},
		{"query too long", "GET /" + code + "?x=" + strings.Repeat("a", limit) + " HTTP/1.1\nHost: go.glow.test", 431},
		{"path too long", "GET /" + strings.Repeat("a", 10*limit) + " HTTP/1.1\nHost: go.glow.test", 431},
		{"header too long", "GET /" + code + " HTTP/1.1\nHost: go.glow.test\nX-A: " + strings.Repeat("a", limit), 431},
		{"headers too many", "GET /" + code + " HTTP/1.1\nHost: go.glow.test\n" + strings.Repeat("X-A: a\n", limit/6), 431},
		{"body too long", "GET /" + code + " HTTP/1.1\nHost: go.glow.test\nContent-Length: 1000000000", 413},
		{"postback too long", "POST /_/postback HTTP/1.1\nHost: go.glow.test\nContent-Length: 1000000000", 413},
		{"body a little too long", fmt.Sprintf("GET /%s HTTP/1.1\nHost: go.glow.test\nContent-Length: %d", code, discardBytes+1), 413},
		{"body a little too long, in chunks", fmt.Sprintf("GET /%s HTTP/1.1\nHost: go.glow.test\nTransfer-Encoding: chunked\n\n%x\n", code, discardBytes+1), 413},
		{"postback a little too long", fmt.Sprintf("POST /_/postback HTTP/1.1\nHost: go.glow.test\nContent-Length: %d", Default().BodyBytes+1), 413},
		{
			"postback in chunks, too long",
			fmt.Sprintf("POST /_/postback HTTP/1.1\nHost: go.glow.test\nTransfer-Encoding: chunked\n\n%x\n", Default().BodyBytes+1), 413,
		},
		{
			"postback as long as allowed",
			fmt.Sprintf("POST /_/postback HTTP/1.1\nHost: go.glow.test\nContent-Type: application/x-www-form-urlencoded\nContent-Length: %d\n\n%s", Default().BodyBytes, strings.Repeat("a", Default().BodyBytes)), 401,
		},
		{"length beyond 64 bits", "GET /" + code + " HTTP/1.1\nHost: go.glow.test\nContent-Length: 99999999999999999999", 400},
	} {
		if got := e.send(t, c.request); got.status != c.status {
			t.Errorf("%s: answers %.200q, want %d", c.name, got.raw, c.status)
		}
		if clicks := e.take(); (len(clicks) == 1) != (c.status == 302) {
			t.Errorf("%s: %d clicks recorded", c.name, len(clicks))
		}
	}
}

func TestHeaderLimitIsConfinedTo64KiB(t *testing.T) {
	for bytes, want := range map[int]bool{0: false, 1 << 10: true, 8 << 10: true, 64<<10 - 1: true, 64 << 10: false} {
		c := Default()
		c.HeaderBytes = bytes
		if _, err := NewServer(c, &clickSink{}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler)); (err == nil) != want {
			t.Errorf("header limit of %d bytes: %v, want accepted %v", bytes, err, want)
		}
	}
}

// A body on GET belongs to its request: nothing in it is taken for a second one.
func TestBodiesAreDiscarded(t *testing.T) {
	e := newEdge(t)
	smuggled := "GET /" + glowCode(linkOverride) + " HTTP/1.1\r\nHost: go.glow.test\r\n\r\n"
	for _, c := range []struct{ name, header, body string }{
		{"length", fmt.Sprintf("Content-Length: %d", len(smuggled)), smuggled},
		{"chunked", "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)},
		{"as long as allowed", fmt.Sprintf("Content-Length: %d", discardBytes), strings.Repeat(" ", discardBytes-len(smuggled)) + smuggled},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			conn := e.dial(t)
			r := bufio.NewReader(conn)
			first := method + " /" + glowCode(linkLive) + " HTTP/1.1"
			write(t, conn, wire(first+"\nHost: go.glow.test\n"+c.header)+c.body)
			_, click1 := read(t, r, first).location(t)
			write(t, conn, wire("GET /summer HTTP/1.1\nHost: go.glow.test"))
			_, click2 := read(t, r, "GET").location(t)
			conn.Close()
			if clicks := e.take(); click1.Link != linkLive || click2.Link != linkSlug || len(clicks) != 2 {
				t.Errorf("%s, %s: answers are of links %d and %d, %d clicks recorded", method, c.name, click1.Link, click2.Link, len(clicks))
			}
		}
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	e := newEdge(t)
	conn := e.dial(t)
	defer conn.Close()
	links := []uint32{linkLive, linkOverride, linkFragment, linkLive}
	var requests string
	for _, l := range links {
		requests += wire("GET /" + glowCode(l) + " HTTP/1.1\nHost: go.glow.test")
	}
	write(t, conn, requests)
	r := bufio.NewReader(conn)
	for i, l := range links {
		if _, click := read(t, r, "GET").location(t); click.Link != l || int(click.Sequence) != i {
			t.Errorf("answer %d is click %+v, want link %d", i, click, l)
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	const timeout = 200 * time.Millisecond
	e := newEdge(t, func(c *Config) { c.ReadTimeout, c.IdleTimeout = timeout, timeout })
	answered := func(conn net.Conn) { write(t, conn, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test")) }
	drip := func(conn net.Conn, s string) {
		for i := range s {
			if _, err := conn.Write([]byte{s[i]}); err != nil {
				return
			}
			time.Sleep(timeout / 10)
		}
	}
	for name, behave := range map[string]func(net.Conn){
		"silent":                    func(net.Conn) {},
		"stops in the request line": func(c net.Conn) { write(t, c, "GET /abc") },
		"stops in the headers":      func(c net.Conn) { write(t, c, "GET / HTTP/1.1\r\nHost: go.glow.test\r\n") },
		"stops in the body": func(c net.Conn) {
			write(t, c, "POST /_/postback HTTP/1.1\r\nHost: go.glow.test\r\nContent-Length: 9\r\n\r\nabc")
		},
		"stops in a chunk": func(c net.Conn) {
			write(t, c, "GET / HTTP/1.1\r\nHost: go.glow.test\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc")
		},
		"drips headers":               func(c net.Conn) { drip(c, "GET / HTTP/1.1\r\nHost: go.glow.test\r\nX-Slow: loris, and so on and on") },
		"silent between requests":     answered,
		"stops in the second request": func(c net.Conn) { answered(c); write(t, c, "GET /abc") },
		"drips the second request":    func(c net.Conn) { answered(c); drip(c, "GET / HTTP/1.1\r\nHost: go.glow.test\r\nX-Slow: loris") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := e.dial(t)
			defer conn.Close()
			began := time.Now()
			go behave(conn)
			_, err := io.Copy(io.Discard, conn) // until the server closes
			if took := time.Since(began); took < timeout/2 || took > 10*timeout {
				t.Errorf("cut off after %v (%v), want about %v", took, err, timeout)
			}
		})
	}
}

func TestWhoIsAsking(t *testing.T) {
	trusted, err := ParseProxies([]string{"127.0.0.0/8", "10.0.0.0/8", "2001:db8:f::/48"})
	if err != nil {
		t.Fatal(err)
	}
	proxied, direct := newEdge(t, func(c *Config) { c.Proxies = trusted }), newEdge(t)
	for _, c := range []struct {
		name    string
		headers []string
		want    string // behind a trusted proxy; directly it is always the peer
	}{
		{"nothing said", nil, "127.0.0.1"},
		{"one hop", []string{"X-Forwarded-For: 198.51.100.7"}, "198.51.100.7"},
		{"one hop with a port", []string{"X-Forwarded-For: 198.51.100.7:4711"}, "198.51.100.7"},
		{"trusted hops behind", []string{"X-Forwarded-For: 198.51.100.7, 10.0.0.1, 10.0.0.2"}, "198.51.100.7"},
		{"what the client claimed before", []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"claimed trusted hop before", []string{"X-Forwarded-For: 10.1.1.1, 198.51.100.7, 10.0.0.1"}, "198.51.100.7"},
		{"several lines", []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 198.51.100.7", "X-Forwarded-For: 10.0.0.1"}, "198.51.100.7"},
		{"name in lower case", []string{"x-forwarded-for: 198.51.100.7"}, "198.51.100.7"},
		{"IPv6", []string{"X-Forwarded-For: 2001:db8::7"}, "2001:db8::7"},
		{"IPv6 in brackets", []string{"X-Forwarded-For: [2001:db8::7]"}, "2001:db8::7"},
		{"IPv6 with a port", []string{"X-Forwarded-For: [2001:db8::7]:4711"}, "2001:db8::7"},
		{"IPv6 with a zone", []string{"X-Forwarded-For: fe80::1%eth0"}, "fe80::1"},
		{"IPv4 inside IPv6", []string{"X-Forwarded-For: ::ffff:198.51.100.7"}, "198.51.100.7"},
		{"trusted IPv4 inside IPv6", []string{"X-Forwarded-For: 198.51.100.7, ::ffff:10.0.0.1"}, "198.51.100.7"},
		{"trusted IPv6", []string{"X-Forwarded-For: 198.51.100.7, 2001:db8:f::1"}, "198.51.100.7"},
		{"all trusted", []string{"X-Forwarded-For: 10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{"garbage", []string{"X-Forwarded-For: unknown"}, "127.0.0.1"},
		{"garbage behind a trusted hop", []string{"X-Forwarded-For: 198.51.100.7, garbage, 10.0.0.1"}, "10.0.0.1"},
		{"garbage before", []string{"X-Forwarded-For: garbage, 198.51.100.7"}, "198.51.100.7"},
		{"empty", []string{"X-Forwarded-For:"}, "127.0.0.1"},
		{"empty last hop", []string{"X-Forwarded-For: 198.51.100.7,"}, "127.0.0.1"},
		{"only commas", []string{"X-Forwarded-For: ,,,"}, "127.0.0.1"},
		{"octets too large", []string{"X-Forwarded-For: 198.51.100.700"}, "127.0.0.1"},
		{"leading zeros", []string{"X-Forwarded-For: 198.051.100.007"}, "127.0.0.1"},
		{"Forwarded", []string{"Forwarded: for=198.51.100.7;proto=https;by=10.0.0.1"}, "198.51.100.7"},
		{"Forwarded in any case, quoted", []string{`Forwarded: proto=https; For="198.51.100.7:4711"`}, "198.51.100.7"},
		{"Forwarded, IPv6", []string{`Forwarded: for="[2001:db8::7]:4711"`}, "2001:db8::7"},
		{"Forwarded, several hops", []string{"Forwarded: for=203.0.113.9, for=198.51.100.7", "Forwarded: for=10.0.0.1"}, "198.51.100.7"},
		{"Forwarded, commas and semicolons in quotes", []string{`Forwarded: for="[2001:db8::7]:80";by="a,b;for=203.0.113.9", for=10.0.0.1`}, "2001:db8::7"},
		{"Forwarded, quotes that swallow the proxy's hop", []string{`Forwarded: for=203.0.113.9;by=", for=198.51.100.7`}, "127.0.0.1"},
		{"Forwarded, hidden", []string{"Forwarded: for=_hidden"}, "127.0.0.1"},
		{"Forwarded, unknown behind", []string{"Forwarded: for=198.51.100.7, for=unknown"}, "127.0.0.1"},
		{"Forwarded without for", []string{"Forwarded: proto=https"}, "127.0.0.1"},
		{"both: X-Forwarded-For counts", []string{"Forwarded: for=203.0.113.9", "X-Forwarded-For: 198.51.100.7"}, "198.51.100.7"},
		{"other headers", []string{"X-Real-IP: 203.0.113.9", "True-Client-IP: 203.0.113.9", "CF-Connecting-IP: 203.0.113.9"}, "127.0.0.1"},
	} {
		for _, by := range []struct {
			how  string
			edge *edge
			want string
		}{{"through a proxy", proxied, c.want}, {"directly", direct, "127.0.0.1"}} {
			by.edge.get(t, "go.glow.test", "/"+glowCode(linkLive), c.headers...)
			if got := netip.AddrFrom16(by.edge.one(t).Addr).Unmap(); got.String() != by.want {
				t.Errorf("%s, %s: client is %v, want %s", c.name, by.how, got, by.want)
			}
		}
	}
}

// One visitor's memory never shows on another's click: the sink's slices are the request's, and the next request has them.
func TestRequestsDoNotShareMemory(t *testing.T) {
	e := newEdge(t)
	conn := e.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	for i, headers := range []string{"User-Agent: first\nReferer: https://first.test/\nAccept-Language: fr\nPurpose: prefetch", "Accept: */*"} {
		write(t, conn, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test\n"+headers))
		read(t, r, "GET")
		kept := e.one(t)
		want := ingest.Click{}
		if i == 0 {
			want = ingest.Click{Agent: []byte("first"), Referrer: []byte("https://first.test/"), Language: []byte("fr"), Reasons: ingest.Prefetch}
		}
		if string(kept.Agent) != string(want.Agent) || string(kept.Referrer) != string(want.Referrer) ||
			string(kept.Language) != string(want.Language) || kept.Reasons != want.Reasons {
			t.Errorf("request %d is recorded as %q %q %q %q", i, kept.Agent, kept.Referrer, kept.Language, kept.Reasons)
		}
	}
}
