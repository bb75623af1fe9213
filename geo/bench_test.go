package geo

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// BenchmarkLocate looks up random addresses; axes: networks in the database, family of the address. A country
// database of the world has about 400 000 networks.
func BenchmarkLocate(b *testing.B) {
	for _, networks := range []int{1_000, 400_000} {
		path := save(b, "country.mmdb", world(b, networks))
		db := started(b, func(c *Config) { c.Country = path })
		for _, family := range []string{"v4", "v6"} {
			addrs := make([]netip.Addr, 1<<16)
			for i := range addrs {
				addrs[i] = randomAddr(family)
			}
			b.Run(fmt.Sprintf("networks=%d/family=%s", networks, family), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					db.Locate(addrs[i%len(addrs)])
					i++
				}
			})
		}
	}
}

// BenchmarkRead flattens a file; axis: networks in it.
func BenchmarkRead(b *testing.B) {
	for _, networks := range []int{1_000, 400_000} {
		raw := world(b, networks)
		b.Run(fmt.Sprintf("networks=%d", networks), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(raw, KindCountry); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// world is a country database of that many networks, two thirds of them IPv4, in random places.
func world(b *testing.B, networks int) []byte {
	records := make(map[string]mmdbtype.Map, networks)
	for len(records) < networks {
		network := netip.PrefixFrom(randomAddr("v4"), 16+rand.IntN(9))
		if len(records)%3 == 0 {
			network = netip.PrefixFrom(randomAddr("v6"), 29+rand.IntN(20))
		}
		records[network.Masked().String()] = flatCountry(string([]byte{'A' + byte(rand.IntN(25)), 'A' + byte(rand.IntN(25))}))
	}
	return database(b, "country ipvAll", records)
}

func randomAddr(family string) netip.Addr {
	if family == "v4" {
		n := rand.Uint32()
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	// Regional registries hand out 2a00::/11, 2600::/12 and the like: addresses crowd in few places.
	n := rand.Uint64()
	return netip.AddrFrom16([16]byte{0: 0x2a, 1: byte(n) & 0x1f, 2: byte(n >> 8), 3: byte(n >> 16), 4: byte(n >> 24), 15: 1})
}
