package redirect

import (
	"bufio"
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/geo"
	"carom/ingest"
	"carom/ingest/chtest"
)

// The node's clock is an hour late or early, at the beginning or past the end of what a 32-bit time can say, and goes back, while
// the node runs and while it does not: no click id is given twice, each click is stored once in every table, and no batch is
// refused.
func TestFaultClock(t *testing.T) {
	now := time.Now()
	early, late := time.Date(1970, 1, 1, 0, 0, 10, 0, time.UTC), time.Date(2106, 2, 8, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name   string
		clocks [][]time.Time // of each process on the spool
	}{
		{"an hour early, then right", [][]time.Time{{now.Add(time.Hour), now}, {now}}},
		{"an hour late, then right", [][]time.Time{{now.Add(-time.Hour), now}, {now}}},
		{"1970 until the network is there", [][]time.Time{{early, early.Add(time.Second), now}, {early, now}}},
		{"2106", [][]time.Time{{late, late.Add(time.Second)}, {late}}},
		{"2106, then right", [][]time.Time{{late, now}, {now}}},
		{"backwards all the time", [][]time.Time{{now, now.Add(-time.Second), now.Add(-time.Hour)}, {now.Add(-48 * time.Hour)}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := chtest.New(t)
			// A clock in 1970 gives clicks the beginning of what a click id can say, which raw rows are not kept for.
			if err := db.Conn.Exec(t.Context(), "ALTER TABLE clicks REMOVE TTL"); err != nil {
				t.Fatal(err)
			}
			spool := filepath.Join(t.TempDir(), "spool")
			given := map[string]bool{}
			taps := 0
			for _, clocks := range test.clocks {
				taps += tapUnderClocks(t, db, spool, clocks, given, false)
			}
			var ids []string
			for id := range given {
				ids = append(ids, id)
			}
			if found := db.Find(t, ids); len(ids) != taps || found.Dropped > 0 || !found.Exact(0) {
				t.Errorf("%d taps, %d click ids: %v", taps, len(ids), found)
			}
		})
	}
}

// tapUnderClocks runs a node on a spool, taps under each clock in turn, and adds the click ids it was given. look says whether the
// node sees ClickHouse's clock, which is right.
func tapUnderClocks(t *testing.T, db *chtest.DB, spool string, clocks []time.Time, given map[string]bool, look bool) (taps int) {
	t.Helper()
	const each = 50
	places, err := geo.New(geo.Default())
	if err != nil {
		t.Fatal(err)
	}
	c := ingest.Default()
	c.ClickHouse, c.Node, c.Spool = db.DSN(engine.Edge), 9, spool
	c.BatchRows, c.BatchAge, c.LedgerEvery = 20, 5*time.Millisecond, time.Millisecond
	in, err := ingest.New(c, places, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	in.Start()
	e := newEdge(t)
	var clock atomic.Pointer[time.Time]
	e.server.now = func() time.Time { return *clock.Load() }
	e.server.sink = in
	e.server.RaiseClock(in.HighWater())
	const always = linkAbsent // a link without a beginning: others have not begun in 1970
	if err := e.builder.SetLink(LinkRow{ID: always, Key: "always", Brand: 1, Campaign: 1, Influencer: 1, Domain: 1, KeyID: 1, Enabled: true}); err != nil {
		t.Fatal(err)
	}
	e.server.SetTable(e.builder.Table())
	conn := e.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, at := range clocks {
		clock.Store(&at)
		if look {
			now := time.Now()
			e.server.setClock(at, now, now.Add(-time.Hour))
		}
		for range each {
			write(t, conn, wire("GET /"+glowCode(always)+" HTTP/1.1\nHost: go.glow.test"))
			got := read(t, r, "GET")
			id := clickIDOf.FindStringSubmatch(got.header.Get("Location"))
			if id == nil {
				t.Fatalf("at %v it answers %q", at, got.raw)
			}
			given[id[1]] = true
			taps++
		}
		time.Sleep(50 * time.Millisecond) // some batches
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Error(err)
	}
	return taps
}

// The machine's clock is broken and ClickHouse's is not: clicks have the time that it is, so that ClickHouse keeps their rows and
// reports find them, though an earlier process without a look gave out ids of 2093.
func TestFaultClockPutRight(t *testing.T) {
	now := time.Now()
	for name, clock := range map[string]time.Time{
		"1970": time.Unix(10, 0), "a click id's beginning": time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC),
		"beyond the rows' time": now.AddDate(0, 0, -401), "a week early": now.AddDate(0, 0, 7), "2106": time.Date(2106, 2, 8, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			db := chtest.New(t)
			spool := filepath.Join(t.TempDir(), "spool")
			given := map[string]bool{}
			broken := tapUnderClocks(t, db, spool, []time.Time{time.Date(2106, 2, 8, 0, 0, 0, 0, time.UTC)}, given, false)
			taps := tapUnderClocks(t, db, spool, []time.Time{clock}, given, true)
			taps += tapUnderClocks(t, db, spool, []time.Time{clock}, given, true)
			var dated uint64
			if err := db.Conn.QueryRow(t.Context(), "SELECT count() FROM clicks WHERE abs(dateDiff('second', ts, now64(3))) < 600").Scan(&dated); err != nil {
				t.Fatal(err)
			}
			if int(dated) != taps || len(given) != broken+taps {
				t.Errorf("%d of %d clicks have the time that it is; %d ids of %d", dated, taps, len(given), broken+taps)
			}
		})
	}
}

var clickIDOf = regexp.MustCompile(`[?&][a-z_]+=([A-Za-z0-9_-]{22})(?:&|#|$)`)
