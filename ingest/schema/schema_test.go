package schema_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/schema"
)

func TestMain(m *testing.M) { chtest.Main(m) }

func TestApplyTwiceIsNoOp(t *testing.T) {
	db := chtest.NewEmpty(t)
	dsn := db.DSN(engine.Admin)

	var progress []string
	first, err := schema.Apply(t.Context(), schema.Files, dsn, func(m schema.Migration) {
		progress = append(progress, m.File)
	})
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names, files(first)); diff != "" {
		t.Errorf("applied files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(names, progress); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	before := tables(t, db)

	second, err := schema.Apply(t.Context(), schema.Files, dsn, func(m schema.Migration) { t.Errorf("applied %s again", m.File) })
	if err != nil || len(second) != 0 {
		t.Errorf("second Apply = %v, %v; want nothing", files(second), err)
	}
	if diff := cmp.Diff(before, tables(t, db)); diff != "" {
		t.Errorf("tables changed (-before +after):\n%s", diff)
	}
}

// Everything that product and reports name is there.
func TestTables(t *testing.T) {
	db := chtest.New(t)
	got := tables(t, db)
	for _, name := range []string{
		"clicks", "conversions", "node_ledger",
		"brands", "domains", "influencers", "campaigns", "links", "commission_rules", "posts", "keys", "tokens",
		"clicks_by_influencer_daily", "clicks_by_utm_hourly", "clicks_by_geo_daily", "clicks_by_device_daily",
		"conversions_by_influencer_daily",
		"report_influencers", "report_campaigns", "report_utm", "report_geo", "report_conversions", "report_ledger",
		"report_conversion_conflicts",
	} {
		if _, ok := got[name]; !ok {
			t.Errorf("no table or view %s", name)
		}
	}
}

// Every view of the schema can be read, also over no rows.
func TestViewsAnswer(t *testing.T) {
	db := chtest.New(t)
	for name, kind := range tables(t, db) {
		if kind != "View" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if err := db.Conn.Exec(t.Context(), "SELECT count(ignore(*)) FROM "+name); err != nil {
				t.Error(err)
			}
		})
	}
}

// A process that died within a file starts it again from its first statement: every statement can be repeated.
func TestApplyAfterInterruption(t *testing.T) {
	db := chtest.New(t)
	before := tables(t, db)
	const forget = "ALTER TABLE schema_migrations DELETE WHERE version_id > 0 SETTINGS mutations_sync = 2"
	if err := db.Conn.Exec(t.Context(), forget); err != nil {
		t.Fatal(err)
	}
	applied, err := schema.Apply(t.Context(), schema.Files, db.DSN(engine.Admin), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) == 0 {
		t.Error("nothing was applied again")
	}
	if diff := cmp.Diff(before, tables(t, db)); diff != "" {
		t.Errorf("tables changed (-before +after):\n%s", diff)
	}
}

func TestApply(t *testing.T) {
	const (
		one   = "-- +goose Up\nCREATE TABLE one (n UInt8) ENGINE = Memory; -- a comment; with a semicolon\nCREATE TABLE uno (n UInt8) ENGINE = Memory;\n"
		two   = "-- +goose Up\nCREATE TABLE two (n UInt8) ENGINE = Memory;\n"
		wrong = "-- +goose Up\nCREATE TABLE three (n NoSuchType) ENGINE = Memory;\n"
	)
	applied := fstest.MapFS{"0001_one.sql": file(one), "0002_two.sql": file(two)}
	tests := []struct {
		name  string
		then  fstest.MapFS // applied after the two above
		want  []string     // applied files
		error error
		says  string
	}{
		{name: "unchanged", then: applied},
		{
			name: "a further file",
			then: fstest.MapFS{"0001_one.sql": file(one), "0002_two.sql": file(two), "0003_three.sql": file(strings.ReplaceAll(two, "two", "three"))},
			want: []string{"0003_three.sql"},
		},
		{
			name:  "an altered file",
			then:  fstest.MapFS{"0001_one.sql": file(one), "0002_two.sql": file(two + " ")},
			error: schema.ErrAltered, says: "0002_two.sql",
		},
		{
			name: "an altered file before a further one",
			then: fstest.MapFS{
				"0001_one.sql": file(strings.ReplaceAll(one, "UInt8", "UInt16")), "0002_two.sql": file(two),
				"0003_three.sql": file(strings.ReplaceAll(two, "two", "three")),
			},
			error: schema.ErrAltered, says: "0001_one.sql",
		},
		{
			name:  "a renamed file",
			then:  fstest.MapFS{"0001_uno.sql": file(one), "0002_two.sql": file(two)},
			error: schema.ErrAltered, says: "0001_uno.sql",
		},
		{
			name: "a file that ClickHouse refuses",
			then: fstest.MapFS{"0001_one.sql": file(one), "0002_two.sql": file(two), "0003_three.sql": file(wrong)},
			says: "0003_three.sql",
		},
		{name: "no file at all", then: fstest.MapFS{}, says: "read schema files"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dsn := chtest.NewEmpty(t).DSN(engine.Admin)
			if _, err := schema.Apply(t.Context(), applied, dsn, nil); err != nil {
				t.Fatal(err)
			}
			got, err := schema.Apply(t.Context(), test.then, dsn, nil)
			if (err != nil) != (test.says != "") {
				t.Fatalf("error %v, want one: %v", err, test.says != "")
			}
			if err != nil && (!errors.Is(err, test.error) && test.error != nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("error %q, want %v with %q", err, test.error, test.says)
			}
			if diff := cmp.Diff(test.want, files(got)); diff != "" {
				t.Errorf("applied files (-want +got):\n%s", diff)
			}
		})
	}
}

// A file that failed is applied once it is put right: only applied files are frozen.
func TestApplyAfterCorrection(t *testing.T) {
	db := chtest.NewEmpty(t)
	wrong := fstest.MapFS{"0001_one.sql": file("-- +goose Up\nCREATE TABLE one (n NoSuchType) ENGINE = Memory;\n")}
	right := fstest.MapFS{"0001_one.sql": file("-- +goose Up\nCREATE TABLE one (n UInt8) ENGINE = Memory;\n")}
	if _, err := schema.Apply(t.Context(), wrong, db.DSN(engine.Admin), nil); err == nil {
		t.Fatal("the wrong file was applied")
	}
	if _, err := schema.Apply(t.Context(), right, db.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	for _, m := range status(t, db, right) {
		if m.Altered || m.AppliedAt.IsZero() {
			t.Errorf("%s: altered = %v, applied at %s", m.File, m.Altered, m.AppliedAt)
		}
	}
}

func TestStatus(t *testing.T) {
	db := chtest.NewEmpty(t)
	both := fstest.MapFS{
		"0001_one.sql": file("-- +goose Up\nCREATE TABLE one (n UInt8) ENGINE = Memory;\n"),
		"0002_two.sql": file("-- +goose Up\nCREATE TABLE two (n UInt8) ENGINE = Memory;\n"),
	}
	first := fstest.MapFS{"0001_one.sql": both["0001_one.sql"]}
	if _, err := schema.Apply(t.Context(), first, db.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	both["0001_one.sql"] = file("-- +goose Up\nSELECT 1;\n")

	got := status(t, db, both)
	if len(got) != 2 {
		t.Fatalf("%d files, want 2", len(got))
	}
	if one := got[0]; one.File != "0001_one.sql" || one.Version != 1 || !one.Altered || one.AppliedAt.IsZero() {
		t.Errorf("first file %+v, want 1 applied and altered", one)
	}
	if two := got[1]; two.File != "0002_two.sql" || two.Version != 2 || two.Altered || !two.AppliedAt.IsZero() {
		t.Errorf("second file %+v, want 2 pending", two)
	}
	if err := schema.RefuseAltered(got); !errors.Is(err, schema.ErrAltered) {
		t.Errorf("RefuseAltered = %v", err)
	}
}

func TestPrintShowsEveryFile(t *testing.T) {
	var out bytes.Buffer
	if err := schema.Print(&out, schema.Files); err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(schema.Files, "*.sql")
	if err != nil || len(names) < 2 {
		t.Fatalf("files %v, %v", names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(schema.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "-- "+name+"\n"+string(text)) {
			t.Errorf("%s is not printed in whole", name)
		}
	}
}

// A DSN holds a password: no error repeats it.
func TestDSNErrors(t *testing.T) {
	tests := []struct{ name, dsn, says string }{
		{"not a URL", "clickhouse://u:hunter2@host:port\x00/carom", "read DSN"},
		{"not a number", "clickhouse://u:hunter2@127.0.0.1:9000/carom?dial_timeout=x", "read DSN"},
		{"no database", "clickhouse://u:hunter2@127.0.0.1:9000", "names no database"},
		{"the server's default database", "clickhouse://u:hunter2@127.0.0.1:9000/default", "names no database"},
		{"nobody listens", "clickhouse://u:hunter2@127.0.0.1:1/carom", "create database carom on 127.0.0.1:1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := schema.Apply(t.Context(), schema.Files, test.dsn, nil)
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want one with %q and without the password", err, test.says)
			}
		})
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dsn := chtest.NewEmpty(t).DSN(engine.Admin)
	cancel()
	if _, err := schema.Apply(ctx, schema.Files, dsn, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func files(migrations []schema.Migration) []string {
	var names []string
	for _, m := range migrations {
		names = append(names, m.File)
	}
	return names
}

func status(t *testing.T, db *chtest.DB, files fs.FS) []schema.Migration {
	t.Helper()
	migrations, err := schema.Status(t.Context(), files, db.DSN(engine.Admin))
	if err != nil {
		t.Fatal(err)
	}
	return migrations
}

// tables is the engine of each table by its name.
func tables(t *testing.T, db *chtest.DB) map[string]string {
	t.Helper()
	rows, err := db.Conn.Query(t.Context(), "SELECT name, engine FROM system.tables WHERE database = ?", db.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := make(map[string]string)
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		got[name] = kind
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}
