package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// hosts are a writer for each address of a DSN, for questions that every server can answer for itself only.
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
	named := map[string]map[string]bool{} // by the path in the keeper that replicas of one table share
	there := map[string]int{}
	for _, w := range all {
		replicas, err := w.replicas(ctx)
		if err != nil {
			return fmt.Errorf("replicas of %s at %s: %w", w.database, w.hosts[0], err)
		}
		for _, r := range replicas {
			if r.total == 0 {
				return fmt.Errorf("%w: replica %s of %s at %s cannot tell how many others there are: look after it and its keeper",
					ErrSpool, r.name, w.database, w.hosts[0])
			}
			if named[r.path] == nil {
				named[r.path] = map[string]bool{}
			}
			named[r.path][r.name] = true
			there[r.path] = max(there[r.path], r.total)
		}
	}
	for path, total := range there {
		if total > len(named[path]) {
			return fmt.Errorf("%w: the tables of %s have %d replicas and the DSN names %d of them: what the others hold would be delivered "+
				"again; name every host", ErrSpool, all[0].database, total, len(named[path]))
		}
	}
	return nil
}

// A replica is what one host has of a replicated table.
type replica struct {
	path, name string
	total      int // replicas of the table, this one included; 0 while its keeper cannot be asked or does not know it
}

// replicas are those of the raw tables; none where they are not replicated.
func (w *writer) replicas(ctx context.Context) (all []replica, err error) {
	paths, names, totals := new(proto.ColStr).Array(), new(proto.ColStr).Array(), new(proto.ColUInt32).Array()
	err = w.do(ctx, ch.Query{
		Body: fmt.Sprintf("SELECT groupArray(zookeeper_path), groupArray(replica_name), "+
			"groupArray(if(zookeeper_exception = '', total_replicas, 0)) "+
			"FROM system.replicas WHERE database = currentDatabase() AND table IN ('%s', '%s')", clicksDir, conversionsDir),
		Result: proto.Results{{Name: "", Data: paths}, {Name: "", Data: names}, {Name: "", Data: totals}},
	})
	if err != nil {
		return nil, err
	}
	name, total := names.Row(0), totals.Row(0)
	for i, path := range paths.Row(0) {
		all = append(all, replica{path: path, name: name[i], total: int(total[i])})
	}
	return all, nil
}
