// Package geo says where an address is: country, region, city, autonomous system.
//
// A database file is read once, flattened into sorted arrays and dropped, so that a lookup is a binary search inside
// one bucket, without decoding and without allocation. Files are watched; a new one replaces the old by one pointer,
// and a bad one is refused while the last good one stays in use.
package geo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"
)

// A Place is what is known about an address. An unknown field is empty.
type Place struct {
	Country string // ISO 3166-1 alpha-2, upper case
	Region  string // first-level subdivision, its English name where the database has one
	City    string // English name where the database has one
	ASN     uint32 // autonomous system number, 0 = not known
	ASOrg   string // organisation that runs the autonomous system
}

// fill takes from q what p does not know. Country, region and city go together, lest a city lands in a country that
// another database named.
func (p *Place) fill(q *Place) {
	if p.Country == "" {
		p.Country, p.Region, p.City = q.Country, q.Region, q.City
	}
	if p.ASN == 0 {
		p.ASN, p.ASOrg = q.ASN, q.ASOrg
	}
}

// Config names the database files. Each of the three may list several files, separated as in PATH, where a publisher
// has one for IPv4 and one for IPv6; empty means none. Both shapes of MaxMind DB files are read: MaxMind's own
// (GeoLite2, GeoIP2 and compatible) and the flat one of ip-location-db.
type Config struct {
	// Country gives the country only, also where the file knows cities.
	Country string
	// City gives country, region and city, and wins over Country. Flattened, a whole-world file takes
	// about as much memory as the file is long.
	City string
	// ASN gives the autonomous system.
	ASN string

	// ReloadEvery is how often the files are looked at for a change of size or time.
	ReloadEvery time.Duration
	// MaxShrink is the share of its networks (0 to 1) that a new file may lack against the one in use before it is
	// taken for a partial one and refused. A restart accepts any size.
	MaxShrink float64
	// Optional lets Start succeed when a file cannot be read; it is tried again every ReloadEvery once it changes.
	Optional bool
	// Logger gets one line for each file taken or refused; slog.Default() where it is nil.
	Logger *slog.Logger
}

// Default is a Config without databases.
func Default() Config {
	return Config{
		ReloadEvery: time.Minute, // publishers update daily; a minute is soon enough for an operator who watches
		MaxShrink:   0.5,         // honest editions differ by a few per cent
	}
}

// DB locates addresses. Locate and Stats are safe for concurrent use, also during a reload.
type DB struct {
	config Config
	files  []*file // in the order in which they are asked
	stop   context.CancelFunc
	done   chan struct{}
}

// New checks the configuration and touches no file; Start reads them.
func New(config Config) (*DB, error) {
	if config.ReloadEvery <= 0 {
		return nil, fmt.Errorf("geo: reload every %v: must be positive", config.ReloadEvery)
	}
	if config.MaxShrink < 0 || config.MaxShrink > 1 {
		return nil, fmt.Errorf("geo: max shrink %v: must be between 0 and 1", config.MaxShrink)
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	db := &DB{config: config}
	for _, list := range []struct {
		kind  Kind
		paths string
	}{{KindCity, config.City}, {KindCountry, config.Country}, {KindASN, config.ASN}} {
		for _, path := range filepath.SplitList(list.paths) {
			db.files = append(db.files, newFile(list.kind, path))
		}
	}
	return db, nil
}

// Start reads every file and then watches them until Stop or until ctx ends. Unless the configuration says Optional,
// a file that cannot be used is an error, and nothing keeps running.
func (db *DB) Start(ctx context.Context) error {
	if len(db.files) == 0 {
		db.config.Logger.Warn("no geo database: clicks get no country; name one, as with --geo-country")
	}
	var errs []error
	for _, f := range db.files {
		if err := db.refresh(f); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 && !db.config.Optional {
		return fmt.Errorf("geo: %w", errors.Join(errs...))
	}
	ctx, db.stop = context.WithCancel(ctx)
	db.done = make(chan struct{})
	go db.watch(ctx)
	return nil
}

// Stop ends the watching; Locate goes on answering from what is loaded.
func (db *DB) Stop() {
	if db.stop != nil {
		db.stop()
		<-db.done
	}
}

// Locate says where addr is. Addresses of the form ::ffff:a.b.c.d are looked up as a.b.c.d; 6to4 and Teredo addresses
// and those outside the global unicast space are nowhere. It allocates nothing.
func (db *DB) Locate(addr netip.Addr) Place {
	addr = addr.Unmap()
	var place Place
	for _, f := range db.files {
		if t := f.table.Load(); t != nil {
			place.fill(t.find(addr))
		}
	}
	return place
}
