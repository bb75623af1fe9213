package geo

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

func TestLocateInFlatCountryDatabase(t *testing.T) {
	path := save(t, "country.mmdb", countries(t))
	db := started(t, func(c *Config) { c.Country = path })
	for addr, want := range map[string]string{
		"1.0.0.0":                      "AU",
		"1.0.0.255":                    "AU",
		"1.0.1.0":                      "CN",
		"1.0.2.0":                      "",
		"0.255.255.255":                "",
		"9.9.9.8":                      "US", // upper case, however the file spells it
		"9.9.9.9":                      "CH",
		"9.9.9.10":                     "US",
		"9.255.255.255":                "US",
		"10.0.0.1":                     "",
		"11.1.1.1":                     "", // "None" is not a country
		"12.1.1.1":                     "", // nor is ZZ
		"223.1.1.1":                    "", // a record without a country
		"255.255.255.255":              "",
		"::ffff:1.0.0.7":               "AU", // mapped addresses are IPv4 addresses
		"2a00:1::1":                    "DE",
		"2a00:1450::1":                 "IE",
		"2a00:1450:4001:82a::200d":     "IE",
		"2a00:1450:4001:82a::200e":     "FR",
		"2a00:1450:4001:82a::200f":     "IE",
		"2a0f:ffff::":                  "DE",
		"2a10::":                       "",
		"2002:101::1":                  "", // 6to4 of 1.1.0.0
		"2001:0:0:0:0:0:f6ff:feff":     "", // Teredo
		"::1":                          "",
		"fe80::1%eth0":                 "",
		"fc00::1":                      "",
		"ffff:ffff:ffff:ffff:ffff::1":  "",
		"3fff:ffff:ffff:ffff:ffff::ff": "",
	} {
		if got := db.Locate(netip.MustParseAddr(addr)); got != (Place{Country: want}) {
			t.Errorf("%s is in %+v, want %q", addr, got, want)
		}
	}
	if got := db.Locate(netip.Addr{}); got != (Place{}) {
		t.Errorf("no address is in %+v", got)
	}
}

func TestLocateInFlatCityDatabases(t *testing.T) {
	city := func(country, state, city string) mmdbtype.Map {
		return mmdbtype.Map{
			"country_code": mmdbtype.String(country), "state1": mmdbtype.String(state), "city": mmdbtype.String(city),
			"state2": mmdbtype.String(""), "latitude": mmdbtype.Float32(1.5), "postcode": mmdbtype.String("0"),
		}
	}
	v4 := save(t, "v4.mmdb", database(t, "city ipv4", map[string]mmdbtype.Map{
		"8.8.0.0/16": city("US", "California", "Mountain View"),
		"5.0.0.0/8":  city("SY", "", "Dama\xffscus"),
	}))
	v6 := save(t, "v6.mmdb", database(t, "city ipv6", map[string]mmdbtype.Map{
		"2a02::/16": city("FR", "Île-de-France", "Paris"),
	}))
	country := save(t, "country.mmdb", countries(t))
	db := started(t, func(c *Config) {
		c.City = v4 + string(os.PathListSeparator) + v6
		c.Country = country
	})
	for addr, want := range map[string]Place{
		"8.8.8.8":  {Country: "US", Region: "California", City: "Mountain View"},
		"5.1.1.1":  {Country: "SY", City: "Dama\uFFFDscus"}, // never invalid UTF-8
		"2a02::1":  {Country: "FR", Region: "Île-de-France", City: "Paris"},
		"1.0.0.1":  {Country: "AU"}, // the city files do not know it, the country file does
		"2a00::1":  {Country: "DE"},
		"10.0.0.1": {},
	} {
		if diff := cmp.Diff(want, db.Locate(netip.MustParseAddr(addr))); diff != "" {
			t.Errorf("%s: %s", addr, diff)
		}
	}
}

func TestLocateInMaxMindDatabases(t *testing.T) {
	db := started(t, func(c *Config) {
		c.City = shared(t, "maxmind-test", "GeoLite2-City-Test.mmdb")
		c.ASN = shared(t, "maxmind-test", "GeoLite2-ASN-Test.mmdb")
	})
	for addr, want := range map[string]Place{
		"81.2.69.160":        {Country: "GB", Region: "England", City: "London"},
		"::ffff:81.2.69.160": {Country: "GB", Region: "England", City: "London"},
		"89.160.20.128":      {Country: "SE", Region: "Östergötland County", City: "Linköping", ASN: 29518, ASOrg: "Bredband2 AB"},
		"1.128.0.1":          {ASN: 1221, ASOrg: "Telstra Pty Ltd"},
		"2001:218::1":        {Country: "JP"},
	} {
		if diff := cmp.Diff(want, db.Locate(netip.MustParseAddr(addr))); diff != "" {
			t.Errorf("%s: %s", addr, diff)
		}
	}
}

// MaxMind publishes, beside its test database, what the database says.
func TestLocateAgreesWithMaxMindsOwnListing(t *testing.T) {
	listing, err := os.ReadFile(shared(t, "maxmind-test", "GeoIP2-City-Test.json"))
	if err != nil {
		t.Fatal(err)
	}
	type name struct {
		ISOCode string `json:"iso_code"`
		Names   struct {
			English string `json:"en"`
		} `json:"names"`
	}
	var entries []map[string]struct {
		Country      name   `json:"country"`
		Subdivisions []name `json:"subdivisions"`
		City         name   `json:"city"`
	}
	if err := json.Unmarshal(listing, &entries); err != nil {
		t.Fatal(err)
	}
	db := started(t, func(c *Config) { c.City = shared(t, "maxmind-test", "GeoIP2-City-Test.mmdb") })
	compared := 0
	for _, entry := range entries {
		for network, record := range entry {
			prefix := netip.MustParsePrefix(network)
			addr := prefix.Addr()
			if prefix.Bits() >= 96 && strings.HasPrefix(network, "::") { // the IPv4 tree
				b := addr.As16()
				addr = netip.AddrFrom4([4]byte(b[12:]))
			}
			if addr.Is6() && (!unicast.Contains(addr) || carried(addr, 128)) {
				continue
			}
			var want Place
			if record.Country.ISOCode != "" {
				want = Place{Country: record.Country.ISOCode, City: record.City.Names.English}
				if len(record.Subdivisions) > 0 {
					want.Region = record.Subdivisions[0].Names.English
				}
			}
			if diff := cmp.Diff(want, db.Locate(addr)); diff != "" {
				t.Errorf("%s (%s): %s", network, addr, diff)
			}
			compared++
		}
	}
	if compared < 200 {
		t.Errorf("compared %d networks, want some hundreds", compared)
	}
}

func TestCountryDatabaseGivesCountriesOnly(t *testing.T) {
	db := started(t, func(c *Config) { c.Country = shared(t, "maxmind-test", "GeoLite2-City-Test.mmdb") })
	if got := db.Locate(netip.MustParseAddr("81.2.69.160")); got != (Place{Country: "GB"}) {
		t.Errorf("got %+v from a city file that is used as a country file", got)
	}
}

func TestLocateWithoutDatabases(t *testing.T) {
	var log strings.Builder
	db := started(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	if got := db.Locate(netip.MustParseAddr("8.8.8.8")); got != (Place{}) {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "clicks get no country") {
		t.Errorf("the log says %q", log.String())
	}
	if age := db.Age(time.Now()); age != 0 {
		t.Errorf("nothing is %v old", age)
	}
}

func TestNewRefusesSenselessFigures(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"reload every": func(c *Config) { c.ReloadEvery = 0 },
		"max shrink":   func(c *Config) { c.MaxShrink = 1.5 },
	} {
		config := Default()
		change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
