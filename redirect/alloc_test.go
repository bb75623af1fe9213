//go:build !race

package redirect

import (
	"testing"
	"time"
)

// A redirect allocates nothing: from the parsed request to the prepared answer, the record in the ring included.
func TestHandlerDoesNotAllocate(t *testing.T) {
	proxies, err := ParseProxies([]string{"10.0.0.0/8", "2001:db8:f::/48"})
	if err != nil {
		t.Fatal(err)
	}
	code := glowCode(linkLive)
	key := NewCodeKey(glowSecrets[1], "s.glow.test")
	signature := string(key.AppendSlugSignature(nil, []byte("winter")))
	request := func(method, host, target string, headers ...string) string {
		raw := browserRequest(method, host, target)
		for _, h := range headers {
			raw = raw[:len(raw)-2] + h + "\r\n\r\n"
		}
		return raw
	}
	for _, c := range []struct {
		name, raw string
		peer      string
		status    int
	}{
		{"code", request("GET", "go.glow.test", "/"+code), "198.51.100.7", 302},
		{"code, IPv6", request("GET", "go.glow.test", "/"+code), "2001:db8::7", 302},
		{"code, host in capitals with port", request("GET", "GO.Glow.Test:443", "/"+code), "198.51.100.7", 302},
		{"code, ad parameters", request("GET", "go.glow.test", "/"+code+"?fbclid=IwZXh0bgNhZW0CMTEAAR0x&utm_id=12&sub1=bio%20link&gclid=Cj0K"), "198.51.100.7", 302},
		{"code, cookies", request("GET", "go.glow.test", "/"+code, "Cookie: a=b; c=d"), "198.51.100.7", 302},
		{"code, prefetch", request("GET", "go.glow.test", "/"+code, "Sec-Purpose: prefetch;prerender"), "198.51.100.7", 302},
		{"HEAD", request("HEAD", "go.glow.test", "/"+code), "198.51.100.7", 302},
		{"slug", request("GET", "go.glow.test", "/summer"), "198.51.100.7", 302},
		{"signed slug", request("GET", "s.glow.test", "/winter~"+signature), "198.51.100.7", 302},
		{"token", request("GET", "go.glow.test", glowToken()), "198.51.100.7", 302},
		{"token, sub ids", request("GET", "go.glow.test", glowToken(withSubs("bio link", "", "c"))+"?sub1=mine&fbclid=IwZ"), "198.51.100.7", 302},
		{"token of a link that is known", request("GET", "go.glow.test", glowToken(func(t *Token) { t.Link = linkFragment }, withSubs("a"))), "198.51.100.7", 302},
		{"token, forged", request("GET", "go.glow.test", glowToken()+"A"), "198.51.100.7", 404},
		{"fragment", request("GET", "go.glow.test", "/"+glowCode(linkFragment)), "198.51.100.7", 302},
		{"expired, with a fallback", request("GET", "go.glow.test", "/"+glowCode(linkExpiredFallback)), "198.51.100.7", 302},
		{"expired", request("GET", "go.glow.test", "/"+glowCode(linkExpired)), "198.51.100.7", 410},
		{"unknown", request("GET", "go.glow.test", "/nothing-here"), "198.51.100.7", 404},
		{"forged", request("GET", "go.glow.test", "/"+code[:10]+"_"), "198.51.100.7", 404},
		{"absent code", request("GET", "go.glow.test", "/"+glowCode(linkAbsent)), "198.51.100.7", 404},
		{"unknown host", request("GET", "nobody.test", "/"+code), "198.51.100.7", 404},
		{"behind a proxy", request("GET", "go.glow.test", "/"+code, "X-Forwarded-For: 203.0.113.9, 198.51.100.7", "X-Forwarded-For: 10.0.0.2"), "10.0.0.1", 302},
		{"behind a proxy, with a port", request("GET", "go.glow.test", "/"+code, "X-Forwarded-For: 198.51.100.7:4711"), "10.0.0.1", 302},
		{"behind a proxy, IPv6", request("GET", "go.glow.test", "/"+code, "X-Forwarded-For: 2001:db8::7"), "10.0.0.1", 302},
		{"behind a proxy, IPv6 with a port", request("GET", "go.glow.test", "/"+code, `Forwarded: for="[2001:db8::7]:4711";proto=https`), "2001:db8:f::1", 302},
	} {
		e, sink := newEdge(t, func(c *Config) { c.Proxies = proxies }), newRingSink(t)
		e.server.sink = sink
		ctx := prepared(t, c.raw, c.peer)
		allocations := testing.AllocsPerRun(200, func() {
			e.server.handle(ctx)
			ctx.Response.Header.Reset()
			ctx.Response.ResetBody()
		})
		e.server.handle(ctx)
		if status := ctx.Response.StatusCode(); allocations != 0 || status != c.status {
			t.Errorf("%s: %v allocations, status %d, want %d", c.name, allocations, status, c.status)
		}
		if n := len(sink.records(t, 1000)); (n == 0) != (c.status == 404) {
			t.Errorf("%s: %d records in the ring", c.name, n)
		}
	}
}

// Nor do the connection's own reads and writes, whether the next request is there in time or not.
func TestConnectionDoesNotAllocate(t *testing.T) {
	server, client := yieldingPair(t)
	timed := &timedConn{Conn: server, timeouts: &timeouts{read: time.Minute, write: time.Minute, idle: time.Minute}}
	answers, requests, b := []byte("answer"), []byte("request"), make([]byte, 64)
	asked := make(chan struct{})
	defer close(asked)
	go func() {
		for range asked { // the server waits for these
			_, _ = client.Write(requests)
		}
	}()
	n := 0
	allocations := testing.AllocsPerRun(4*probeEvery, func() {
		if _, err := timed.Write(answers); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(b); err != nil {
			t.Fatal(err)
		}
		if n++; n%4 == 0 {
			asked <- struct{}{}
		} else if _, err := client.Write(requests); err != nil {
			t.Fatal(err)
		}
		if _, err := timed.Read(b); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations per request, want 0", allocations)
	}
}
