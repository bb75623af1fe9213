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

// Start loads the table in the background, or goes on from what Restore found, and then follows changes.
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

// proofPatience: while changes keep coming, as during an import, a proof is put off for up to so many times its interval. It would hold
// up the changes behind it, and it cannot compare what changes meanwhile.
const proofPatience = 6

// proofDue reports whether it is time to compare the table with ClickHouse.
func (s *Source) proofDue() bool {
	wait := s.config.Prove
	if s.moving {
		wait *= proofPatience
	}
	return time.Since(s.prover.looked) >= wait
}

// Restore gives the server the table of the snapshot, where there is one. From there on only what has changed since is read. It is for
// before Start.
func (s *Source) Restore() {
	began := time.Now()
	kept, ok := s.keeper.load()
	if !ok {
		return
	}
	s.builder, s.seen = kept.builder, kept.seen
	table := s.builder.Table()
	s.server.wall.restored(time.Now(), kept.taken, s.log)
	s.server.restoreTable(table, kept.taken)
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

// ids is a list for IN, which does not take an empty one: no object has the number 0.
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

// readLinks applies the links that changed up to a version, and those that a change of their brand or campaign makes stale, see
// Builder.Stale.
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
