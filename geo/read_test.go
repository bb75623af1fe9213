package geo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/oschwald/maxminddb-golang/v2"
	"pgregory.net/rapid"
)

// The flattened table and the reader of the file say the same about any address.
func TestTableAgreesWithReader(t *testing.T) {
	for _, test := range []struct {
		raw  []byte
		kind Kind
	}{
		{countries(t), KindCountry},
		{load(t, shared(t, "maxmind-test", "GeoLite2-City-Test.mmdb")), KindCity},
		{load(t, shared(t, "maxmind-test", "GeoIP2-Country-Test.mmdb")), KindCountry},
		{load(t, shared(t, "maxmind-test", "GeoLite2-ASN-Test.mmdb")), KindASN},
	} {
		reader, err := maxminddb.OpenBytes(test.raw)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(reader.Metadata.DatabaseType, func(t *testing.T) {
			tab, err := read(test.raw, test.kind)
			if err != nil {
				t.Fatal(err)
			}
			decode, err := decoderFor(reader.Metadata.DatabaseType, test.kind)
			if err != nil {
				t.Fatal(err)
			}
			var edges []netip.Addr // addresses where networks begin, which chance would never hit
			for result := range reader.Networks() {
				edges = append(edges, result.Prefix().Addr())
			}
			rapid.Check(t, func(t *rapid.T) {
				addr := anyAddr(edges).Draw(t, "addr")
				if addr.Is6() && (!unicast.Contains(addr) || carried(addr, 128)) {
					return
				}
				var want Place
				if result := reader.Lookup(addr); result.Found() {
					if want, err = decode(result); err != nil {
						t.Fatal(err)
					}
				}
				if got := *tab.find(addr); got != want {
					t.Fatalf("%s is in %+v, the reader says %+v", addr, got, want)
				}
			})
		})
	}
}

func anyAddr(edges []netip.Addr) *rapid.Generator[netip.Addr] {
	return rapid.OneOf(
		rapid.Map(rapid.Uint32(), func(n uint32) netip.Addr {
			return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
		}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) netip.Addr {
			b[0] = 0x20 | b[0]&0x1f
			return netip.AddrFrom16([16]byte(b))
		}),
		rapid.Map(rapid.SampledFrom(edges), netip.Addr.Next),
		rapid.Map(rapid.SampledFrom(edges), func(a netip.Addr) netip.Addr {
			if prev := a.Prev(); prev.IsValid() {
				return prev
			}
			return a
		}),
		rapid.SampledFrom(edges),
	)
}

func TestReadRefuses(t *testing.T) {
	good := countries(t)
	for name, test := range map[string]struct {
		raw  []byte
		kind Kind
		want error
	}{
		"nothing":              {nil, KindCountry, ErrCorrupt},
		"text":                 {[]byte("<html>404 Not Found</html>"), KindCountry, ErrCorrupt},
		"the first half":       {good[:len(good)/2], KindCountry, ErrCorrupt},
		"the last half":        {good[len(good)/2:], KindCountry, ErrCorrupt},
		"zeros in the middle":  {zeroed(good), KindCountry, ErrCorrupt},
		"no network":           {database(t, "country ipvAll", nil), KindCountry, ErrEmpty},
		"no known country":     {database(t, "country ipvAll", map[string]mmdbtype.Map{"1.0.0.0/8": flatCountry("-")}), KindCountry, ErrEmpty},
		"country for a city":   {good, KindCity, ErrType},
		"country for a system": {good, KindASN, ErrType},
		"a type of its own":    {database(t, "weather", nil), KindCountry, ErrType},
		"a shared tree":        {sharedTree(t), KindCountry, ErrCorrupt},
		"a circular tree":      {circularTree(t), KindCountry, ErrCorrupt},
		"a record of the wrong shape": {database(t, "country ipvAll", map[string]mmdbtype.Map{
			"1.0.0.0/8": {"country_code": mmdbtype.Uint32(7)},
		}), KindCountry, ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if tab, err := read(test.raw, test.kind); !errors.Is(err, test.want) || tab != nil {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// MaxMind's collection of broken files: each is refused or read, soon.
func TestReadSurvivesBadFiles(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared(t, "maxmind-test", "bad"), "*.mmdb"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no files: ", err)
	}
	for _, path := range paths {
		raw := load(t, path)
		for _, kind := range []Kind{KindCountry, KindCity, KindASN} {
			began := time.Now()
			tab, err := read(raw, kind)
			if (tab == nil) == (err == nil) {
				t.Errorf("%s: table %v with error %v", filepath.Base(path), tab != nil, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: took %v for %d bytes", filepath.Base(path), took, len(raw))
			}
		}
	}
}

func TestReadSurvivesTruncationAndFlips(t *testing.T) {
	good := database(t, "country ipvAll", map[string]mmdbtype.Map{
		"9.0.0.0/8": flatCountry("US"), "2a00::/12": flatCountry("DE"),
	})
	for n := range good {
		if _, err := read(good[:n], KindCountry); err == nil {
			t.Errorf("%d of %d bytes are a database", n, len(good))
		}
		flipped := bytes.Clone(good)
		flipped[n] ^= 1 << (n % 8)
		if tab, err := read(flipped, KindCountry); err == nil {
			tab.find(netip.MustParseAddr("9.9.9.9"))
			tab.find(netip.MustParseAddr("2a00:1450::1"))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(countries(f))
	f.Add(sharedTree(f))
	f.Add(circularTree(f))
	paths, err := filepath.Glob(filepath.Join("..", "..", "shared", "data", "maxmind-test", "bad", "*.mmdb"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		f.Add(load(f, path))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, kind := range []Kind{KindCountry, KindCity, KindASN} {
			tab, err := read(raw, kind)
			if err != nil {
				continue
			}
			if tab.networks == 0 {
				t.Error("accepted a database that knows no network")
			}
			for _, addr := range []string{"0.0.0.0", "9.9.9.9", "255.255.255.255", "2000::", "2a00:1450::1", "3fff::"} {
				tab.find(netip.MustParseAddr(addr))
			}
		}
	})
}

func load(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// zeroed is raw with its second quarter lost, as after a power cut.
func zeroed(raw []byte) []byte {
	raw = bytes.Clone(raw)
	clear(raw[len(raw)/4 : len(raw)/2])
	return raw
}

// sharedTree is a database of 100 levels whose two branches lead to the same node on each: 2^100 networks.
func sharedTree(t testing.TB) []byte {
	return rewired(t, func(node, nodes int) int {
		if node == 99 {
			return nodes // no data
		}
		return node + 1
	})
}

// circularTree is a database whose root leads to itself.
func circularTree(t testing.TB) []byte {
	return rewired(t, func(int, int) int { return 0 })
}

// rewired is a database in which both branches of each node lead to next(node, number of nodes).
func rewired(t testing.TB, next func(node, nodes int) int) []byte {
	raw := countries(t)
	reader, err := maxminddb.OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.Clone(raw)
	nodes := int(reader.Metadata.NodeCount)
	const record = 3 // bytes
	for node := range nodes {
		to := next(node, nodes)
		for _, at := range []int{2 * record * node, 2*record*node + record} {
			raw[at], raw[at+1], raw[at+2] = byte(to>>16), byte(to>>8), byte(to)
		}
	}
	return raw
}
