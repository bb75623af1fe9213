package main

import (
	"io/fs"
	"strings"
	"testing"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/schema"
)

func TestSchemaCommands(t *testing.T) {
	db := chtest.NewEmpty(t)
	t.Setenv("CAROM_CLICKHOUSE", db.DSN(engine.Admin))
	files, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	first, last := files[0], files[len(files)-1]

	databases := func() (n uint64) {
		query := "SELECT count() FROM system.tables WHERE database = currentDatabase() OR name = 'schema_migrations' AND database = 'absent'"
		if err := db.Conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	absent := strings.TrimSuffix(db.DSN(engine.Admin), db.Name) + "absent"
	for _, dsn := range []string{db.DSN(engine.Admin), db.DSN(engine.Analyst), absent} {
		if got := carom("schema", "status", "--clickhouse", dsn); got.code != exitDone || strings.Count(got.out, "pending") != len(files) || databases() != 0 {
			t.Errorf("status before anything is applied: %+v, %d tables", got, databases())
		}
	}

	steps := []struct {
		args string
		code int
		out  []string
		not  []string
	}{
		{"schema status", exitDone, []string{first, last, "pending"}, nil},
		{"schema apply", exitDone, []string{"applied " + first, "applied " + last}, nil},
		{"schema apply", exitDone, []string{"nothing to apply"}, []string{first}},
		{"schema status", exitDone, []string{first, last}, []string{"pending", "altered"}},
	}
	for _, step := range steps {
		got := carom(strings.Fields(step.args)...)
		if got.code != step.code {
			t.Fatalf("%s: exit code %d: %s", step.args, got.code, got.errOut)
		}
		for _, text := range step.out {
			if !strings.Contains(got.out, text) {
				t.Errorf("%s lacks %q:\n%s", step.args, text, got.out)
			}
		}
		for _, text := range step.not {
			if strings.Contains(got.out, text) {
				t.Errorf("%s has %q:\n%s", step.args, text, got.out)
			}
		}
	}

	if got := carom("schema", "status", "--clickhouse", db.DSN(engine.Analyst)); got.code != exitDone || strings.Contains(got.out, "pending") {
		t.Errorf("status as an analyst: %+v", got)
	}
	if got := carom("schema", "status", "--clickhouse", db.DSN(engine.Edge)); got.code != exitFailed || !strings.Contains(got.errOut, "Not enough privileges") {
		t.Errorf("status as the edge: %+v", got)
	}

	forge := "INSERT INTO schema_checksums (file, sha256) VALUES ('" + first + "', 'other')"
	if err := db.Conn.Exec(t.Context(), forge); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"schema apply", "schema status"} {
		got := carom(strings.Fields(args)...)
		if got.code != exitFailed || !strings.Contains(got.errOut, first) {
			t.Errorf("%s on an altered file: exit code %d, %q", args, got.code, got.errOut)
		}
	}
}
