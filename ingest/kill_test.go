package ingest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/geo"
	"carom/ingest/chtest"
)

var long = flag.Bool("long", false, "run the fault tests in their long form")

// The environment of a child of this test binary that puts clicks until it is killed.
const (
	putUntilKilled = "CAROM_INGEST_KILL_DSN"
	killSpool      = "CAROM_INGEST_KILL_SPOOL"
	killFirst      = "CAROM_INGEST_KILL_FIRST" // number of its first click
	killProducers  = 4
	killStride     = 1 << 20 // numbers of one round
)

// killConfig makes many small batches and segments, so that a kill hits every step.
func killConfig(c *Config, spool string) {
	c.Spool = spool
	c.BatchRows, c.BatchAge, c.LedgerEvery = 400, 10*time.Millisecond, 50*time.Millisecond
	c.Ring.Lanes, c.Ring.SegmentBytes, c.Ring.BudgetBytes = 2, 64<<10, 64<<20
}

// putClicksUntilKilled is the child: it tells on standard output the number of each click whose put has returned.
func putClicksUntilKilled() {
	places, err := geo.New(geo.Default())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	c := Default()
	c.ClickHouse, c.Node = os.Getenv(putUntilKilled), 7
	killConfig(&c, os.Getenv(killSpool))
	in, err := New(c, places, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	in.Start()
	first, err := strconv.Atoi(os.Getenv(killFirst))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for p := range killProducers {
		go func() {
			told := make([]byte, 4)
			for n := first + p; ; n += killProducers {
				for !in.PutClick(uint64(p), testClick(n, time.Now())) {
					time.Sleep(time.Millisecond)
				}
				binary.LittleEndian.PutUint32(told, uint32(n))
				_, _ = os.Stdout.Write(told)
				if n%64 < killProducers {
					time.Sleep(2 * time.Millisecond)
				}
			}
		}()
	}
	select {}
}

// killRound runs a child for a while, kills it and returns the clicks it told.
func killRound(t *testing.T, dsn, spool string, first int, life time.Duration) (told []int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), putUntilKilled+"="+dsn, killSpool+"="+spool, killFirst+"="+strconv.Itoa(first))
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(life, func() { _ = child.Process.Kill() })
	defer kill.Stop()
	in := bufio.NewReader(out)
	for {
		var n [4]byte
		if _, err := io.ReadFull(in, n[:]); err != nil {
			break
		}
		told = append(told, int(binary.LittleEndian.Uint32(n[:])))
	}
	_ = child.Wait() // it was killed
	if stderr.Len() > 0 {
		t.Fatalf("child: %s", stderr.String())
	}
	return told
}

// random is a source of accidents that can be had again.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("CAROM_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CAROM_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// checkOnce fails unless each told click is in the raw table once, at most extra others are, every rollup agrees with it, and
// the ledger balances.
func checkOnce(t *testing.T, db *chtest.DB, told []int, extra int) {
	t.Helper()
	rows, err := db.Conn.Query(t.Context(), "SELECT toString(click_id), count() FROM clicks GROUP BY click_id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := map[string]uint64{}
	for rows.Next() {
		var id string
		var n uint64
		if err := rows.Scan(&id, &n); err != nil {
			t.Fatal(err)
		}
		stored[id] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	lost, doubled, total := 0, 0, uint64(0)
	for _, n := range told {
		c := testClick(n, time.Time{})
		if stored[base64.RawURLEncoding.EncodeToString(c.ID[:])] == 0 {
			lost++
		}
	}
	for _, n := range stored {
		total += n
		if n > 1 {
			doubled++
		}
	}
	if lost > 0 || doubled > 0 || len(stored) > len(told)+extra {
		t.Errorf("%d clicks told, %d different ones stored: %d lost, %d doubled", len(told), len(stored), lost, doubled)
	}
	checkRollups(t, db, total)
	var balanced bool
	var accepted, waiting, dropped uint64
	if err := db.Conn.QueryRow(t.Context(),
		"SELECT min(balanced) = 1, toUInt64(sum(accepted)), toUInt64(sum(waiting)), toUInt64(sum(dropped)) FROM report_ledger").
		Scan(&balanced, &accepted, &waiting, &dropped); err != nil {
		t.Fatal(err)
	}
	if !balanced || accepted != total+dropped || waiting != 0 {
		t.Errorf("ledger: accepted %d, waiting %d, dropped %d, balanced %v; %d rows are stored",
			accepted, waiting, dropped, balanced, total)
	}
}

func checkRollups(t *testing.T, db *chtest.DB, total uint64) {
	t.Helper()
	for _, q := range []string{
		"SELECT sum(gross) FROM clicks_by_influencer_daily", "SELECT sum(gross) FROM clicks_by_utm_hourly",
		"SELECT sum(gross) FROM clicks_by_geo_daily", "SELECT sum(gross) FROM clicks_by_device_daily",
		"SELECT sum(rows) FROM clicks_by_batch",
	} {
		if n := count(t, db, q); n != total {
			t.Errorf("%s = %d, the raw table has %d", q, n, total)
		}
	}
}

// drain runs an ingest on the spool until everything is delivered.
func drain(t *testing.T, dsn, spool string) {
	t.Helper()
	in, reg := testIngest(t, dsn, func(c *Config) { killConfig(c, spool) })
	for range 600 {
		if metricValue(t, reg, "carom_clicks_waiting") == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	stopIngest(t, in)
}

// A node killed at random moments while it takes, freezes and sends clicks, again and again on the same spool: each
// click whose put returned is stored once.
func TestNodeKilled(t *testing.T) {
	rounds := 12
	if *long {
		rounds = 1000
	}
	random := random(t)
	server := newRestarted(t)
	dir := t.TempDir()
	var told []int
	for round := range rounds {
		life := time.Duration(30+random.IntN(400)) * time.Millisecond
		told = append(told, killRound(t, server.dsn, dir, round*killStride, life)...)
	}
	drain(t, server.dsn, dir)
	if len(told) < rounds {
		t.Errorf("only %d clicks were put in %d rounds", len(told), rounds)
	}
	t.Logf("%d kills, %d clicks", rounds, len(told))
	checkOnce(t, server.db(), told, rounds*killProducers)
}

// ClickHouse killed at random moments during inserts, on the same data: each click is stored once, and rollups agree.
func TestClickHouseKilled(t *testing.T) {
	rounds := 4
	if *long {
		rounds = 200
	}
	random := random(t)
	server := newRestarted(t)
	in, _ := testIngest(t, server.dsn, func(c *Config) {
		killConfig(c, t.TempDir())
		c.InsertTimeout = 10 * time.Second
	})
	putting, stopPutting := context.WithCancel(t.Context())
	putAll := make(chan []int)
	go func() {
		var put []int
		for n := 0; putting.Err() == nil; n++ {
			if in.PutClick(uint64(n), testClick(n, time.Now())) {
				put = append(put, n)
			}
			if n%20 == 0 {
				time.Sleep(2 * time.Millisecond)
			}
		}
		putAll <- put
	}()
	for range rounds {
		time.Sleep(time.Duration(100+random.IntN(500)) * time.Millisecond)
		server.kill()
	}
	stopPutting()
	put := <-putAll
	stopIngest(t, in)
	t.Logf("%d kills, %d clicks", rounds, len(put))
	checkOnce(t, server.db(), put, 0)
}
