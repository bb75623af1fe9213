package redirect

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"unsafe"
)

// Proxies are the networks of the load balancers in front of a node: only they may say who is asking.
type Proxies []netip.Prefix

// ParseProxies reads CIDR networks or single addresses.
func ParseProxies(list []string) (Proxies, error) {
	var out Proxies
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err2 := netip.ParseAddr(s)
			if err2 != nil {
				return nil, fmt.Errorf("trusted proxy %q: write a network such as 10.0.0.0/8 or an address", s)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func (p Proxies) contains(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// peer is the address at the other end of the connection.
func peer(addr net.Addr) netip.Addr {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		if a, ok := netip.AddrFromSlice(tcp.IP); ok {
			return a.Unmap()
		}
	}
	return netip.IPv6Unspecified()
}

// client is the rightmost address that is not a trusted proxy's among the hops before peer, which is one. lines are the values
// of all X-Forwarded-For or Forwarded lines, in order; cut reads their hops one by one, and one that it cannot read ends the
// search at the proxy that reported it.
func (p Proxies) client(peer netip.Addr, lines [][]byte, cut cutHop) netip.Addr {
	// One pass from the left: each hop that is nobody's proxy outdoes what stands before it, and so does one that cannot be read.
	addr, found := peer, false
	for _, line := range lines {
		for more := len(line) > 0; more; {
			var hop netip.Addr
			hop, line, more = cut(line)
			switch {
			case !hop.IsValid():
				addr, found = peer, false
			case !found || !p.contains(hop):
				addr, found = hop, true
			}
		}
	}
	return addr
}

// A cutHop reads the first hop of a header line, the zero Addr where that names no address, and returns what follows the comma
// after it, if there is one.
type cutHop func(line []byte) (hop netip.Addr, rest []byte, more bool)

// cutForwardedFor reads X-Forwarded-For: addresses, with or without a port.
func cutForwardedFor(line []byte) (hop netip.Addr, rest []byte, more bool) {
	element, rest, more := bytes.Cut(line, []byte(","))
	return parseHop(bytes.Trim(bytes.TrimSpace(element), `"`)), rest, more
}

// parseHop reads an address, with or without a port; the zero Addr where it is none.
func parseHop(s []byte) netip.Addr {
	var port []byte
	if inside, bracketed := bytes.CutPrefix(s, []byte("[")); bracketed {
		var closed bool
		if s, port, closed = bytes.Cut(inside, []byte("]")); !closed {
			return netip.Addr{}
		}
	} else if i := bytes.IndexByte(s, ':'); i >= 0 && i == bytes.LastIndexByte(s, ':') { // more than one: IPv6 without a port
		s, port = s[:i], s[i:]
	}
	if len(port) > 0 && (port[0] != ':' || !isPort(port[1:])) {
		return netip.Addr{}
	}
	// Nothing keeps the text: a zone is copied, the error dropped.
	addr, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(s), len(s)))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
