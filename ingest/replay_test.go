package ingest

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
)

// replaySpool replays as the command does.
func replaySpool(ctx context.Context, t *testing.T, dsn, dir string, adopt bool) (last ReplayProgress, err error) {
	t.Helper()
	c := Default()
	c.ClickHouse, c.Spool, c.BatchRows = dsn, dir, 300
	err = Replay(ctx, c, adopt, noPlaces(t), func(p ReplayProgress) { last = p }, slog.New(slog.NewTextHandler(t.Output(), nil)))
	return last, err
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// A killed node's spool is delivered by a replay that is itself interrupted and repeated: each click once. Copies of it are
// refused, as long as nobody adopts them and, where the original was delivered, even then.
func TestReplay(t *testing.T) {
	db := chtest.New(t)
	dir, told := killedSpool(t, db)
	idle := dir + ".copy"
	copyDir(t, dir, idle)
	dsn := db.DSN(engine.Edge)

	if _, err := replaySpool(t.Context(), t, unreachable, dir, false); !errors.Is(err, errConnect) {
		t.Errorf("without ClickHouse: %v", err)
	}
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.LoseAnswers(true)
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if p, err := replaySpool(short, t, strings.Replace(dsn, db.Addr, proxy.Addr, 1), dir, false); !errors.Is(err, context.DeadlineExceeded) || p.Left == 0 {
		t.Errorf("interrupted while answers get lost: %v, %+v", err, p)
	}
	waiting := inspected(t, dir).Waiting()
	if p, err := replaySpool(t.Context(), t, dsn, dir, false); err != nil || p.Left != 0 || p.Delivered != waiting {
		t.Errorf("replay: %v, %+v of %d", err, p, waiting)
	}
	checkOnce(t, db, told)
	after := inspected(t, dir)
	if a := after.Kinds[0].Account; after.Waiting() != 0 || after.Use != SpoolClosed || a.Waiting != 0 || a.Stored != count(t, db, "SELECT count() FROM clicks") {
		t.Errorf("after the replay: %+v", after.Kinds[0])
	}
	if p, err := replaySpool(t.Context(), t, dsn, dir, false); err != nil || p != (ReplayProgress{}) {
		t.Errorf("a second replay: %v, %+v", err, p)
	}

	if _, err := replaySpool(t.Context(), t, dsn, idle, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "copying") {
		t.Errorf("a copy: %v", err)
	}
	_, err := replaySpool(t.Context(), t, dsn, idle, true)
	if !errors.Is(err, errCopyDelivered) || !errors.Is(err, ErrSpool) {
		t.Errorf("an adopted copy of what was delivered: %v", err)
	}
	checkOnce(t, db, told)
}

// A node whose spool was copied, and the copy delivered, sends nothing of it and says so.
func TestNodeAfterItsCopyWasDelivered(t *testing.T) {
	db := chtest.New(t)
	dir := filepath.Join(t.TempDir(), "spool")
	in := newTestIngest(t, unreachable, spoolIn(dir))
	in.Start()
	all := put(t, in, 0, 50)
	abandonIngest(t, in)
	copyDir(t, dir, dir+".copy")
	if p, err := replaySpool(t.Context(), t, db.DSN(engine.Edge), dir+".copy", true); err != nil || p.Delivered != 50 {
		t.Fatalf("adopted copy: %v, %+v", err, p)
	}
	in, reg := testIngest(t, db.DSN(engine.Edge), spoolIn(dir))
	faults.Await(t, "the trouble to be told", func() bool { return metrictest.Sum(t, reg, "carom_flush_errors_total", "kind", "copy") > 0 })
	abandonIngest(t, in)
	checkOnce(t, db, all)
}

// Of a damaged spool the good records are delivered and the lost ones counted, once; the file is kept aside.
func TestReplayDamaged(t *testing.T) {
	db := chtest.New(t)
	dir := t.TempDir()
	in := newTestIngest(t, unreachable, func(c *Config) { c.Spool, c.Ring.Lanes = dir, 1 })
	in.Start()
	all := put(t, in, 0, 100)
	abandonIngest(t, in)
	segment := filepath.Join(dir, clicksDir, "0-00000000.seg")
	flipByte(t, segment, 64+20) // of the first click
	p, err := replaySpool(t.Context(), t, db.DSN(engine.Edge), dir, false)
	if err != nil || p.Left != 0 || p.Delivered != 100 {
		t.Errorf("%v, %+v", err, p)
	}
	if found := db.Find(t, clickIDs(all)); !found.Exact(0) || found.Rows != 99 || found.Dropped != 1 {
		t.Errorf("%v, want 99 rows and one click counted as dropped", found)
	}
	for range 2 {
		r := inspected(t, dir)
		if k := r.Kinds[0]; r.Waiting() != 0 || k.Account.Dropped["damaged"] != 1 || k.Account.Accepted != 100 || len(k.Aside) != 1 {
			t.Errorf("%+v, %+v", k, k.Account)
		}
		if _, err := replaySpool(t.Context(), t, db.DSN(engine.Edge), dir, false); err != nil {
			t.Error(err)
		}
	}
	if err := (&state{}).save(filepath.Dir(segment), nil); err != nil {
		t.Fatal(err)
	}
	flipByte(t, filepath.Join(filepath.Dir(segment), stateFile), 33)
	if _, err := replaySpool(t.Context(), t, db.DSN(engine.Edge), dir, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "put it back") {
		t.Errorf("without a state: %v", err)
	}
}

// A spool in use is left to its node.
func TestReplayInUse(t *testing.T) {
	dir := t.TempDir()
	in := newTestIngest(t, unreachable, spoolIn(dir))
	in.Start()
	if _, err := replaySpool(t.Context(), t, unreachable, dir, false); !errors.Is(err, ErrSpool) || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a spool in use: %v", err)
	}
	abandonIngest(t, in)
}

// A spool that cannot be written is inspected all the same; delivering it would have nowhere to note what was sent, which the
// refusal says, with the way out.
func TestSpoolReadOnly(t *testing.T) {
	dir := t.TempDir()
	in := newTestIngest(t, unreachable, spoolIn(dir))
	in.Start()
	put(t, in, 0, 10)
	abandonIngest(t, in)
	faults.ReadOnly(t, dir)
	if r := inspected(t, dir); r.Waiting() != 10 || r.Use != SpoolClosed || len(r.Problems()) > 0 {
		t.Errorf("%+v", r)
	}
	_, err := replaySpool(t.Context(), t, unreachable, dir, false)
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "replay the copy with --adopt-copy") {
		t.Errorf("replay: %v", err)
	}
}
