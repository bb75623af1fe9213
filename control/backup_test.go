package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/control"
	"carom/control/backup"
	"carom/control/lease"
	"carom/ingest/chtest"
	"carom/redirect"
)

// backup writes a backup and opens it; during, if not nil, is called once the moment is taken.
func (w *world) backup(during func()) *backup.File {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "carom.zip")
	out, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	if err := w.Backup(w.t.Context(), &tapped{out, during}); err != nil {
		w.t.Fatal(err)
	}
	file, err := backup.Open(path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { file.Close() })
	if err := trust(w.t, file); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// trust checks all of a backup.
func trust(t testing.TB, file *backup.File) error {
	t.Helper()
	sealer, err := redirect.NewSealer([]byte(clusterSecret))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := backup.NewSigner([]byte(clusterSecret))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Verify(); err != nil {
		return err
	}
	return file.Trust(signer, sealer)
}

// A tapped writer calls first before it is written to for the first time.
type tapped struct {
	io.Writer
	first func()
}

func (w *tapped) Write(b []byte) (int, error) {
	if w.first != nil {
		w.first()
		w.first = nil
	}
	return w.Writer.Write(b)
}

// restoreConfig restores into the database of w.
func (w *world) restoreConfig() backup.Config {
	config := backup.Default()
	config.Conn = w.db.Conn
	return config
}

// contents are the rows of a table but for versions, and those that only keep a number.
func (w *world) contents(table string) string {
	w.t.Helper()
	columns, where := "* EXCEPT version", "true"
	switch table {
	case "keys":
		where = "kind != 'visitor'"
	case "links":
		where = "NOT (deleted AND slug = '' AND coupon = '')"
	case "brands", "domains", "influencers", "campaigns", "commission_rules":
		where = "NOT deleted"
	}
	return one[string](w, fmt.Sprintf("SELECT arrayStringConcat(arraySort(groupArray(toJSONString(tuple(*)))), '\n') FROM (SELECT %s FROM %s FINAL WHERE %s)",
		columns, table, where))
}

// backedUp is what the backup of a sample world has.
var backedUp = []string{
	"keys", "brands", "domains", "influencers", "influencer_followers", "campaigns", "commission_rules", "posts", "tokens", "audit", "links",
}

// A table that is added to the schema is backed up, or it is said here why not.
func TestBackupHasEveryTable(t *testing.T) {
	w := newWorld(t)
	left := map[string]string{
		"clicks": "events", "conversions": "events", "node_ledger": "events", "clicks_by_batch": "a rollup of events",
		"doubtful_batches": "about events", "schema_checksums": "the schema's", "schema_migrations": "the schema's",
		"control_lease": "of processes that run", "kept_answers": "for a day only",
	}
	file := w.backup(nil)
	var got []string
	for _, table := range file.Tables {
		got = append(got, table.Name)
	}
	tables := one[[]string](w, `SELECT groupArray(name) FROM system.tables WHERE database = currentDatabase()
		AND engine LIKE '%MergeTree' AND name NOT LIKE '%\_daily' AND name NOT LIKE '%\_hourly'`)
	for _, name := range tables {
		if left[name] == "" && !slices.Contains(got, name) {
			t.Errorf("table %s is neither in a backup nor left out for a reason", name)
		}
	}
}

func TestRestoreMakesTheSameWorld(t *testing.T) {
	w := newWorld(t)
	w.loadSample()
	w.load("links", "link,campaign,influencer,domain,destination,utm_term,fee,starts",
		`umlaut,spring-boots,lena-walks,go.acme.localhost,https://shop.acme.example/größe?a=1&b=<x>,"a ""b"" {link}",12.50,2026-02-01`)
	w.load("posts", "link,as_of,likes", "umlaut,2026-03-01,12")
	if _, _, err := w.NewToken(t.Context(), control.LocalScope(), "shop", control.Editor, []string{"acme"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.RotateKey(t.Context(), control.LocalScope(), "acme", redirect.KeyCode); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RetireKey(t.Context(), control.LocalScope(), "acme", redirect.KeyCode, "0"); err != nil {
		t.Fatal(err)
	}
	file := w.backup(func() { // a change while the file is being written
		w.load("links", "link,campaign,influencer,domain", "late,spring-boots,lena-walks,go.acme.localhost")
		w.load("brands", "brand,name,currency", "late,Late,EUR")
	})
	again := &world{t: t, db: chtest.New(t), now: day0}
	summary, err := control.Restore(t.Context(), again.restoreConfig(), file)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range backedUp {
		want := w.contents(table)
		if table == "links" || table == "brands" || table == "keys" || table == "audit" {
			continue // the change is there
		}
		if got := again.contents(table); got != want || got == "" {
			t.Errorf("%s is\n%s\nbefore\n%s", table, got, want)
		}
	}
	for _, table := range []string{"links", "brands"} {
		got := one[uint64](again, "SELECT countIf(endsWith("+table[:len(table)-1]+", 'late')) FROM "+table)
		if before := one[uint64](w, "SELECT count() FROM "+table+" FINAL"); got != 0 || summary.Rows[table] != before-1 {
			t.Errorf("%d rows of %s are back, there were %d and one more since; %d of those since are among them", summary.Rows[table], table, before-1, got)
		}
	}
	if got := one[string](again, "SELECT destination || ' ' || utm_term FROM links FINAL WHERE link = 'umlaut' AND NOT deleted"); got !=
		one[string](w, "SELECT destination || ' ' || utm_term FROM links FINAL WHERE link = 'umlaut'") {
		t.Errorf("a link came back with %s", got)
	}
	if lowest, before := one[uint64](again, "SELECT min(version) FROM links"), one[uint64](w, "SELECT max(version) FROM links"); lowest <= before {
		t.Errorf("versions begin at %d, where %d were given out", lowest, before)
	}
	again.start()
	defer again.Stop()
	again.load("links", "link,campaign,influencer,domain", "fresh,spring-boots,lena-walks,go.acme.localhost")
	if n := one[uint32](again, "SELECT link_id FROM links FINAL WHERE link = 'fresh'"); n != summary.FirstLink {
		t.Errorf("the first new link is number %d, not %d", n, summary.FirstLink)
	}
	if newest := one[bool](again, "SELECT argMax(link, version) = 'fresh' FROM links"); !newest {
		t.Error("the version of a new link is not above those of restored ones")
	}
}

// Whatever interrupts a restore, nothing changes before all is there, no control process starts in between, and another run
// ends it. It keeps its hands off a control process that runs, and off another world.
func TestRestoreIsInterruptedAndRefused(t *testing.T) {
	w := newWorld(t)
	w.loadSample()
	file := w.backup(nil)
	again := &world{t: t, db: chtest.New(t), now: day0}
	config := again.restoreConfig()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config.Progress = func(p backup.Progress) {
		if p.Table == "campaigns" {
			cancel()
		}
	}
	if _, err := control.Restore(ctx, config, file); err == nil {
		t.Fatal("it was not interrupted")
	}
	if n := one[uint64](again, "SELECT count() FROM keys") + one[uint64](again, "SELECT count() FROM brands"); n != 0 {
		t.Errorf("%d rows are there already", n)
	}
	c := control.DefaultConfig()
	c.Conn, c.ClusterSecret = again.db.Conn, []byte(clusterSecret)
	early, err := control.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := early.Start(t.Context()); !errors.Is(err, control.ErrRestoring) {
		t.Errorf("control starts meanwhile: %v", err)
	}
	early.Stop()
	if _, err := control.Restore(t.Context(), again.restoreConfig(), file); err != nil {
		t.Fatal(err)
	}
	again.start()
	defer again.Stop()
	if got, want := again.contents("campaigns"), w.contents("campaigns"); got != want {
		t.Errorf("campaigns are\n%s\nbefore\n%s", got, want)
	}
	if _, err := control.Restore(t.Context(), again.restoreConfig(), file); !errors.Is(err, lease.ErrHeld) {
		t.Errorf("beside a control process that runs: %v", err)
	}
	again.Stop()
	if _, err := control.Restore(t.Context(), again.restoreConfig(), file); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("into a world: %v", err)
	}
	config = again.restoreConfig()
	config.Replace = true
	if _, err := control.Restore(t.Context(), config, file); err != nil {
		t.Errorf("in place of a world: %v", err)
	}
}

// A backup that an early carom wrote, before there were signatures, is told apart, and can be restored.
func TestRestoreUnsigned(t *testing.T) {
	file, err := backup.Open(filepath.Join("testdata", "unsigned.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := trust(t, file); !errors.Is(err, backup.ErrUnsigned) {
		t.Fatalf("it is trusted: %v", err)
	}
	w := &world{t: t, db: chtest.New(t), now: day0}
	summary, err := control.Restore(t.Context(), w.restoreConfig(), file)
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	defer w.Stop()
	if _, known := file.Has("links"); known == 0 || summary.Rows["links"] != known {
		t.Errorf("%d of %d links are back", summary.Rows["links"], known)
	}
	if got := w.show("boots-lena-reel").ShortURL; got == "" {
		t.Error("a link of it has no short URL")
	}
}

// A source that says of its rows what is not true.
type altered struct {
	backup.Source
	version uint64 // of its brands
}

func (s altered) Each(table string, target []driver.ColumnType, do func(reflect.Value) error) error {
	return s.Source.Each(table, target, func(row reflect.Value) error {
		for _, f := range reflect.VisibleFields(row.Type().Elem()) {
			if table == "brands" && f.Tag.Get("ch") == "version" {
				row.Elem().FieldByIndex(f.Index).SetUint(s.version)
			}
		}
		return do(row)
	})
}

// One row with a version far in the future would make all later changes of it lose. It is refused before anything has changed, and the
// world that was there goes on.
func TestRestoreRefusesVersions(t *testing.T) {
	w := newWorld(t)
	w.loadSample()
	file := w.backup(nil)
	w.Stop()
	before := w.contents("brands")
	config := w.restoreConfig()
	config.Replace = true
	_, highest := file.Versions()
	for _, version := range []uint64{highest + 1, 1<<64 - 1} {
		if _, err := control.Restore(t.Context(), config, altered{file, version}); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	w.start()
	if after := w.contents("brands"); after != before {
		t.Errorf("brands are\n%s\nbefore\n%s", after, before)
	}
}
