package geo

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// watched runs test in a bubble of its own time with a DB that watches path. Each call of next puts raw at path as a
// new edition, waits for the watch to look and returns what it made of it.
func watched(t *testing.T, path string, test func(t *testing.T, db *DB, next func(raw []byte) FileStats)) {
	synctest.Test(t, func(t *testing.T) {
		config := quiet(Default())
		config.Country = path
		db, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer db.Stop()
		edition := time.Now()
		test(t, db, func(raw []byte) FileStats {
			synctest.Wait() // a look that is due at this moment is over before the file changes
			write(t, path, raw)
			edition = edition.Add(time.Hour)
			if err := os.Chtimes(path, edition, edition); err != nil {
				t.Fatal(err)
			}
			time.Sleep(config.ReloadEvery)
			synctest.Wait()
			return db.Stats()[0]
		})
	})
}

func TestNewEditionIsTakenIntoUse(t *testing.T) {
	path := save(t, "country.mmdb", countries(t))
	addr := netip.MustParseAddr("9.1.1.1")
	watched(t, path, func(t *testing.T, db *DB, next func([]byte) FileStats) {
		if got := db.Locate(addr).Country; got != "US" {
			t.Fatalf("at first %q", got)
		}
		moved := countryRecords()
		moved["9.0.0.0/8"] = flatCountry("CA")
		stats := next(database(t, "country ipvAll", moved))
		if stats.Loads != 2 || stats.Refused != 0 || stats.Err != nil || !stats.Built.Equal(built) {
			t.Errorf("stats %+v", stats)
		}
		if got := db.Locate(addr).Country; got != "CA" {
			t.Errorf("after the reload %q", got)
		}
		time.Sleep(10 * time.Minute)
		if again := db.Stats()[0]; again.Loads != 2 {
			t.Errorf("an unchanged file was loaded again: %+v", again)
		}
	})
}

// Attack case 33: whatever replaces a good file, the last good one answers, and the refusal is counted once.
func TestLastGoodEditionStays(t *testing.T) {
	good := countries(t)
	for name, test := range map[string]struct {
		raw  []byte
		want error
	}{
		"corrupt":     {zeroed(good), ErrCorrupt},
		"partial":     {good[:len(good)*9/10], ErrCorrupt},
		"empty file":  {nil, ErrCorrupt},
		"no networks": {database(t, "country ipvAll", nil), ErrEmpty},
		"other kind":  {database(t, "asn ipvAll", nil), ErrType},
		"shrunken":    {database(t, "country ipvAll", map[string]mmdbtype.Map{"9.0.0.0/8": flatCountry("CA")}), ErrShrunk},
	} {
		t.Run(name, func(t *testing.T) {
			path := save(t, "country.mmdb", good)
			watched(t, path, func(t *testing.T, db *DB, next func([]byte) FileStats) {
				networks := db.Stats()[0].Networks
				stats := next(test.raw)
				if !errors.Is(stats.Err, test.want) || !strings.Contains(stats.Err.Error(), path) {
					t.Errorf("error %v, want %v and the path", stats.Err, test.want)
				}
				if stats.Refused != 1 || stats.Loads != 1 || stats.Networks != networks {
					t.Errorf("stats %+v", stats)
				}
				if got := db.Locate(netip.MustParseAddr("9.1.1.1")).Country; got != "US" {
					t.Errorf("located in %q, want the last good answer", got)
				}
				time.Sleep(time.Hour)
				if again := db.Stats()[0]; again.Refused != 1 {
					t.Errorf("the same file was refused %d times", again.Refused)
				}
				if healed := next(good); healed.Err != nil || healed.Loads != 2 {
					t.Errorf("after a good file came back: %+v", healed)
				}
			})
		})
	}
}

func TestMissingFileIsRefusedOnceAndTakenWhenItComesBack(t *testing.T) {
	good := countries(t)
	path := save(t, "country.mmdb", good)
	watched(t, path, func(t *testing.T, db *DB, next func([]byte) FileStats) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		stats := db.Stats()[0]
		if !errors.Is(stats.Err, fs.ErrNotExist) || stats.Refused != 1 {
			t.Errorf("stats %+v", stats)
		}
		if got := db.Locate(netip.MustParseAddr("9.1.1.1")).Country; got != "US" {
			t.Errorf("located in %q, want the last good answer", got)
		}
		if stats := next(good); stats.Err != nil || stats.Loads != 2 {
			t.Errorf("stats %+v", stats)
		}
	})
}

func TestStartWithoutTheFile(t *testing.T) {
	path := t.TempDir() + "/none.mmdb"
	config := quiet(Default())
	config.Country = path
	db, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Start(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names the file", err)
	}
	db.Stop()

	config.Optional = true
	if db, err = New(config); err != nil {
		t.Fatal(err)
	}
	if err := db.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer db.Stop()
	if got := db.Locate(netip.MustParseAddr("9.1.1.1")); got != (Place{}) {
		t.Errorf("located in %+v", got)
	}
	if age := db.Age(built); age < 50*365*24*time.Hour {
		t.Errorf("a database that was never loaded is %v old, want an age that alerts", age)
	}
}

func TestAgeIsThatOfTheOldestTable(t *testing.T) {
	path := save(t, "country.mmdb", countries(t))
	db := started(t, func(c *Config) { c.Country = path })
	if age := db.Age(built.Add(36 * time.Hour)); age != 36*time.Hour {
		t.Errorf("age %v, want 36h", age)
	}
}

// Readers never see a half-made table while files change under them; run with -race.
func TestLocateDuringReloads(t *testing.T) {
	path := save(t, "country.mmdb", countries(t))
	config := quiet(Default())
	config.Country, config.ReloadEvery = path, time.Millisecond
	db, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer db.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if got := db.Locate(netip.MustParseAddr("9.9.9.9")).Country; got != "CH" {
					t.Errorf("located in %q", got)
					return
				}
			}
		})
	}
	for edition := built; ctx.Err() == nil; edition = edition.Add(time.Second) {
		if err := os.Chtimes(path, edition, edition); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	readers.Wait()
	if loads := db.Stats()[0].Loads; loads < 2 {
		t.Errorf("%d loads, want several", loads)
	}
}
