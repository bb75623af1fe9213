package linkcheck

import (
	"net"
	"testing"
)

func TestOnlyPublicAddressesAreDialled(t *testing.T) {
	safe := publicOnly(nil)
	for address, public := range map[string]bool{
		"8.8.8.8":               true,
		"93.184.216.34":         true,
		"2606:2800:220:1::1":    true,
		"0.0.0.0":               false, // unspecified
		"0.1.2.3":               false,
		"10.0.0.1":              false, // private
		"172.16.0.1":            false,
		"172.31.255.255":        false,
		"192.168.1.1":           false,
		"127.0.0.1":             false, // loopback
		"127.255.255.254":       false,
		"169.254.169.254":       false, // link-local, metadata
		"168.63.129.16":         false, // metadata at a public address
		"100.64.0.1":            false, // carrier-grade NAT
		"100.100.100.200":       false, // metadata in it
		"192.0.0.192":           false, // metadata in protocol assignments
		"198.18.0.1":            false, // benchmarking
		"203.0.113.9":           false, // documentation
		"224.0.0.1":             false, // multicast
		"240.0.0.1":             false, // reserved
		"255.255.255.255":       false, // broadcast
		"::":                    false, // unspecified
		"::1":                   false, // loopback
		"::ffff:127.0.0.1":      false, // mapped
		"::ffff:8.8.8.8":        false, // mapped, whatever it maps
		"::7f00:1":              false, // compatible
		"64:ff9b::7f00:1":       false, // NAT64
		"64:ff9b:1::7f00:1":     false, // local NAT64
		"2002:7f00:1::":         false, // 6to4
		"2001:0:7f00:1::":       false, // Teredo
		"2001:db8::1":           false, // documentation
		"fc00::1":               false, // unique local
		"fd00:ec2::254":         false, // metadata in it
		"fe80::1":               false, // link-local
		"fe80::1%eth0":          false,
		"fec0::1":               false, // site-local
		"ff02::1":               false, // multicast
		"100::1":                false, // discard
		"5f00::1":               false, // segment routing
		"3fff::1":               false, // documentation
		"not an address at all": false,
	} {
		network := "tcp4"
		if net.ParseIP(address).To4() == nil {
			network = "tcp6"
		}
		if err := safe(network, net.JoinHostPort(address, "443"), nil); (err == nil) != public {
			t.Errorf("%s: %v", address, err)
		}
	}
	if safe("udp", "8.8.8.8:443", nil) == nil {
		t.Error("UDP is dialled")
	}
}
