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

// client is the rightmost address that is not a trusted proxy's: the peer itself unless it is one, else the last untrusted
// hop of X-Forwarded-For or, without that, of Forwarded. headers are the values of all such header lines, in order.
// A hop that is no address ends the search at the proxy that reported it.
func (p Proxies) client(peer netip.Addr, headers [][]byte, hop func([]byte) (netip.Addr, bool)) netip.Addr {
	addr := peer
	for i := len(headers) - 1; i >= 0; i-- {
		rest := headers[i]
		for len(rest) > 0 {
			if !p.contains(addr) {
				return addr
			}
			var last []byte
			if comma := bytes.LastIndexByte(rest, ','); comma >= 0 {
				rest, last = rest[:comma], rest[comma+1:]
			} else {
				rest, last = nil, rest
			}
			next, ok := hop(bytes.TrimSpace(last))
			if !ok {
				return addr
			}
			addr = next
		}
	}
	return addr
}

// forwardedForHop reads one element of X-Forwarded-For: an address, with or without a port.
func forwardedForHop(s []byte) (netip.Addr, bool) {
	s = bytes.Trim(s, `"`)
	var port []byte
	if inside, bracketed := bytes.CutPrefix(s, []byte("[")); bracketed {
		var closed bool
		if s, port, closed = bytes.Cut(inside, []byte("]")); !closed {
			return netip.Addr{}, false
		}
	} else if i := bytes.IndexByte(s, ':'); i == bytes.LastIndexByte(s, ':') && i >= 0 { // more than one: IPv6 without a port
		s, port = s[:i], s[i:]
	}
	if len(port) > 0 && (port[0] != ':' || !isPort(port[1:])) {
		return netip.Addr{}, false
	}
	// Nothing keeps the text: a zone is copied, the error dropped.
	addr, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(s), len(s)))
	return addr.Unmap().WithZone(""), err == nil
}

// forwardedHop reads one element of Forwarded (RFC 7239): its for= parameter.
func forwardedHop(s []byte) (netip.Addr, bool) {
	for pair := range bytes.SplitSeq(s, []byte(";")) {
		name, value := cutByte(bytes.TrimSpace(pair), '=')
		if bytes.EqualFold(bytes.TrimSpace(name), []byte("for")) {
			return forwardedForHop(bytes.TrimSpace(value))
		}
	}
	return netip.Addr{}, false
}
