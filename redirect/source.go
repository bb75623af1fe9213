package redirect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest"
)

// SourceConfig says where reference data comes from.
type SourceConfig struct {
	ClickHouse string        // DSN clickhouse://user:pass@host:9000/carom, several hosts allowed
	Poll       time.Duration // how often changes are looked for: what a change waits before it is live
	Timeout    time.Duration // for one look
	ReadAll    time.Duration // for a read of all links, or of all that a change of their brand or campaign concerns
	Prove      time.Duration // a part of the table is compared with ClickHouse so often; see prover

	Snapshot      string        // file from which the node starts while ClickHouse does not answer; empty: none is kept
	SnapshotEvery time.Duration // a changed table is written at most so often
	SnapshotAge   time.Duration // and an unchanged one when the file is so old
}

// DefaultSource makes a change live in about a second. Ten million links are read within a minute or two; a read that is cut off would
// begin anew.
func DefaultSource() SourceConfig {
	return SourceConfig{Poll: 500 * time.Millisecond, Timeout: 2 * time.Minute, ReadAll: 15 * time.Minute, Prove: 5 * time.Second, SnapshotEvery: time.Minute, SnapshotAge: time.Hour}
}

// A Source keeps a server's table equal to the reference tables in ClickHouse: all of them at first, then what has a higher
// version than it has seen. While ClickHouse does not answer the server keeps the table it has, or starts from the snapshot.
type Source struct {
	config  SourceConfig
	conn    driver.Conn
	sealer  *Sealer
	server  *Server
	log     *slog.Logger
	keeper  *keeper
	prover  *prover
	builder *Builder
	seen    map[string]uint64 // by table: highest version applied
	refused map[uint32]bool   // links that could not be built, so that each is logged once

	clockLooked time.Time // when ClickHouse's clock was last asked for
	moving      bool      // the last look found changes

	cancel context.CancelFunc
	done   chan struct{}
}

// NewSource prepares a source; it does not connect yet.
func NewSource(c SourceConfig, sealer *Sealer, server *Server, reg prometheus.Registerer, log *slog.Logger) (*Source, error) {
	options, err := clickhouse.ParseDSN(c.ClickHouse)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse DSN: %w", err)
	}
	options.DialTimeout = 2 * time.Second // dialling does not heed a context
	options.MaxOpenConns, options.MaxIdleConns = 2, 1
	options.ConnMaxLifetime = cmp.Or(options.ConnMaxLifetime, time.Minute) // so that a failed-over host is tried again soon
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse DSN: %w", err)
	}
	return &Source{
		config: c, conn: conn, sealer: sealer, server: server, log: log,
		keeper: newKeeper(c, sealer, reg, log), prover: newProver(reg), builder: NewBuilder(), seen: map[string]uint64{}, refused: map[uint32]bool{}, done: make(chan struct{}),
	}, nil
}

// Start loads the table in the background, from the snapshot first, and then follows changes.
func (s *Source) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go s.run(ctx)
}

// Stop ends polling and closes the connection.
func (s *Source) Stop() error {
	s.cancel()
	<-s.done
	return s.conn.Close()
}

func (s *Source) run(ctx context.Context) {
	defer close(s.done)
	s.Restore()
	defer s.keeper.wait()
	tick := time.NewTicker(s.config.Poll)
	defer tick.Stop()
	failures := 0
	for {
		err := error(nil)
		if time.Since(s.clockLooked) >= clockEvery {
			err = s.lookAtClock(ctx)
		}
		if err == nil {
			err = s.Refresh(ctx)
		}
		if err == nil && s.proofDue() {
			err = s.Prove(ctx)
		}
		s.keeper.write(time.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && failures > 0:
			s.log.Info("reference data is read again", "failed_attempts", failures)
			failures = 0
		case err != nil:
			if failures++; failures&(failures-1) == 0 { // the 1st, 2nd, 4th, 8th …
				s.log.Warn("reference data not read; the table in use stays", "error", err, "failed_attempts", failures)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// proofPatience is how many times its interval a proof waits for a look without changes: during an import it would hold up those that
// follow, and what changes meanwhile it cannot compare.
const proofPatience = 6

// proofDue reports whether it is time to compare the table with ClickHouse.
func (s *Source) proofDue() bool {
	wait := s.config.Prove
	if s.moving {
		wait *= proofPatience
	}
	return time.Since(s.prover.looked) >= wait
}

// Restore gives the server the table of the snapshot, where there is one. From there on only what has changed since is read.
func (s *Source) Restore() {
	began := time.Now()
	kept, ok := s.keeper.load()
	if !ok {
		return
	}
	s.builder, s.seen = kept.builder, kept.seen
	table := s.builder.Table()
	s.server.wall.restored(time.Now(), kept.taken, s.log)
	s.server.setTable(table, kept.taken)
	debug.FreeOSMemory() // see Refresh
	s.log.Info("started from the snapshot", "links", table.Links(), "age", time.Since(kept.taken).Round(time.Second),
		"took", time.Since(began).Round(time.Millisecond))
}

// SnapshotAge is the time since the content of the snapshot on disk was known to be complete; false where there is none.
func (s *Source) SnapshotAge() (age time.Duration, kept bool) { return s.keeper.age(time.Now()) }

// Refresh applies what has changed since the last call and gives the server a new table if anything has.
func (s *Source) Refresh(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	newest, err := s.newestVersions(look)
	if err != nil {
		return err
	}
	s.moving = newest != nil
	if !s.moving {
		s.server.Fresh()
		s.keeper.confirmed(time.Now())
		return nil
	}
	// Control writes parents first: whatever a link up to the version just seen needs is there when parents are read now.
	if err := s.readParents(look); err != nil {
		return err
	}
	if err := s.readLinks(ctx, newest["links"]); err != nil {
		return err
	}
	first := s.seen["links"] == 0
	s.seen["links"] = max(s.seen["links"], newest["links"])
	s.publish()
	if first {
		debug.FreeOSMemory() // building the first table leaves more garbage than the table is large
	}
	return nil
}

// publish gives the server what has been read.
func (s *Source) publish() {
	s.builder.Refreshed()
	s.server.SetTable(s.builder.Table())
	s.keeper.changed(s.builder, s.seen, time.Now())
}

// ids is never empty: an empty list is not a value of IN.
func ids(list []uint32) []uint32 { return append([]uint32{0}, list...) }

func (s *Source) apply(l LinkRow) {
	err := s.builder.SetLink(l)
	switch {
	case err == nil:
		delete(s.refused, l.ID)
	case !s.refused[l.ID]:
		s.refused[l.ID] = true
		s.log.Error("a link of the reference data cannot be served and answers as unknown", "error", err)
	}
}

// referenceTables are the tables that a table of links is made of.
var referenceTables = [...]string{"keys", "brands", "domains", "influencers", "campaigns", "links"}

// errSetBack is wrapped when a reference table holds less than was read from it before.
var errSetBack = errors.New("ClickHouse was set back")

// newestVersions returns the highest version of each table that holds one not yet seen, nil where none does. One small query
// answers most polls: what was seen last is the newest row of its object and therefore still there.
func (s *Source) newestVersions(ctx context.Context) (map[string]uint64, error) {
	query := ""
	for i, table := range referenceTables {
		if i > 0 {
			query += " UNION ALL "
		}
		query += fmt.Sprintf("SELECT '%s', max(version) FROM %s WHERE version >= %d", table, table, s.seen[table])
	}
	rows, err := s.conn.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("look for changes of reference data: %w", err)
	}
	defer rows.Close()
	var newest map[string]uint64
	for rows.Next() {
		var table string
		var version uint64
		if err := rows.Scan(&table, &version); err != nil {
			return nil, fmt.Errorf("look for changes of reference data: %w", err)
		}
		if version < s.seen[table] {
			return nil, fmt.Errorf("%w: version %d of %s is gone, the table in use stays; restart without the snapshot %s if that is meant",
				errSetBack, s.seen[table], table, s.config.Snapshot)
		}
		if version > s.seen[table] {
			if newest == nil {
				newest = map[string]uint64{}
			}
			newest[table] = version
		}
	}
	return newest, rows.Err()
}

// readParents applies changes of everything but links.
func (s *Source) readParents(ctx context.Context) error {
	return errors.Join(
		each(ctx, s, "keys", "brand_id, toString(kind), key_id, sealed, toString(state)", func(scan scanner) (uint64, error) {
			var k KeyRow
			var kind, sealed, state string
			if err := scan(&k.Brand, &kind, &k.ID, &sealed, &state, &k.Version); err != nil {
				return 0, err
			}
			k.Kind, k.Active, k.Retired = KeyKind(kind), state == "active", state == "retired"
			if !k.Retired {
				secret, err := s.sealer.Open(k.Kind, k.Brand, k.ID, []byte(sealed))
				if err != nil {
					return 0, err
				}
				k.Secret = secret
			}
			s.builder.SetKey(k)
			return k.Version, nil
		}),
		each(ctx, s, "brands", "brand_id, brand, name, currency, attribution_days, unsigned_pixel, destination_hosts, "+
			"app_schemes, deleted", func(scan scanner) (uint64, error) {
			var b Brand
			if err := scan(&b.ID, &b.Key, &b.Name, &b.Currency, &b.AttributionDays, &b.UnsignedPixel,
				&b.Policy.Hosts, &b.Policy.AppSchemes, &b.Deleted, &b.Version); err != nil {
				return 0, err
			}
			s.builder.SetBrand(b)
			return b.Version, nil
		}),
		each(ctx, s, "domains", "domain_id, host, brand_id, home_url, fallback_url, not_found_url, vanity = 'signed', "+
			"apple_app_site_association, assetlinks, deleted",
			func(scan scanner) (uint64, error) {
				var d DomainRow
				var signed uint8
				if err := scan(&d.ID, &d.Host, &d.Brand, &d.Home, &d.Fallback, &d.NotFound, &signed,
					&d.AppleApps, &d.AssetLinks, &d.Deleted, &d.Version); err != nil {
					return 0, err
				}
				d.SignedSlugs = signed == 1
				s.builder.SetDomain(d)
				return d.Version, nil
			}),
		each(ctx, s, "influencers", "influencer_id, influencer, platform, followers, enabled, deleted", func(scan scanner) (uint64, error) {
			var v Influencer
			var followers uint64
			if err := scan(&v.ID, &v.Key, &v.Platform, &followers, &v.Enabled, &v.Deleted, &v.Version); err != nil {
				return 0, err
			}
			v.Tier = ingest.TierOf(followers)
			s.builder.SetInfluencer(v)
			return v.Version, nil
		}),
		each(ctx, s, "campaigns", "campaign_id, campaign, brand_id, destination, utm_source, utm_medium, utm_campaign, "+
			"utm_content, utm_term, click_id_param, starts, ends, enabled, deleted", func(scan scanner) (uint64, error) {
			var c Campaign
			if err := scan(&c.ID, &c.Key, &c.Brand, &c.Destination, &c.UTM.Source, &c.UTM.Medium, &c.UTM.Campaign,
				&c.UTM.Content, &c.UTM.Term, &c.ClickIDParam, &c.Starts, &c.Ends, &c.Enabled, &c.Deleted, &c.Version); err != nil {
				return 0, err
			}
			s.builder.SetCampaign(c)
			return c.Version, nil
		}),
	)
}

type scanner func(dest ...any) error

// each reads the rows of a table that are newer than what was seen, oldest first, and notes how far it came: row returns the
// version, which follows the columns.
func each(ctx context.Context, s *Source, table, columns string, row func(scanner) (version uint64, err error)) error {
	rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT %s, version FROM %s WHERE version > ? ORDER BY version", columns, table),
		s.seen[table])
	if err != nil {
		return fmt.Errorf("read changes of %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		version, err := row(rows.Scan)
		if err != nil {
			return fmt.Errorf("read changes of %s: %w", table, err)
		}
		s.seen[table] = max(s.seen[table], version)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read changes of %s: %w", table, err)
	}
	return nil
}

// readLinks applies the links that changed up to a version, and those that have to be given again.
func (s *Source) readLinks(ctx context.Context, upTo uint64) error {
	all, cancel := context.WithTimeout(ctx, s.config.ReadAll)
	defer cancel()
	if s.seen["links"] == 0 {
		return s.eachLink(all, "FINAL WHERE version <= ? ORDER BY link_id", upTo)
	}
	ctx, cancelLook := context.WithTimeout(ctx, s.config.Timeout)
	defer cancelLook()
	// Without FINAL, which would go through all links: what was changed twice comes twice, in the order of its changes.
	if err := s.eachLink(ctx, "WHERE version > ? AND version <= ? ORDER BY version", s.seen["links"], upTo); err != nil {
		return err
	}
	stale := s.builder.Stale()
	if len(stale.Brands)+len(stale.Campaigns) == 0 {
		return nil
	}
	return s.eachLink(all, `FINAL WHERE campaign_id IN ? OR (brand_id IN ? OR campaign_id IN ?)
		AND (destination, fallback_url, utm_source, utm_medium, utm_campaign, utm_content, utm_term) != ('', '', '', '', '', '', '')
		ORDER BY link_id`, ids(stale.Keyless), ids(stale.Brands), ids(stale.Campaigns))
}

// eachLink applies the rows of links that the end of a query chooses.
func (s *Source) eachLink(ctx context.Context, which string, args ...any) error {
	rows, err := s.conn.Query(ctx, `SELECT link_id, link, brand_id, campaign_id, influencer_id, domain_id, key_id, slug, coupon, destination,
		utm_source, utm_medium, utm_campaign, utm_content, utm_term, toString(content_format), starts, expires, fallback_url,
		enabled, deleted FROM links `+which, args...)
	if err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l LinkRow
		var format string
		if err := rows.Scan(&l.ID, &l.Key, &l.Brand, &l.Campaign, &l.Influencer, &l.Domain, &l.KeyID, &l.Slug, &l.Coupon, &l.Destination,
			&l.UTM.Source, &l.UTM.Medium, &l.UTM.Campaign, &l.UTM.Content, &l.UTM.Term, &format, &l.Starts, &l.Expires,
			&l.Fallback, &l.Enabled, &l.Deleted); err != nil {
			return fmt.Errorf("read links: %w", err)
		}
		l.Format = ingest.FormatOf(format)
		s.apply(l)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	return nil
}
