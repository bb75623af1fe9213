package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"carom/deploy/engine"
	"carom/ingest/faults"
)

// A cut is when the power went, and when the node started again: until then clients may read answers from before.
type cut struct{ at, over time.Time }

// age is how long before the cut that hit it a click was answered.
func age(answered time.Time, cuts []cut) time.Duration {
	for _, c := range cuts {
		if answered.Before(c.over) {
			return max(0, c.at.Sub(answered))
		}
	}
	return forever // no cut has hit it
}

const forever = time.Duration(math.MaxInt64)

// syncInterval is the default of serve.
const syncInterval = 200 * time.Millisecond

// slack is what the sync itself and a busy machine may add to the interval.
const slack = 800 * time.Millisecond

// The power goes while the node works, and the node starts again on what the disk had by then. What was answered within the sync
// interval before may be lost; with interval 0, nothing. Every other cut hits a node that only spools, as ClickHouse is
// frozen; the others hit one that delivers.
func TestFaultPowerCut(t *testing.T) {
	for _, interval := range []time.Duration{syncInterval, 0} {
		t.Run("sync-interval="+interval.String(), func(t *testing.T) {
			t.Parallel()
			random := faults.Random(t)
			s := newSite(t, "--sync-interval="+interval.String())
			disk := faults.NewDisk(t, 64<<20)
			s.spool = filepath.Join(disk.Dir, "spool")
			s.start()
			s.people()
			var cuts []cut
			for round := range faults.Rounds(2, 100) {
				spooling := round%2 == 0
				if spooling {
					s.clickhouse.Freeze()
				}
				time.Sleep(syncInterval + slack + time.Duration(300+random.IntN(700))*time.Millisecond)
				at := time.Now()
				s.node.kill() // writes nothing: what it had not synced is in memory only
				disk = disk.PowerCut(t)
				if spooling {
					s.clickhouse.Thaw()
				}
				s.spool = filepath.Join(disk.Dir, "spool")
				cuts = append(cuts, cut{at, time.Now()})
				s.start()
				s.visitors.goOn(t, 100)
			}
			found := s.end()
			if found.Doubled > 0 || len(found.Disagreements) > 0 || found.Others > s.visitors.unanswered {
				t.Errorf("%v", found)
			}
			oldest := time.Duration(0)
			for _, id := range found.Missing {
				oldest = max(oldest, age(s.visitors.given[id], cuts))
			}
			t.Logf("%d cuts; of the %d lost clicks the oldest had been answered %v before", len(cuts), len(found.Missing), oldest)
			if interval > 0 && oldest > interval+slack || interval == 0 && len(found.Missing) > 0 {
				t.Errorf("%d clicks are lost, the oldest answered %v before the power", len(found.Missing), oldest)
			}
		})
	}
}

// The disk is full while ClickHouse is away: redirects go on, what finds no room is counted, and the node heals when
// ClickHouse is back.
func TestFaultDiskFull(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.spool = filepath.Join(faults.Tmpfs(t, 4<<20, faults.AnyFiles), "spool")
	s.start()
	if s.metric("carom_spool_degraded") != 0 {
		t.Error("the spool does not fit the disk from the beginning")
	}
	s.people()
	s.bounded("with room on the disk")
	s.clickhouse.Leave()
	dropped := func() float64 { return s.metric(`carom_clicks_dropped_total{reason="buffer_full"}`) }
	faults.Await(t, "clicks are dropped", func() bool { return dropped() > 500 })
	s.visitors.goOn(t, 500)
	s.bounded("with a full disk")
	s.clickhouse.Return()
	faults.Await(t, "clicks are dropped no more", func() bool {
		before := dropped()
		s.visitors.goOn(t, 200)
		return dropped() == before
	})
	if found := s.end(); found.Dropped < 500 || !found.Exact(s.visitors.unanswered) {
		t.Errorf("not each click once or counted: %v", found)
	}
}

// The spool's file system becomes read-only: redirects go on, what finds no room is counted, and nothing that cannot be
// accounted for is sent. On the repaired disk the next node delivers what had reached it, once.
func TestFaultDiskReadOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--drain-timeout=1s")
	disk := faults.NewDisk(t, 64<<20)
	s.spool = filepath.Join(disk.Dir, "spool")
	s.start()
	s.people()
	s.visitors.goOn(t, 1000)
	broken := time.Now()
	disk.Break(t)
	dropped := func() float64 { return s.metric(`carom_clicks_dropped_total{reason="buffer_full"}`) }
	faults.Await(t, "clicks are dropped", func() bool { return dropped() > 500 })
	s.visitors.goOn(t, 500)
	s.bounded("with a read-only disk")
	s.visitors.leave()
	time.Sleep(100 * time.Millisecond) // the flusher looks at the ring every 5 ms
	kept := s.metric("carom_clicks_stored_total") + s.metric("carom_clicks_waiting")
	if taps := s.visitors.taps(); float64(taps) != kept+dropped() {
		t.Errorf("of %d clicks %v are stored or wait and %v are counted as dropped", taps, kept, dropped())
	}
	if s.metric(`carom_spool_failing{step="state",table="clicks"}`) != 1 {
		t.Error("carom_spool_failing does not show it")
	}
	s.node.terminate()

	s.spool = filepath.Join(disk.Repair(t).Dir, "spool")
	s.start()
	found := s.end()
	if found.Doubled > 0 || len(found.Disagreements) > 0 {
		t.Errorf("%v", found)
	}
	for _, id := range found.Missing {
		if at := s.visitors.given[id]; at.Before(broken.Add(-syncInterval - slack)) {
			t.Fatalf("a click is missing that was answered %v before the disk broke", broken.Sub(at))
		}
	}
}

// Bytes of the spool change while no node runs: what cannot be read is counted exactly, everything else is stored, and the
// damaged files are kept.
func TestFaultSpoolDamaged(t *testing.T) {
	t.Parallel()
	random := faults.Random(t)
	s := newSite(t)
	s.start()
	s.people()
	s.clickhouse.Leave()
	s.visitors.goOn(t, 3000)
	s.node.kill()
	segments, err := filepath.Glob(filepath.Join(s.spool, "clicks", "*.seg"))
	if err != nil || len(segments) < 6 {
		t.Fatalf("segments %v, %v", segments, err)
	}
	damaged := 0
	for i, path := range segments {
		if i%3 != 1 { // its neighbours survive
			continue
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			var b [1]byte
			at := 64 + random.Int64N(32<<10)
			if _, err := f.ReadAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1 << random.IntN(8)
			if _, err := f.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		damaged++
	}
	s.clickhouse.Return()
	s.start()
	if found := s.end(); found.Dropped == 0 || !found.Exact(s.visitors.unanswered) {
		t.Errorf("not each click once or counted: %v", found)
	}
	kept, err := filepath.Glob(filepath.Join(s.spool, "clicks", "*.damaged"))
	if err != nil || len(kept) == 0 || len(kept) > damaged {
		t.Errorf("%d of %d damaged segments are kept aside, %v", len(kept), damaged, err)
	}
}

// The state file is damaged while a batch is being sent that the node before had frozen: the node goes on in memory, and what the
// spool holds is delivered by its ids, beside it.
func TestFaultStateDamaged(t *testing.T) {
	t.Parallel()
	s := newSite(t, "--drain-timeout=1s")
	s.start()
	s.people()
	s.alter("ALTER TABLE clicks MODIFY SETTING table_readonly = 1")
	state := filepath.Join(s.spool, "clicks", "state")
	for range 2 {
		s.visitors.goOn(t, 1000)
		s.node.terminate() // a kill might take the embedded engine along
		s.start()
	}
	s.node.terminate()
	content, err := os.ReadFile(state)
	if err != nil || !bytes.Contains(content, []byte(`"parts":[`)) {
		t.Fatalf("a state of %d bytes holds no batch, %v", len(content), err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(state, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s.alter("ALTER TABLE clicks RESET SETTING table_readonly")
	s.start()
	if s.metric("carom_spool_degraded") != 1 {
		t.Error("carom_spool_degraded does not show it")
	}
	s.visitors.goOn(t, 500)
	s.bounded("with a damaged state")
	if got := carom("spool", "replay", "--by-id", s.spool, "--clickhouse", s.clickhouse.DSN(engine.Admin)); got.code != exitDone {
		t.Errorf("by id: %d\n%s%s", got.code, got.out, got.errOut)
	}
	s.endExact()
}

// A spool is copied with what waits in it. The copy is refused. Where somebody makes it look like an original, and the original
// has gone on, it is noticed before anything is stored twice: its clicks wait.
func TestFaultSpoolCopied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	s.people()
	s.clickhouse.Leave()
	s.visitors.goOn(t, 500)
	s.node.kill()
	original, copied := s.spool, s.spool+".copy"
	if out, err := exec.Command("cp", "-r", original, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.spool = copied
	refused := launch(t, s.command())
	if code := refused.wait(); code == exitDone || !strings.Contains(refused.errOut.String(), "is a copy") {
		t.Fatalf("a node with a copied spool: exit code %d, %s", code, refused.errOut.String())
	}

	s.clickhouse.Return()
	s.spool = original
	s.start()
	s.visitors.goOn(t, 500)
	if code := s.node.terminate(); code != exitDone {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	delivered := s.visitors.taps()
	adopt(t, filepath.Join(copied, "identity"))
	s.spool = copied
	s.start()
	s.visitors.goOn(t, 500)
	if s.metric(`carom_flush_blocked{kind="copy",table="clicks"}`) != 1 {
		t.Error("carom_flush_blocked does not tell of the copy")
	}
	s.visitors.leave()
	s.node.kill()
	found := s.clickhouse.DB().Find(t, s.visitors.ids())
	if waiting := s.visitors.taps() - delivered; found.Doubled > 0 || len(found.Missing) != waiting {
		t.Errorf("%d clicks were answered, the last %d with the copy: %v", s.visitors.taps(), waiting, found)
	}
}

// adopt makes a copied spool look like an original, which no operator should do while the original is about.
func adopt(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var identity map[string]any
	if err := json.Unmarshal(text, &identity); err != nil {
		t.Fatal(err)
	}
	var file unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &file); err != nil {
		t.Fatal(err)
	}
	identity["inode"], identity["born"] = file.Ino, file.Btime.Sec*1e9+int64(file.Btime.Nsec)
	if text, err = json.Marshal(identity); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
