package redirect

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestParseProxies(t *testing.T) {
	for _, c := range []struct {
		name, entry string
		inside      string // an address of the network
		outside     string
	}{
		{"network", "10.0.0.0/8", "10.255.0.1", "11.0.0.1"},
		{"network with host bits", "10.1.2.3/8", "10.255.0.1", "11.0.0.1"},
		{"single address", "192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"IPv6 network", "2001:db8::/32", "2001:db8:1::1", "2001:db9::1"},
		{"single IPv6 address", "::1", "::1", "::2"},
		{"IPv4 network inside IPv6", "::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"},
		{"everyone", "0.0.0.0/0", "198.51.100.7", "2001:db8::1"},
	} {
		p, err := ParseProxies([]string{c.entry})
		if err != nil || !p.contains(netip.MustParseAddr(c.inside)) || p.contains(netip.MustParseAddr(c.outside)) {
			t.Errorf("%s: %s becomes %v, %v: it should hold %s and not %s", c.name, c.entry, p, err, c.inside, c.outside)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/33", "10.0.0.256", "lb.example", "10.0.0.1:80", "10.0.0.0/8,192.0.2.0/24"} {
		if p, err := ParseProxies([]string{"10.0.0.0/8", bad}); err == nil || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("%q becomes %v, %v: the error should name it", bad, p, err)
		}
	}
	if p, err := ParseProxies(nil); err != nil || p.contains(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("no proxies are %v, %v", p, err)
	}
}

func TestPeer(t *testing.T) {
	for want, addr := range map[string]net.Addr{
		"198.51.100.7": &net.TCPAddr{IP: net.ParseIP("198.51.100.7")}, // 16 bytes
		"192.0.2.1":    &net.TCPAddr{IP: net.ParseIP("192.0.2.1").To4()},
		"2001:db8::7":  &net.TCPAddr{IP: net.ParseIP("2001:db8::7")},
		"::":           &net.UnixAddr{Name: "/run/carom.sock"},
	} {
		if got := peer(addr); got.String() != want {
			t.Errorf("peer of %v is %v, want %s", addr, got, want)
		}
	}
}

// FuzzParseHop: whatever a header says, an address comes out only of what netip reads as one, without zone and unmapped.
func FuzzParseHop(f *testing.F) {
	for _, s := range []string{
		"198.51.100.7", "198.51.100.7:80", "[2001:db8::7]", "[2001:db8::7]:80", "2001:db8::7", "fe80::1%eth0", `"[::1]:1"`, "unknown", "_x", "",
		"[::1", "[]", "::ffff:1.2.3.4", "1.2.3.4:", ":80", "[::1]x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		given := string(s)
		addr := parseHop(s)
		if string(s) != given {
			t.Fatalf("%q was changed to %q", given, s)
		}
		if !addr.IsValid() {
			return
		}
		if addr.Zone() != "" || addr.Is4In6() {
			t.Fatalf("%q is read as %v", given, addr)
		}
		for _, candidate := range []string{given, given[:max(0, strings.LastIndexByte(given, ':'))]} {
			candidate = strings.TrimSuffix(strings.TrimPrefix(candidate, "["), "]")
			if whole, err := netip.ParseAddr(candidate); err == nil && whole.Unmap().WithZone("") == addr {
				return
			}
		}
		t.Fatalf("%q is read as %v", given, addr)
	})
}
