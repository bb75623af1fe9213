package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// hosts are all addresses of a DSN, each asked for itself: for what one of several servers does not know of the others.
type hosts []*writer

// newHosts makes a writer for each address.
func newHosts(dsn string, timeout time.Duration, compress bool) (hosts, error) {
	first, err := newWriter(dsn, timeout, compress)
	if err != nil {
		return nil, err
	}
	var all hosts
	for _, address := range first.hosts {
		one := *first
		one.hosts = []string{address}
		all = append(all, &one)
	}
	return all, nil
}

func (all hosts) close() {
	for _, w := range all {
		w.close()
	}
}

// insertsOver returns once every insert into the database has ended that runs now on any host: what a dead process sent is stored then,
// or never will be. It fails where a host does not answer, or where the tables have replicas that are none of the hosts.
func (all hosts) insertsOver(ctx context.Context) error {
	for _, w := range all {
		err := w.insertsOver(ctx)
		if err != nil && troubleOf(err) == troubleDenied {
			return fmt.Errorf("wait for inserts that run in %s: %w; looking records up takes the rights of carom_admin", w.database, err)
		}
		if err != nil {
			return fmt.Errorf("wait for inserts that run in %s at %s: %w; every host of the DSN has to answer: leave out one only if it is gone for "+
				"good", w.database, w.hosts[0], err)
		}
	}
	return all.areReplicas(ctx)
}

// insertsOver is that of one host.
func (w *writer) insertsOver(ctx context.Context) error {
	now, err := w.number(ctx, "SELECT toUnixTimestamp64Milli(now64(3))")
	for err == nil {
		var running int64
		running, err = w.number(ctx, fmt.Sprintf("SELECT toInt64(count()) FROM system.processes WHERE query_kind = 'Insert' "+
			"AND current_database = currentDatabase() AND toUnixTimestamp64Milli(now64(3)) - toInt64(elapsed * 1000) <= %d", now))
		if err != nil || running == 0 {
			break
		}
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(rescuePause):
		}
	}
	return err
}

// areReplicas fails with ErrSpool unless the hosts are all the replicas of the raw tables, where these have any: what another one works
// at, or holds and has not passed on, would be taken for missing.
func (all hosts) areReplicas(ctx context.Context) error {
	asked, there := map[string]bool{}, uint32(0)
	for _, w := range all {
		var name proto.ColStr
		var replicas proto.ColUInt32
		err := w.do(ctx, ch.Query{
			Body: fmt.Sprintf("SELECT any(replica_name), max(total_replicas) FROM system.replicas WHERE database = currentDatabase() "+
				"AND table IN ('%s', '%s')", clicksDir, conversionsDir),
			Result: proto.Results{{Name: "", Data: &name}, {Name: "", Data: &replicas}},
		})
		if err != nil {
			return fmt.Errorf("replicas of %s at %s: %w", w.database, w.hosts[0], err)
		}
		asked[name.Row(0)], there = true, max(there, replicas.Row(0))
	}
	if int(there) > len(asked) {
		return fmt.Errorf("%w: the tables of %s have %d replicas and the DSN names %d of them: what the others hold would be delivered again; "+
			"name every host", ErrSpool, all[0].database, there, len(asked))
	}
	return nil
}
