package rollup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/schema"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// A world is a database with an edge that inserts and a keeper that looks at once.
type world struct {
	*testing.T
	db   *chtest.DB
	edge driver.Conn
}

func newWorld(t *testing.T) world {
	t.Helper()
	db := chtest.New(t)
	return world{t, db, chtest.Open(t, db.DSN(engine.Edge))}
}

func (w world) keeper() *Keeper {
	c := Default()
	c.Conn, c.Registerer, c.Settle = w.db.Conn, prometheus.NewRegistry(), 0
	c.Log = slog.New(slog.NewTextHandler(w.Output(), nil))
	return New(c)
}

func (w world) exec(statement string) {
	w.Helper()
	if err := w.db.Conn.Exec(w.Context(), statement); err != nil {
		w.Fatalf("%s: %v", statement, err)
	}
}

// spool begins the names of all batches here.
const spool = "00000000000000aa"

func name(batch int) string { return fmt.Sprintf("%s-%d", spool, batch) }

// insert sends a batch of clicks as an edge does; groups bounds how many creators they spread over.
func (w world) insert(batch, life, rows, groups int) error {
	return w.edge.Exec(w.Context(), fmt.Sprintf(`
		INSERT INTO clicks (ts, click_id, brand_id, campaign_id, influencer_id, utm_content, city, browser, visitor, reasons, valid, billable, node, batch_id)
		SELECT toDateTime64('2026-07-06 00:00:00', 3, 'UTC') + cityHash64(number, %[1]d, 1) %% 200000,
			leftPad(toString(%[1]d * 1000000 + number), 22, '0'), 1, cityHash64(number, 2) %% 3, cityHash64(number, %[1]d, 3) %% %[4]d,
			toString(number %% 7), toString(number %% 5), toString(number %% 3), number %% 50, 2 * (number %% 4 = 0), number %% 4 != 0,
			number %% 4 != 0, 7, '%[5]s'
		FROM numbers(%[3]d)
		SETTINGS async_insert = 0, optimize_on_insert = 0, insert_deduplicate = 1, materialized_views_ignore_errors = 0,
			deduplicate_blocks_in_dependent_materialized_views = 1, insert_deduplication_token = '%[5]s-0123456789abcdef-%[2]d'`,
		batch, life, rows, groups, name(batch)))
}

func (w world) mustInsert(batch, life int) {
	w.Helper()
	if err := w.insert(batch, life, 100, 10); err != nil {
		w.Fatal(err)
	}
}

// report says of a batch of clicks what an edge says.
func (w world) report(batch string) {
	w.Helper()
	const statement = "INSERT INTO doubtful_batches (source, batch_id, week) SELECT 'clicks', ?, toDate('2026-07-06')"
	if err := w.edge.Exec(w.Context(), statement, batch); err != nil {
		w.Error(err)
	}
}

// check runs the keeper. A report of this very millisecond waits for a later look, as does one whose insert still shows among
// the processes.
func (w world) check(want int) {
	w.Helper()
	done := 0
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n, err := w.keeper().Check(w.Context())
		if done += n; err != nil || done > want || time.Now().After(deadline) {
			w.Errorf("checked %d batches, want %d: %v", done, want, err)
			return
		}
		if done == want {
			return
		}
	}
}

// mended lists the rollups that were put right for a batch.
func (w world) mended(batch int) (rollups []string) {
	w.Helper()
	const query = "SELECT mended FROM doubtful_batches FINAL WHERE checked AND batch_id = ?"
	if err := w.db.Conn.QueryRow(w.Context(), query, name(batch)).Scan(&rollups); err != nil {
		w.Fatal(err)
	}
	return rollups
}

func (w world) targets(source string) []target {
	w.Helper()
	targets, err := w.keeper().targets(w.Context(), source)
	if err != nil {
		w.Fatal(err)
	}
	return targets
}

// differing lists the rollups of which a group differs from what the view's query makes of raw.
func (w world) differing() (differ []string) {
	w.Helper()
	for _, source := range []string{"clicks", "conversions"} {
		for _, t := range w.targets(source) {
			var keys, values []string
			rows, err := w.db.Conn.Query(w.Context(), "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = ? AND name != 'batches'", t.rollup)
			if err != nil {
				w.Fatal(err)
			}
			for rows.Next() {
				var name, kind string
				if err := rows.Scan(&name, &kind); err != nil {
					w.Fatal(err)
				}
				switch function, _, _ := strings.Cut(kind[strings.Index(kind, "(")+1:], ","); {
				case strings.HasPrefix(kind, "SimpleAggregateFunction("):
					values = append(values, fmt.Sprintf("%s(%s)", function, name))
				case strings.HasPrefix(kind, "AggregateFunction("):
					values = append(values, fmt.Sprintf("%sMerge(%s)", function, name))
				default:
					keys = append(keys, name)
				}
			}
			columns := strings.Join(append(keys, values...), ", ")
			side := func(from string) string {
				return fmt.Sprintf("(SELECT %s FROM %s GROUP BY %s)", columns, from, strings.Join(keys, ", "))
			}
			rolled, raw := side(t.rollup), side("("+t.query+")")
			var n uint64
			if err := w.db.Conn.QueryRow(w.Context(), fmt.Sprintf("SELECT count() FROM (%[1]s EXCEPT %[2]s UNION ALL (%[2]s EXCEPT %[1]s))", rolled, raw)).Scan(&n); err != nil {
				w.Fatal(err)
			}
			if n > 0 {
				differ = append(differ, t.rollup)
			}
		}
	}
	return differ
}

func (w world) inStep() {
	w.Helper()
	if differ := w.differing(); len(differ) > 0 {
		w.Errorf("out of step with raw: %s", differ)
	}
}

// breaking makes inserts end as where the server dies in between: raw has the rows, the rollup has not, and others may not.
func (w world) breaking(rollup string, do func()) {
	w.Helper()
	w.exec("ALTER TABLE " + rollup + " ADD CONSTRAINT broken CHECK 0 = 1")
	do()
	w.exec("ALTER TABLE " + rollup + " DROP CONSTRAINT broken")
}

// An insert that ended between raw and any of the rollups is completed, whatever ClickHouse remembers of it, and once.
func TestMissing(t *testing.T) {
	w := newWorld(t)
	w.mustInsert(1, 0)
	batch := 1
	for _, lost := range w.targets("clicks") {
		w.exec("ALTER TABLE " + lost.rollup + " MODIFY SETTING non_replicated_deduplication_window = 2")
		batch += 10
		w.breaking(lost.rollup, func() {
			if err := w.insert(batch, 0, 100, 10); err == nil {
				t.Fatalf("an insert succeeded without %s", lost.rollup)
			}
		})
		for other := range 3 {
			w.mustInsert(batch+1+other, 0)
		}
		if len(w.differing()) == 0 {
			t.Fatalf("every rollup is in step without a batch in %s", lost.rollup)
		}
		w.report(name(batch))
		w.check(1)
		w.inStep()
		if !slices.Contains(w.mended(batch), lost.rollup) {
			t.Errorf("nothing tells that batch %d was missing in %s", batch, lost.rollup)
		}
		w.report(name(batch)) // by a node that was killed before it could note the first report
		w.check(1)
		w.inStep()
	}
}

// A batch whose raw rows were lost with its token in use is sent again under another: the rollups that have it twice get it
// once.
func TestTwice(t *testing.T) {
	w := newWorld(t)
	w.mustInsert(1, 0)
	w.mustInsert(2, 0)
	w.exec("ALTER TABLE clicks DELETE WHERE batch_id = '" + name(2) + "' SETTINGS mutations_sync = 2")
	w.mustInsert(2, 1)
	if differ := w.differing(); len(differ) != len(w.targets("clicks")) {
		t.Fatalf("out of step: %s, want all", differ)
	}
	w.report(name(2))
	w.check(1)
	w.inStep()
	for _, r := range w.targets("clicks") {
		w.exec("OPTIMIZE TABLE " + r.rollup + " FINAL")
	}
	w.inStep()
}

// A server killed between noting a token and keeping its rows acknowledges a second attempt without having them: what a
// rollup lost so is in it again.
func TestPartLostWithItsToken(t *testing.T) {
	config := chtest.Config(t)
	server := chtest.Start(t, config)
	db := chtest.Use(t, server)
	w := world{t, db, chtest.Open(t, server.DSN(engine.Edge))}
	w.mustInsert(1, 0)
	w.mustInsert(2, 0)
	var part string
	const query = "SELECT path FROM system.parts WHERE table = 'clicks_by_geo_daily' AND active ORDER BY max_block_number DESC LIMIT 1"
	if err := db.Conn.QueryRow(t.Context(), query).Scan(&part); err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(server.Pid())
	if err == nil {
		err = process.Kill()
	}
	if err == nil {
		<-server.Done()
		err = os.RemoveAll(part)
	}
	if err != nil {
		t.Fatal(err)
	}
	server = chtest.Start(t, config)
	w.db, w.edge = chtest.Use(t, server), chtest.Open(t, server.DSN(engine.Edge))
	w.mustInsert(2, 0)
	if differ := w.differing(); !slices.Equal(differ, []string{"clicks_by_geo_daily"}) {
		t.Fatalf("out of step: %s, want clicks_by_geo_daily", differ)
	}
	w.report(name(2))
	w.check(1)
	w.inStep()
}

// Batches in step are left alone: each is marked once, also where a view makes it in several blocks.
func TestInStep(t *testing.T) {
	w := newWorld(t)
	for batch, size := range []int{1, 100, 70_000} {
		if err := w.insert(batch, 0, size, size); err != nil {
			t.Fatal(err)
		}
		w.report(name(batch))
	}
	w.check(3)
	for batch := range 3 {
		if rollups := w.mended(batch); len(rollups) > 0 {
			t.Errorf("batch %d was mended in %s and was in step", batch, rollups)
		}
	}
	w.inStep()
}

// A cut is a connection of a keeper that ends before every third statement and, once more, before its answer.
type cut struct {
	driver.Conn
	statements int
}

var errCut = errors.New("cut off")

func (c *cut) Exec(ctx context.Context, statement string, args ...any) error {
	c.statements++
	switch c.statements % 3 {
	case 0:
		return errCut
	case 1:
		return errors.Join(c.Conn.Exec(ctx, statement, args...), errCut)
	}
	return c.Conn.Exec(ctx, statement, args...)
}

// Edges insert, some inserts end behind raw, while two keepers mend and are cut off again and again.
func TestBesideInserts(t *testing.T) {
	w := newWorld(t)
	ended, end := context.WithCancel(t.Context())
	var inserts, keepers sync.WaitGroup
	var batch, failed atomic.Int64
	for range 3 {
		inserts.Go(func() {
			for ended.Err() == nil {
				n := int(batch.Add(1))
				if err := w.insert(n, 0, 200, 10); err != nil {
					w.report(name(n))
					failed.Add(1)
				}
			}
		})
	}
	for range 2 {
		keeper := w.keeper()
		keeper.config.Conn = &cut{Conn: w.db.Conn}
		keepers.Go(func() {
			for ended.Err() == nil {
				_, _ = keeper.Check(t.Context()) // an error says that it was cut off, or that the other keeper does the same
			}
		})
	}
	for _, lost := range w.targets("clicks") {
		w.breaking(lost.rollup, func() {
			for before := failed.Load(); failed.Load() == before; {
				time.Sleep(time.Millisecond)
			}
		})
		for before := batch.Load(); batch.Load() < before+5; {
			time.Sleep(time.Millisecond)
		}
	}
	end()
	inserts.Wait()
	keepers.Wait()
	if _, err := w.keeper().Check(t.Context()); err != nil {
		t.Error(err)
	}
	w.check(0)
	w.inStep()
	var mended uint64
	if err := w.db.Conn.QueryRow(t.Context(), "SELECT countIf(notEmpty(mended)) FROM doubtful_batches FINAL").Scan(&mended); err != nil {
		t.Fatal(err)
	}
	if mended == 0 {
		t.Error("no insert ended behind raw: nothing was tested")
	}
	t.Logf("%d of %d inserts failed, %d batches were out of step", failed.Load(), batch.Load(), mended)
}

// A rollup that was emptied is made again from raw, conversions too.
func TestReport(t *testing.T) {
	w := newWorld(t)
	for batch := range 5 {
		w.mustInsert(batch, 0)
	}
	if err := w.edge.Exec(t.Context(), `
		INSERT INTO conversions (received, ts, brand_id, event, txid, amount, currency, status, source, batch_id)
		SELECT '2026-07-06 12:00:00', '2026-07-06 12:00:00', 1, 'sale', toString(number % 7), number, 'EUR', 'approved', 'postback', '00000000000000bb-1'
		FROM numbers(10) SETTINGS insert_deduplication_token = '00000000000000bb-1-0123456789abcdef'`); err != nil {
		t.Fatal(err)
	}
	keeper, week := w.keeper(), time.Date(2026, 7, 8, 0, 0, 0, 0, time.UTC)
	report := func(want uint64) {
		t.Helper()
		if waiting, err := keeper.Report(t.Context(), week, week); err != nil || waiting != want {
			t.Errorf("%d reports wait, want %d: %v", waiting, want, err)
		}
	}
	report(0)
	w.check(0)
	w.exec("TRUNCATE TABLE clicks_by_geo_daily")
	w.exec("TRUNCATE TABLE conversions_by_influencer_daily")
	report(6)
	w.check(6)
	w.inStep()
	w.exec("TRUNCATE TABLE clicks_by_geo_daily")
	report(5) // also what was checked before
	w.check(5)
	w.inStep()
}

// What an edge writes is no SQL.
func TestForgedReport(t *testing.T) {
	w := newWorld(t)
	w.mustInsert(1, 0)
	for _, forged := range []string{"x-1' OR '1' = '1", `x-1\'`, "", "x", "x-1\n"} {
		w.report(forged)
	}
	w.check(0)
	w.inStep()
	if err := w.edge.Exec(t.Context(), "INSERT INTO doubtful_batches (source, batch_id, week, checked) SELECT 'clicks', 'a-1', toDate('2026-07-06'), true"); err == nil {
		t.Error("an edge may say that a batch was checked")
	}
}

// A report waits for the insert that it is about, and to settle.
func TestReportSettles(t *testing.T) {
	w := newWorld(t)
	w.mustInsert(1, 0)
	slow := make(chan error, 1)
	go func() {
		slow <- w.db.Conn.Exec(w.Context(), "INSERT INTO posts (link_id) SELECT sleepEachRow(0.1) + number FROM numbers(20) SETTINGS max_block_size = 1")
	}()
	for running := uint64(0); running == 0; {
		if len(slow) > 0 {
			t.Fatal(<-slow)
		}
		if err := w.db.Conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query_kind = 'Insert' AND current_database = currentDatabase()").Scan(&running); err != nil {
			t.Fatal(err)
		}
	}
	w.report(name(1))
	w.check(0)
	if err := <-slow; err != nil {
		t.Fatal(err)
	}
	w.check(1)
	w.report(name(2))
	keeper := w.keeper()
	keeper.config.Settle = time.Hour
	if done, err := keeper.Check(t.Context()); done != 0 || err != nil {
		t.Errorf("%d batches checked before their report has settled: %v", done, err)
	}
}

// Batches from before the marks are taken for in step: nothing is added for them.
func TestUpgrade(t *testing.T) {
	db := chtest.NewEmpty(t)
	w := world{t, db, chtest.Open(t, db.DSN(engine.Edge))}
	before := fstest.MapFS{}
	names, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name >= "0008" {
			break
		}
		text, err := fs.ReadFile(schema.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: text}
	}
	apply := func(files fs.FS) {
		t.Helper()
		if _, err := schema.Apply(t.Context(), files, db.DSN(engine.Admin), nil); err != nil {
			t.Fatal(err)
		}
	}
	apply(before)
	w.mustInsert(1, 0)
	apply(schema.Files)
	w.mustInsert(1, 0) // doubtful during the upgrade
	w.mustInsert(2, 0)
	w.report(name(1))
	w.report(name(2))
	w.check(1)
	w.inStep()
}
