package geo

import (
	"io"
	"net/netip"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"carom/deploy/engine"
)

// The country database that carom up uses, whole: every network's first address, and the ones before and after it.
func TestTableAgreesWithReaderOnTheDefaultDatabase(t *testing.T) {
	assets, err := engine.Install(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if assets.CountryDB == "" {
		t.Skip("the default database comes with the engine's package, which this platform has not")
	}
	raw := load(t, assets.CountryDB)
	reader, err := maxminddb.OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := read(raw, KindCountry)
	if err != nil {
		t.Fatal(err)
	}
	if tab.networks < 300_000 || len(tab.places) < 200 {
		t.Fatalf("%d networks in %d countries", tab.networks, len(tab.places))
	}
	compared := 0
	for network := range reader.Networks() {
		first := network.Prefix().Addr()
		for _, addr := range []netip.Addr{first.Prev(), first, first.Next()} {
			if !addr.IsValid() || addr.Is6() && (!unicast.Contains(addr) || carried(addr, 128)) {
				continue
			}
			want := Place{}
			if result := reader.Lookup(addr); result.Found() {
				if want, err = decodeFlat(result); err != nil {
					t.Fatal(err)
				}
			}
			if got := *tab.find(addr); got != want {
				t.Fatalf("%s is in %+v, the reader says %+v", addr, got, want)
			}
			compared++
		}
	}
	if compared < 1_000_000 {
		t.Errorf("compared %d addresses", compared)
	}
}
