// Package schema applies Carom's ordered SQL files to a ClickHouse database: the same files in tests and production.
//
// Each file is applied once, in the order of its number, and recorded with its SHA-256. ClickHouse has no transactions
// for table definitions, so a file that was interrupted is applied again from its beginning: its statements say
// IF NOT EXISTS.
package schema

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
)

// Files are the migrations that this binary carries.
//
//go:embed *.sql
var Files embed.FS

// ErrAltered says that a file which was applied has other bytes now.
var ErrAltered = errors.New("schema file was altered after it was applied")

// Migration is one file and its state in a database.
type Migration struct {
	Version   int64
	File      string
	SHA256    string    // of the file, in hex
	AppliedAt time.Time // UTC, zero when pending
	Altered   bool      // applied with other bytes
}

// Apply brings the database that dsn names up to files and returns what it applied, nothing when it was up to date. It
// makes the database when missing and calls progress, when not nil, after each file. A file that was applied and then
// altered ends it with [ErrAltered] before anything is applied. One process at a time may apply: the control process does.
func Apply(ctx context.Context, files fs.FS, dsn string, progress func(Migration)) ([]Migration, error) {
	db, err := open(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("apply schema: %w", err)
	}
	defer db.Close()
	applied, err := apply(ctx, db, files, progress)
	if err != nil {
		return applied, fmt.Errorf("apply schema: %w", err)
	}
	return applied, nil
}

func apply(ctx context.Context, db *sql.DB, files fs.FS, progress func(Migration)) ([]Migration, error) {
	provider, err := newProvider(db, files)
	if err != nil {
		return nil, err
	}
	if err := createChecksums(ctx, db); err != nil {
		return nil, err
	}
	migrations, err := status(ctx, db, provider, files)
	if err != nil {
		return nil, err
	}
	if err := RefuseAltered(migrations); err != nil {
		return nil, err
	}
	var applied []Migration
	for _, m := range migrations {
		if !m.AppliedAt.IsZero() {
			continue
		}
		// First the checksum, then the file: an applied file always has one.
		if err := recordChecksum(ctx, db, m); err != nil {
			return applied, err
		}
		if _, err := provider.ApplyVersion(ctx, m.Version, true); err != nil {
			return applied, fmt.Errorf("%s: %w", m.File, err)
		}
		m.AppliedAt = time.Now().UTC()
		applied = append(applied, m)
		if progress != nil {
			progress(m)
		}
	}
	return applied, nil
}

// RefuseAltered is [ErrAltered], naming the file, when one of the migrations was altered.
func RefuseAltered(migrations []Migration) error {
	for _, m := range migrations {
		if m.Altered {
			return fmt.Errorf("%w: %s: restore it and put the change into a new file", ErrAltered, m.File)
		}
	}
	return nil
}

// Status lists all files with their state in the database that dsn names. It only reads: the database and its
// bookkeeping tables may be missing, when every file is pending. The user needs to read those tables.
func Status(ctx context.Context, files fs.FS, dsn string) ([]Migration, error) {
	migrations, err := readStatus(ctx, files, dsn)
	if err != nil {
		return nil, fmt.Errorf("read schema status: %w", err)
	}
	return migrations, nil
}

func readStatus(ctx context.Context, files fs.FS, dsn string) ([]Migration, error) {
	options, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	applied, err := hasBookkeeping(ctx, *options)
	if err != nil {
		return nil, err
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	provider, err := newProvider(db, files)
	if err != nil {
		return nil, err
	}
	if applied {
		return status(ctx, db, provider, files)
	}
	var pending []Migration
	for _, source := range provider.ListSources() {
		sum, err := checksum(files, source.Path)
		if err != nil {
			return nil, err
		}
		pending = append(pending, Migration{Version: source.Version, File: source.Path, SHA256: sum})
	}
	return pending, nil
}

// status reads the state of files; the bookkeeping tables exist or goose makes its own.
func status(ctx context.Context, db *sql.DB, provider *goose.Provider, files fs.FS) ([]Migration, error) {
	states, err := provider.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("read applied versions: %w", err)
	}
	recorded, err := readChecksums(ctx, db)
	if err != nil {
		return nil, err
	}
	migrations := make([]Migration, 0, len(states))
	for _, state := range states {
		m := Migration{Version: state.Source.Version, File: state.Source.Path}
		if m.SHA256, err = checksum(files, m.File); err != nil {
			return nil, err
		}
		if state.State == goose.StateApplied {
			m.AppliedAt = state.AppliedAt.UTC()
			m.Altered = recorded[m.File] != m.SHA256
		}
		migrations = append(migrations, m)
	}
	return migrations, nil
}

// Print writes every file, in order, under a line with its name.
func Print(w io.Writer, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return fmt.Errorf("print schema: %w", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("print schema: %w", err)
		}
		if _, err := fmt.Fprintf(w, "-- %s\n%s\n", name, text); err != nil {
			return fmt.Errorf("print schema: %w", err)
		}
	}
	return nil
}

func checksum(files fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
