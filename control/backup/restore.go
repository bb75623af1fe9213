package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Config says how a world comes back.
type Config struct {
	Conn     driver.Conn      // of the database, with its schema; no control process may write to it
	Replace  bool             // whether what the database holds may be thrown away
	Spare    uint32           // link numbers left unused, for links minted after the backup: their printed codes must lead nowhere else
	Now      func() time.Time // the clock; versions begin at it
	Progress func(Progress)   // told now and then
}

// Default is the configuration without its connection.
func Default() Config {
	return Config{
		Spare:    1_000_000, // of 2^30: a thousand restores are no matter
		Now:      time.Now,
		Progress: func(Progress) {},
	}
}

// A Progress says how far a restore has come.
type Progress struct {
	Table    string
	Rows, Of uint64 // of that table
}

// A Summary says what a restore has put in place.
type Summary struct {
	Rows      map[string]uint64 // by table
	FirstLink uint32            // the lowest number that a new link can have
}

// ErrNotEmpty is returned when there is a world already.
var ErrNotEmpty = errors.New("the database is not empty")

// batchRows is how many rows are inserted at once.
const batchRows = 20_000

// spareOthers is how many numbers of every other table are left unused. Rows of clicks and conversions hang on them.
const spareOthers = 1000

// Restore makes the database hold the world of a source and nothing else. Until all of it is there nothing of the database
// changes, and until it is in place no control process starts; running it again then begins anew.
func Restore(ctx context.Context, c Config, from Source) (Summary, error) {
	r := &restore{Config: c, from: from, summary: Summary{Rows: map[string]uint64{}}}
	if err := r.run(ctx); err != nil {
		return r.summary, fmt.Errorf("restore: %w", err)
	}
	return r.summary, nil
}

// Unfinished reports whether a restore of the database was begun and has not ended: what it holds may be of two worlds.
func Unfinished(ctx context.Context, conn driver.Conn) (begun bool, err error) {
	const query = "SELECT count() > 0 FROM system.databases WHERE name = currentDatabase() || '" + scratch + "'"
	if err := conn.QueryRow(ctx, query).Scan(&begun); err != nil {
		return false, fmt.Errorf("look for an unfinished restore: %w", err)
	}
	return begun, nil
}

// scratch ends the name of the database in which rows are gathered.
const scratch = "_restore"

// A restore is one under way.
type restore struct {
	Config
	from    Source
	home    string  // the database
	place   string  // where rows are gathered
	back    []table // what comes back
	summary Summary
}

func (r *restore) run(ctx context.Context) error {
	if err := r.find(ctx); err != nil {
		return err
	}
	versions, err := newRebase(r.from, r.Now())
	if err != nil {
		return err
	}
	again, err := r.mayBegin(ctx)
	if err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	err = r.gatherAll(ctx, versions)
	if errors.Is(err, ErrDamaged) && !again { // it will not be better the next time, and nothing has changed
		return errors.Join(err, r.end(ctx))
	}
	if err != nil {
		return err
	}
	for _, t := range r.back {
		if err := r.swap(ctx, t); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

func (r *restore) gatherAll(ctx context.Context, versions rebase) error {
	for _, t := range r.back {
		if err := r.gather(ctx, t, versions); err != nil {
			return err
		}
		if err := r.spareNumbers(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// end lets control processes start.
func (r *restore) end(ctx context.Context) error {
	return r.exec(ctx, "end", "DROP DATABASE "+quote(r.place)+" SYNC")
}

// find learns which tables come back, and that they have room for all that the source knows.
func (r *restore) find(ctx context.Context) (err error) {
	if r.home, err = currentDatabase(ctx, r.Conn); err != nil {
		return err
	}
	r.place = r.home + scratch
	present, err := presentTables(ctx, r.Conn)
	if err != nil {
		return err
	}
	for _, t := range present {
		if columns, _ := r.from.Has(t.name); len(columns) > 0 {
			r.back = append(r.back, t)
		}
	}
	return nil
}

// mayBegin refuses a database that holds a world, unless that was said or is what an interrupted restore has left; again says so.
func (r *restore) mayBegin(ctx context.Context) (again bool, err error) {
	again, err = Unfinished(ctx, r.Conn)
	if err != nil || again || r.Replace {
		return again, err
	}
	// A control process that was started once has made the cluster's keys and a token.
	for _, t := range [...]struct{ name, where string }{
		{"brands", "true"}, {"domains", "true"}, {"influencers", "true"}, {"campaigns", "true"}, {"links", "true"}, {"keys", "brand_id != 0"},
	} {
		var rows uint64
		if err := r.Conn.QueryRow(ctx, "SELECT count() FROM "+t.name+" WHERE "+t.where).Scan(&rows); err != nil {
			return false, fmt.Errorf("look whether %s is empty: %w", t.name, err)
		}
		if rows > 0 {
			return false, fmt.Errorf("%w: table %s of database %s has %d rows", ErrNotEmpty, t.name, r.home, rows)
		}
	}
	return false, nil
}

// begin makes empty tables to gather rows in.
func (r *restore) begin(ctx context.Context) error {
	statements := []string{"DROP DATABASE IF EXISTS " + quote(r.place) + " SYNC", "CREATE DATABASE " + quote(r.place)}
	for _, t := range r.back {
		statements = append(statements, "CREATE TABLE "+r.gathered(t)+" AS "+r.final(t))
	}
	return r.exec(ctx, "begin", statements...)
}

func (r *restore) gathered(t table) string { return quote(r.place) + "." + t.name }
func (r *restore) final(t table) string    { return quote(r.home) + "." + t.name }

func (r *restore) exec(ctx context.Context, what string, statements ...string) error {
	for _, statement := range statements {
		if err := r.Conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// spareNumbers leaves numbers unused that may have been given out since: a deleted row takes the last of them, for numbering goes
// on behind the highest that a table holds.
func (r *restore) spareNumbers(ctx context.Context, t table) error {
	spare := uint32(spareOthers)
	if t.number == linkNumber {
		spare = r.Spare
	}
	if t.number == "" || spare == 0 {
		return nil
	}
	blank := ""
	for _, column := range t.blank {
		blank += ", '' AS " + column
	}
	highest := fmt.Sprintf("greatest((SELECT max(%[1]s) FROM %[2]s), (SELECT max(%[1]s) FROM %[3]s))", t.number, r.gathered(t), r.final(t))
	err := r.exec(ctx, "leave numbers of "+t.name+" unused", fmt.Sprintf(
		"INSERT INTO %[1]s SELECT * REPLACE (toUInt32(least(%[2]s + %[3]d, %[4]d)) AS %[5]s, true AS deleted%[6]s) "+
			"FROM (SELECT * FROM %[1]s ORDER BY %[5]s DESC LIMIT 1)",
		r.gathered(t), highest, spare, t.limit, t.number, blank))
	if err != nil || t.number != linkNumber {
		return err
	}
	var last uint32
	if err := r.Conn.QueryRow(ctx, "SELECT max(link_id) FROM "+r.gathered(t)).Scan(&last); err != nil {
		return err
	}
	r.summary.FirstLink = last + 1
	return nil
}

// swap puts the gathered rows of a table in place of those that it holds, at once.
func (r *restore) swap(ctx context.Context, t table) error {
	partitions, err := r.partitions(ctx, t)
	if err != nil {
		return fmt.Errorf("put %s in place: %w", t.name, err)
	}
	for id, gathered := range partitions {
		statement := fmt.Sprintf("ALTER TABLE %s DROP PARTITION ID '%s'", r.final(t), id)
		if gathered {
			statement = fmt.Sprintf("ALTER TABLE %s REPLACE PARTITION ID '%s' FROM %s", r.final(t), id, r.gathered(t))
		}
		if err := r.exec(ctx, "put "+t.name+" in place", statement); err != nil {
			return err
		}
	}
	return nil
}

// partitions are those of a table, old and new, and whether there are gathered rows of it.
func (r *restore) partitions(ctx context.Context, t table) (map[string]bool, error) {
	rows, err := r.Conn.Query(ctx, `SELECT partition_id, max(database = ?) FROM system.parts
		WHERE active AND table = ? AND database IN (?, ?) GROUP BY partition_id`, r.place, t.name, r.place, r.home)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	partitions := map[string]bool{}
	for rows.Next() {
		var id string
		var gathered uint8
		if err := rows.Scan(&id, &gathered); err != nil {
			return nil, err
		}
		partitions[id] = gathered == 1
	}
	return partitions, rows.Err()
}
