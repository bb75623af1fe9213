package linkcheck

import (
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
)

// publicOnly is the control of a dialer: it sees the address itself, when nothing can change it any more, so a name that
// resolves otherwise the second time gains nothing.
func publicOnly(allowed []netip.Prefix) func(network, address string, conn syscall.RawConn) error {
	// Azure's metadata service stands at a public address.
	azure := netip.MustParsePrefix("168.63.129.16/32")
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(allowed...), ssrf.WithDeniedV4Prefixes(azure)).Safe
}
