package redirect

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric/metrictest"
)

// newProxiedEdge trusts this machine to be a proxy that sends PROXY headers.
func newProxiedEdge(t *testing.T, options ...func(*Config)) *edge {
	t.Helper()
	return newEdge(t, append(options, func(c *Config) {
		c.Proxies, c.ProxyHeader = Proxies{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}, true
	})...)
}

// proxyHeader2 is a header of version 2 in bytes.
func proxyHeader2(t *testing.T, command proxyproto.ProtocolVersionAndCommand, family proxyproto.AddressFamilyAndProtocol, from, to net.Addr) string {
	t.Helper()
	h := proxyproto.Header{Version: 2, Command: command, TransportProtocol: family, SourceAddr: from, DestinationAddr: to}
	if err := h.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("go.glow.test")}}); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProxyHeaders(t *testing.T) {
	e := newProxiedEdge(t)
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 4711} }
	version2 := func(command proxyproto.ProtocolVersionAndCommand, family proxyproto.AddressFamilyAndProtocol, from, to net.Addr) string {
		return proxyHeader2(t, command, family, from, to)
	}
	plain := version2(proxyproto.PROXY, proxyproto.TCPv4, tcp("198.51.100.7"), tcp("192.0.2.1"))
	for _, c := range []struct{ name, header, more, want string }{ // want: the client, empty where the connection is refused
		{"version 1", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n", "", "198.51.100.7"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "", "2001:db8::7"},
		{"version 1, the proxy itself", "PROXY UNKNOWN\r\n", "", "127.0.0.1"},
		{"version 2", plain, "", "198.51.100.7"},
		{"version 2, IPv6", version2(proxyproto.PROXY, proxyproto.TCPv6, tcp("2001:db8::7"), tcp("2001:db8::1")), "", "2001:db8::7"},
		{"version 2, the proxy itself", version2(proxyproto.LOCAL, proxyproto.TCPv4, tcp("198.51.100.7"), tcp("192.0.2.1")), "", "127.0.0.1"},
		{"what a client says of itself", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n", "X-Forwarded-For: 203.0.113.9", "198.51.100.7"},
		{"what a trusted proxy before says", "PROXY TCP4 10.1.2.3 192.0.2.1 4711 80\r\n", "X-Forwarded-For: 203.0.113.9", "203.0.113.9"},

		{"none", "", "", ""},
		{"a second one", plain + plain, "", ""},
		{"version 1 without an end", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 80", "", ""},
		{"version 1 ended by a line feed", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\n", "", ""},
		{"version 1 too long", "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", "", ""},
		{"version 1 of no address", "PROXY TCP4 198.51.100.700 192.0.2.1 4711 80\r\n", "", ""},
		{"version 1 of the other family", "PROXY TCP4 2001:db8::7 2001:db8::1 4711 80\r\n", "", ""},
		{"version 1 of no port", "PROXY TCP4 198.51.100.7 192.0.2.1 65536 80\r\n", "", ""},
		{"version 1 cut short", "PROXY TCP4 198.51.100.7\r\n", "", ""},
		{"version 1 in lower case", "proxy TCP4 198.51.100.7 192.0.2.1 4711 80\r\n", "", ""},
		{"version 2 of an unknown command", plain[:12] + "\x2f" + plain[13:], "", ""},
		{"version 2 of an unknown family", plain[:13] + "\x41" + plain[14:], "", ""},
		{"version 2, length too short", plain[:14] + "\x00\x03" + plain[16:], "", ""},
		{"version 2, datagrams", version2(proxyproto.PROXY, proxyproto.UDPv4,
			&net.UDPAddr{IP: net.ParseIP("198.51.100.7"), Port: 1}, &net.UDPAddr{IP: net.ParseIP("192.0.2.1"), Port: 2}), "", ""},
		{"version 2, a local socket", version2(proxyproto.PROXY, proxyproto.UnixStream,
			&net.UnixAddr{Net: "unix", Name: "/a"}, &net.UnixAddr{Net: "unix", Name: "/b"}), "", ""},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "", ""},
	} {
		conn := e.dial(t)
		write(t, conn, c.header+wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test\n"+c.more))
		r := bufio.NewReader(conn)
		got := read(t, r, "GET")
		if c.want == "" {
			if _, err := io.Copy(io.Discard, r); got.status != 400 || len(e.take()) != 0 || err != nil && !isReset(err) {
				t.Errorf("%s: answers %q, then %v: it should refuse and close", c.name, got.raw, err)
			}
		} else if got.status != 302 {
			t.Errorf("%s: answers %q", c.name, got.raw)
		} else if addr := netip.AddrFrom16(e.one(t).Addr).Unmap(); addr.String() != c.want {
			t.Errorf("%s: the client is %v, want %s", c.name, addr, c.want)
		}
		conn.Close()
	}
	if bad := metrictest.All(t, e.registry)[`carom_redirects_total{outcome="bad_request"}`]; bad != 16 {
		t.Errorf("%v refused connections counted, want 16", bad)
	}
	if e.log.Len() > 0 {
		t.Errorf("clients filled the log: %s", e.log)
	}
}

// The header counts for all requests of its connection.
func TestProxyHeaderStandsForItsConnection(t *testing.T) {
	e := newProxiedEdge(t)
	conn := e.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	write(t, conn, "PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n")
	time.Sleep(10 * time.Millisecond) // it may come alone
	for range 3 {
		write(t, conn, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
		if got := read(t, r, "GET"); got.status != 302 {
			t.Fatalf("answers %q", got.raw)
		}
		if addr := netip.AddrFrom16(e.one(t).Addr).Unmap(); addr.String() != "198.51.100.7" {
			t.Errorf("the client is %v", addr)
		}
	}
}

// Who is no trusted proxy cannot choose an address, and needs no header.
func TestProxyHeaderOfStrangers(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Proxies, c.ProxyHeader = Proxies{netip.MustParsePrefix("10.0.0.0/8")}, true })
	off := newEdge(t, func(c *Config) { c.Proxies = Proxies{netip.MustParsePrefix("127.0.0.0/8")} })
	for name, by := range map[string]*edge{"no trusted proxy": e, "headers are off": off} {
		if got := by.get(t, "go.glow.test", "/"+glowCode(linkLive)); got.status != 302 {
			t.Errorf("%s, no header: answers %q", name, got.raw)
		}
		if addr := netip.AddrFrom16(by.one(t).Addr).Unmap(); addr.String() != "127.0.0.1" {
			t.Errorf("%s: the client is %v", name, addr)
		}
		for _, header := range []string{
			"PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\n",
			proxyHeader2(t, proxyproto.PROXY, proxyproto.TCPv4, &net.TCPAddr{IP: net.IP{198, 51, 100, 7}}, &net.TCPAddr{IP: net.IP{192, 0, 2, 1}}),
		} {
			got := by.send(t, header+"GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test")
			if clicks := by.take(); got.status != 400 || len(clicks) != 0 {
				t.Errorf("%s, header %q: answers %q, %d clicks", name, header, got.raw, len(clicks))
			}
		}
	}
}

// Whoever keeps a header to himself is cut off in time, and never keeps others waiting, even where the server is full.
func TestSlowProxyHeaders(t *testing.T) {
	const timeout = 300 * time.Millisecond
	e := newProxiedEdge(t, func(c *Config) { c.ReadTimeout, c.MaxConns = timeout, 2 })
	for name, begin := range map[string]string{"silent": "", "half a signature": "\r\n\r\n\x00", "half a header": "PROXY TCP4 198.5"} {
		conn := e.dial(t)
		began := time.Now()
		write(t, conn, begin)
		_, err := io.Copy(io.Discard, conn) // until the server closes
		if took := time.Since(began); took > 10*timeout {
			t.Errorf("%s: cut off after %v (%v), want %v at most", name, took, err, timeout)
		}
		conn.Close()
	}
	full := []net.Conn{e.dial(t), e.dial(t)}
	began := time.Now()
	for range 3 {
		conn := e.dial(t)
		if got := read(t, bufio.NewReader(conn), "GET"); got.status != 503 && got.status != 400 { // 400 once the first two are cut off
			t.Errorf("one connection too many is answered %q", got.raw)
		}
		conn.Close()
	}
	if took := time.Since(began); took > 10*timeout {
		t.Errorf("connections too many waited %v", took)
	}
	for _, conn := range full {
		conn.Close()
	}
}

func TestProxyHeadersNeedProxies(t *testing.T) {
	c := Default()
	c.ProxyHeader = true
	if _, err := NewServer(c, &clickSink{}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "trusted proxies") {
		t.Errorf("PROXY headers of nobody: %v", err)
	}
}

// isReset reports whether the peer has closed without having read all.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && strings.Contains(op.Error(), "reset")
}
