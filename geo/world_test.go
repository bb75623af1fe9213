package geo

import (
	"bytes"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// shared is the path of a file in the data directory beside the repository; the test that asks for one that is not
// there is skipped.
func shared(t testing.TB, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "shared", "data"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skip("no shared data: ", err)
	}
	return path
}

// built is the date that databases made here carry.
var built = time.Date(2026, 6, 17, 0, 0, 0, 0, time.UTC)

// database is the bytes of a MaxMind DB of that type with these records by network.
func database(t testing.TB, databaseType string, records map[string]mmdbtype.Map) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: databaseType, BuildEpoch: built.Unix(), RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	wideFirst := slices.SortedFunc(maps.Keys(records), func(a, b string) int {
		return netip.MustParsePrefix(a).Bits() - netip.MustParsePrefix(b).Bits()
	})
	for _, network := range wideFirst {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(n, records[network]); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func flatCountry(code string) mmdbtype.Map {
	return mmdbtype.Map{"country_code": mmdbtype.String(code)}
}

// countryRecords are those of a small flat country database.
func countryRecords() map[string]mmdbtype.Map {
	return map[string]mmdbtype.Map{
		"1.0.0.0/24":                   flatCountry("AU"),
		"1.0.1.0/24":                   flatCountry("CN"),
		"9.0.0.0/8":                    flatCountry("us"),
		"9.9.9.9/32":                   flatCountry("CH"),
		"11.0.0.0/8":                   flatCountry("None"),
		"12.0.0.0/8":                   flatCountry("ZZ"),
		"223.0.0.0/8":                  {},
		"2a00::/12":                    flatCountry("DE"),
		"2a00:1450::/32":               flatCountry("IE"),
		"2a00:1450:4001:82a::200e/128": flatCountry("FR"),
	}
}

func countries(t testing.TB) []byte { return database(t, "country ipvAll", countryRecords()) }

func save(t testing.TB, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, raw)
	return path
}

func write(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func quiet(config Config) Config {
	config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	return config
}

// started is a running DB of that configuration, stopped at the end of the test.
func started(t testing.TB, change func(*Config)) *DB {
	t.Helper()
	config := quiet(Default())
	change(&config)
	db, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Stop)
	return db
}
