package lease_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"carom/control/lease"
	"carom/ingest/chtest"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// newLease is one control process's lease.
func newLease(db *chtest.DB, lasts time.Duration) *lease.Lease {
	cfg := lease.Default()
	cfg.Conn, cfg.Address, cfg.Lasts, cfg.Settle = db.Conn, "http://127.0.0.1:9090", lasts, 300*time.Millisecond
	return lease.New(cfg)
}

// TestOneOfManyClaimantsWins is the property that all else stands on: of any number that claim a term at once one gets it.
func TestOneOfManyClaimantsWins(t *testing.T) {
	rounds, claimants := 25, 8
	if os.Getenv("CAROM_FAULTS") == "long" {
		rounds = 500
	}
	db := chtest.New(t)
	for round := range rounds {
		var leases []*lease.Lease
		var done sync.WaitGroup
		start := make(chan struct{})
		for range claimants {
			l := newLease(db, time.Minute)
			leases = append(leases, l)
			done.Go(func() {
				<-start
				if err := l.Acquire(t.Context(), false); err != nil && !errors.Is(err, lease.ErrHeld) {
					t.Error(err)
				}
			})
		}
		close(start)
		done.Wait()
		var winner *lease.Lease
		for _, l := range leases {
			switch err := l.Check(t.Context()); {
			case err == nil && winner == nil:
				winner = l
			case err == nil:
				t.Fatalf("round %d: two hold the lease", round)
			case !errors.Is(err, lease.ErrLost):
				t.Fatal(err)
			}
		}
		if winner == nil {
			t.Fatalf("round %d: nobody holds the lease", round)
		}
		var rows uint64
		if err := db.Conn.QueryRow(t.Context(), "SELECT count() FROM control_lease WHERE term = ?", winner.Newest().Number).Scan(&rows); err != nil || rows != 1 {
			t.Fatalf("round %d: %d rows of one term, %v", round, rows, err)
		}
		if err := winner.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhoMayClaim(t *testing.T) {
	const lasts = 500 * time.Millisecond
	for _, c := range []struct {
		why   string
		first func(t *testing.T, holder *lease.Lease)
		force bool
		want  error // of the second's first claim
	}{
		{"nobody claims what is held", func(*testing.T, *lease.Lease) {}, false, lease.ErrHeld},
		{"but for one who does so by hand", func(*testing.T, *lease.Lease) {}, true, nil},
		{"what was given back is free", func(t *testing.T, holder *lease.Lease) {
			if err := holder.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, false, nil},
	} {
		t.Run(c.why, func(t *testing.T) {
			db := chtest.New(t)
			first, second := newLease(db, lasts), newLease(db, lasts)
			if err := first.Acquire(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			c.first(t, first)
			if err := second.Acquire(t.Context(), c.force); !errors.Is(err, c.want) {
				t.Errorf("claim: %v, want %v", err, c.want)
			}
		})
	}
}

// TestSilenceIsWaitedOut: one that renews keeps the lease, one that is silent loses it, and learns of it.
func TestSilenceIsWaitedOut(t *testing.T) {
	const lasts = time.Second
	db := chtest.New(t)
	first, second := newLease(db, lasts), newLease(db, lasts)
	if err := first.Acquire(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if err := first.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := second.Acquire(t.Context(), false); !errors.Is(err, lease.ErrHeld) {
			t.Fatalf("claim beside a holder that renews: %v", err)
		}
		time.Sleep(lasts / 20)
	}
	if !first.Fresh() || second.Fresh() {
		t.Errorf("the holder is fresh: %v, the other one: %v", first.Fresh(), second.Fresh())
	}
	silent := time.Now()
	for errors.Is(second.Acquire(t.Context(), false), lease.ErrHeld) {
		time.Sleep(10 * time.Millisecond)
	}
	if waited := time.Since(silent); waited < lasts*9/10 {
		t.Errorf("the lease of %v was taken after a silence of %v", lasts, waited)
	}
	if err := first.Renew(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("the former holder renews: %v", err)
	}
	if err := first.Release(t.Context()); err != nil || second.Check(t.Context()) != nil {
		t.Errorf("the former holder gives back what is not its own: %v", err)
	}
}

// TestLateRowsAreRefused stops a writer at each place where it could be stopped: once the lease is another's, its rows are not
// stored.
func TestLateRowsAreRefused(t *testing.T) {
	insert := func(ctx context.Context, t *testing.T, db *chtest.DB, l *lease.Lease, pause func(at string)) error {
		pause("before it is announced")
		settings := clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0})
		batch, err := db.Conn.PrepareBatch(clickhouse.Context(lease.Announce(ctx), settings), "INSERT INTO posts (link_id, version)")
		if err != nil {
			t.Fatal(err)
		}
		defer batch.Close()
		if err := batch.Append(uint32(1), uint64(1)); err != nil {
			t.Fatal(err)
		}
		pause("before the lease is asked for")
		if err := l.Check(ctx); err != nil {
			return err
		}
		pause("before the rows are sent")
		return batch.Send()
	}
	for _, at := range []string{"before it is announced", "before the lease is asked for", "before the rows are sent", ""} {
		t.Run("stopped "+at, func(t *testing.T) {
			db := chtest.New(t)
			first, second := newLease(db, time.Minute), newLease(db, time.Minute)
			if err := first.Acquire(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			err := insert(t.Context(), t, db, first, func(here string) {
				if here != at {
					return
				}
				if err := second.Acquire(t.Context(), true); err != nil {
					t.Fatal(err)
				}
			})
			var stored uint64
			if err := db.Conn.QueryRow(t.Context(), "SELECT count() FROM posts").Scan(&stored); err != nil {
				t.Fatal(err)
			}
			if at == "" {
				if err != nil || stored != 1 {
					t.Errorf("one that is not stopped: %d rows, %v: the test tests nothing", stored, err)
				}
				return
			}
			if err == nil || stored != 0 {
				t.Errorf("%d rows stored, error %v", stored, err)
			}
		})
	}
}
