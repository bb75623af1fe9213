//go:build !race

package geo

import (
	"net/netip"
	"testing"
)

func TestLocateDoesNotAllocate(t *testing.T) {
	path := save(t, "country.mmdb", countries(t))
	db := started(t, func(c *Config) { c.Country = path })
	for _, addr := range []netip.Addr{
		netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("::ffff:9.9.9.9"), netip.MustParseAddr("2a00:1450::1"), {},
	} {
		if n := testing.AllocsPerRun(100, func() { db.Locate(addr) }); n != 0 {
			t.Errorf("%v allocations to locate %v", n, addr)
		}
	}
}
