package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
)

const (
	versionTable  = "schema_migrations"
	checksumTable = "schema_checksums"
)

// open connects to the database that dsn names, after making it when missing.
func open(ctx context.Context, dsn string) (*sql.DB, error) {
	options, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if err := createDatabase(ctx, *options); err != nil {
		return nil, err
	}
	return clickhouse.OpenDB(options), nil
}

// parseDSN keeps the password out of its errors.
func parseDSN(dsn string) (*clickhouse.Options, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if urlError := (*url.Error)(nil); errors.As(err, &urlError) {
		err = urlError.Err
	}
	if err != nil {
		return nil, fmt.Errorf("read DSN, which looks like clickhouse://user:password@host:9000/carom: %w", err)
	}
	if options.Auth.Database == "" || options.Auth.Database == "default" {
		return nil, errors.New("the DSN names no database; end it in /carom")
	}
	return options, nil
}

// createDatabase connects without the database, which may not exist yet.
func createDatabase(ctx context.Context, options clickhouse.Options) error {
	name := options.Auth.Database
	options.Auth.Database = ""
	db := clickhouse.OpenDB(&options)
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+quote(name)); err != nil {
		return fmt.Errorf("create database %s on %s: %w", name, strings.Join(options.Addr, ", "), err)
	}
	return nil
}

// hasBookkeeping tells whether files were ever applied. It connects to system, as the database may not exist yet. A user
// who may not see the tables is refused, so an answer is never wrong for want of rights.
func hasBookkeeping(ctx context.Context, options clickhouse.Options) (bool, error) {
	name := options.Auth.Database
	options.Auth.Database = "system"
	db := clickhouse.OpenDB(&options)
	defer db.Close()
	for _, table := range []string{checksumTable, versionTable} {
		var exists bool
		if err := db.QueryRowContext(ctx, "EXISTS TABLE "+quote(name)+"."+table).Scan(&exists); err != nil {
			return false, fmt.Errorf("look for table %s.%s on %s: %w", name, table, strings.Join(options.Addr, ", "), err)
		}
		if !exists {
			return false, nil
		}
	}
	return true, nil
}

// quote makes an identifier of any string.
func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

func newProvider(db *sql.DB, files fs.FS) (*goose.Provider, error) {
	provider, err := goose.NewProvider(goose.DialectClickHouse, db, files,
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
	)
	if err != nil {
		return nil, fmt.Errorf("read schema files: %w", err)
	}
	return provider, nil
}

func createChecksums(ctx context.Context, db *sql.DB) error {
	const statement = `
		CREATE TABLE IF NOT EXISTS ` + checksumTable + `
		(
			file    String,
			sha256  String COMMENT 'of the file, in hex',
			written DateTime64(6, 'UTC') DEFAULT now64(6)
		)
		ENGINE = ReplacingMergeTree(written)
		ORDER BY file`
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("create table %s: %w", checksumTable, err)
	}
	return nil
}

func recordChecksum(ctx context.Context, db *sql.DB, m Migration) error {
	const statement = "INSERT INTO " + checksumTable + " (file, sha256) SELECT ?, ?"
	if _, err := db.ExecContext(ctx, statement, m.File, m.SHA256); err != nil {
		return fmt.Errorf("record checksum of %s: %w", m.File, err)
	}
	return nil
}

// readChecksums is the SHA-256 by file.
func readChecksums(ctx context.Context, db *sql.DB) (map[string]string, error) {
	recorded := make(map[string]string)
	rows, err := db.QueryContext(ctx, "SELECT file, sha256 FROM "+checksumTable+" FINAL")
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", checksumTable, err)
	}
	defer rows.Close()
	for rows.Next() {
		var file, sum string
		if err := rows.Scan(&file, &sum); err != nil {
			return nil, fmt.Errorf("read table %s: %w", checksumTable, err)
		}
		recorded[file] = sum
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read table %s: %w", checksumTable, err)
	}
	return recorded, nil
}
