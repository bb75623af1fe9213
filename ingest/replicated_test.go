package ingest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// replicatedHost is a server whose raw tables, nothing but declared, are this one of several replicas. It knows of the others.
func replicatedHost(t *testing.T, users engine.Users, name string, others ...string) *engine.Engine {
	t.Helper()
	cfg := chtest.Config(t)
	cfg.Users = users
	chtest.Replicated(t, cfg, name)
	e := chtest.Start(t, cfg)
	db := &chtest.DB{Conn: chtest.Open(t, e.DSN(engine.Admin))}
	declare := func(database, replica string) {
		for _, table := range []string{clicksDir, conversionsDir} {
			alter(t, db, fmt.Sprintf("CREATE TABLE %s.%s (n UInt8) ENGINE = ReplicatedMergeTree('/shared/%[2]s', '%[3]s') ORDER BY n",
				database, table, replica))
		}
	}
	declare("carom", name)
	for _, other := range others {
		alter(t, db, "CREATE DATABASE "+other)
		declare(other, other)
	}
	return e
}

// A rescue asks all replicas of the raw tables, or none.
func TestRescueAsksEveryReplica(t *testing.T) {
	users := engine.NewUsers()
	first := replicatedHost(t, users, "first", "second")
	second := replicatedHost(t, users, "second", "first")
	one := first.DSN(engine.Admin)
	both := strings.Replace(one, first.Addr(), first.Addr()+","+second.Addr(), 1)

	dir := filepath.Join(t.TempDir(), "spool")
	in, _ := testIngest(t, unreachable, spoolIn(dir))
	put(t, in, 0, 10)
	abandonIngest(t, in)
	damageStates(t, dir)
	before := contents(t, dir)
	_, err := rescueSpool(t.Context(), t, one, dir, false)
	if !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "have 2 replicas and the DSN names 1 of them") {
		t.Errorf("with one of two replicas: %v", err)
	}
	if after := contents(t, dir); len(after) != len(before) {
		t.Errorf("the refusal has changed the spool: %v became %v", before, after)
	}

	for _, c := range []struct{ dsn, says string }{
		{both, ""},
		{strings.Replace(one, first.Addr(), first.Addr()+","+first.Addr(), 1), "names 1 of them"},
	} {
		all, err := newHosts(c.dsn, time.Minute, false)
		if err != nil {
			t.Fatal(err)
		}
		err = all.areReplicas(t.Context())
		all.close()
		if got := fmt.Sprint(err); c.says == "" && err != nil || !strings.Contains(got, c.says) {
			t.Errorf("hosts %s: %v, want %q", c.dsn[strings.Index(c.dsn, "@"):], err, c.says)
		}
	}
}

// A batch is in doubt when the raw table becomes a replicated one, whose keeper remembers tokens as it likes: the batch is looked up, not
// sent again. The embedded engine lets no replicated table take rows, so that another attempt would never end. A rescue does not believe
// a replica that has lost its keeper's word.
func TestDoubtAtReplicatedTable(t *testing.T) {
	cfg := chtest.Config(t)
	chtest.Replicated(t, cfg, "only")
	server := chtest.Start(t, cfg)
	db := chtest.Use(t, server)
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.LoseAnswers(true)
	dir := t.TempDir()
	dsn := server.DSN(engine.Edge)
	in, _ := testIngest(t, viaProxy(dsn, db.Addr, proxy.Addr), spoolIn(dir))
	all := put(t, in, 0, 50)
	faults.Await(t, "an answer to be lost", func() bool { return proxy.Lost() >= 1 })
	abandonIngest(t, in)
	alter(t, db, "DETACH TABLE clicks SYNC")
	alter(t, db, "ATTACH TABLE clicks AS REPLICATED")

	in, _ = testIngest(t, dsn, spoolIn(dir))
	stopIngest(t, in)
	if n := in.clickFlusher.metrics.waiting.Load(); n > 0 {
		t.Errorf("%d clicks that are stored wait to be sent again", n)
	}
	if n := keepRollups(t, db); n != 1 {
		t.Errorf("%d batches were in doubt, want 1", n)
	}
	checkOnce(t, db, all)

	hosts, err := newHosts(server.DSN(engine.Admin), time.Minute, false)
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.close()
	if err := hosts.areReplicas(t.Context()); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "cannot tell how many others") {
		t.Errorf("a replica that its keeper does not know: %v", err)
	}
	alter(t, db, "SYSTEM RESTORE REPLICA clicks")
	if err := hosts.areReplicas(t.Context()); err != nil {
		t.Errorf("a replica that its keeper knows again: %v", err)
	}
}
