package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A Moment is the reference data as it was when it was taken.
type Moment struct {
	conn  driver.Conn
	place string  // database of the copies
	kept  []table // those that there are
	about Manifest
}

// Take copies the reference tables as they are, sharing their data. The caller keeps all writers away until it returns, and
// calls Close in the end. One Moment at a time can exist: what another has left behind is removed.
func Take(ctx context.Context, conn driver.Conn, now time.Time) (_ *Moment, err error) {
	m := &Moment{conn: conn, about: Manifest{Format: format, Created: now.UTC().Truncate(time.Second)}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("copy the reference tables: %w", err), m.Close(ctx))
		}
	}()
	home, err := currentDatabase(ctx, conn)
	if err != nil {
		return nil, err
	}
	m.place = home + "_backup"
	if m.kept, err = presentTables(ctx, conn); err != nil {
		return nil, err
	}
	statements := []string{"DROP DATABASE IF EXISTS " + quote(m.place) + " SYNC", "CREATE DATABASE " + quote(m.place)}
	for _, t := range m.kept {
		copied, original := quote(m.place)+"."+t.name, quote(home)+"."+t.name
		if t.where == "" {
			statements = append(statements, "CREATE TABLE "+copied+" CLONE AS "+original)
			continue
		}
		statements = append(statements, "CREATE TABLE "+copied+" AS "+original,
			"INSERT INTO "+copied+" SELECT * FROM "+original+" WHERE "+t.where)
	}
	for _, statement := range statements {
		if err := conn.Exec(ctx, statement); err != nil {
			return nil, err
		}
	}
	return m, m.look(ctx)
}

// look reads what the manifest says of all tables.
func (m *Moment) look(ctx context.Context) error {
	if err := m.conn.QueryRow(ctx, "SELECT max(version_id) FROM schema_migrations").Scan(&m.about.Schema); err != nil {
		return err
	}
	var versions []string
	for _, t := range m.kept {
		if t.versioned {
			versions = append(versions, fmt.Sprintf("SELECT version FROM %s.%s", quote(m.place), t.name))
		}
	}
	return m.conn.QueryRow(ctx, "SELECT minIf(version, version != 0), max(version) FROM ("+strings.Join(versions, " UNION ALL ")+")").
		Scan(&m.about.Lowest, &m.about.Highest)
}

// Close removes the copies, also when ctx has ended.
func (m *Moment) Close(ctx context.Context) error {
	if m.place == "" {
		return nil
	}
	return m.conn.Exec(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+quote(m.place)+" SYNC")
}

// currentDatabase is the one that conn is connected to.
func currentDatabase(ctx context.Context, conn driver.Conn) (name string, err error) {
	return name, conn.QueryRow(ctx, "SELECT currentDatabase()").Scan(&name)
}

// presentTables are those of tables that the schema has.
func presentTables(ctx context.Context, conn driver.Conn) ([]table, error) {
	rows, err := conn.Query(ctx, "SELECT table, has(groupArray(name), 'version') FROM system.columns WHERE database = currentDatabase() GROUP BY table")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	versioned := map[string]bool{} // by the tables that there are
	for rows.Next() {
		var name string
		var has bool
		if err := rows.Scan(&name, &has); err != nil {
			return nil, err
		}
		versioned[name] = has
	}
	var present []table
	for _, t := range tables() {
		var exists bool
		if t.versioned, exists = versioned[t.name]; exists {
			present = append(present, t)
		}
	}
	return present, rows.Err()
}

// quote makes an identifier of any string.
func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}
