package ingest

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// twoHosts are two servers and a DSN that names both, of a user.
func twoHosts(t *testing.T, user string) (first, second *chtest.DB, dsn string) {
	t.Helper()
	cfg := chtest.Config(t)
	one := chtest.Start(t, cfg)
	cfg = chtest.Config(t)
	cfg.Users = one.Users()
	two := chtest.Start(t, cfg)
	return chtest.Use(t, one), chtest.Use(t, two), strings.Replace(one.DSN(user), one.Addr(), one.Addr()+","+two.Addr(), 1)
}

// Of a spool that forgot what it sent, one host of a DSN holds some clicks, another holds others and still runs an insert: that is waited
// for, and delivered is what neither holds. A host that does not answer may hold anything.
func TestRescueAsksEveryHost(t *testing.T) {
	first, second, dsn := twoHosts(t, engine.Admin)
	one, two := strings.Replace(dsn, ","+second.Addr, "", 1), strings.Replace(dsn, first.Addr+",", "", 1)
	at := time.Now()
	putAt := func(in *Ingest, from, to int) {
		for n := from; n < to; n++ {
			if !in.PutClick(0, testClick(n, at)) {
				t.Fatalf("click %d was refused", n)
			}
		}
	}
	dir := filepath.Join(t.TempDir(), "spool")
	proxy := faults.NewProxy(t, first.Addr, "clicks")
	proxy.LoseAnswers(true)
	in, _ := testIngest(t, strings.Replace(one, first.Addr, proxy.Addr, 1), spoolIn(dir))
	putAt(in, 0, 100)
	faults.Await(t, "an answer to be lost", func() bool { return proxy.Lost() > 0 })
	putAt(in, 100, 150)
	abandonIngest(t, in)
	in, _ = testIngest(t, two, func(*Config) {})
	putAt(in, 100, 125)
	stopIngest(t, in)
	damageStates(t, dir)

	if _, err := rescueSpool(t.Context(), t, strings.Replace(dsn, second.Addr, "127.0.0.1:1", 1), dir, false); !errors.Is(err, errConnect) ||
		!strings.Contains(err.Error(), "every host of the DSN has to answer") {
		t.Errorf("with a host away: %v", err)
	}
	const inserts = "SELECT count() FROM system.processes WHERE query_kind = 'Insert'"
	ended := make(chan error, 1)
	go func() {
		ended <- second.Conn.Exec(t.Context(), "INSERT INTO FUNCTION null('x UInt8') SELECT sleepEachRow(1) FROM numbers(2) SETTINGS max_block_size = 1")
	}()
	faults.Await(t, "an insert to run", func() bool { return count(t, second, inserts) > 0 })
	r, err := rescueSpool(t.Context(), t, dsn, dir, false)
	if err != nil || r.Held != 125 || r.Missing != 25 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := count(t, second, inserts); n > 0 {
		t.Errorf("%d inserts still run", n)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for host, want := range map[*chtest.DB]uint64{first: 125, second: 25} {
		if n := count(t, host, "SELECT count() FROM clicks"); n != want {
			t.Errorf("a host holds %d clicks, want %d", n, want)
		}
	}
}
