package ingest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"pgregory.net/rapid"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/ring"
)

// smallSpool is a spool that is opened soon.
func smallSpool(dir string) func(*Config) {
	return func(c *Config) {
		c.Spool, c.Ring.Lanes, c.Ring.SegmentBytes = dir, 1, 1<<20
		c.ConversionRing.SegmentBytes, c.ConversionRing.BudgetBytes = 64<<10, 192<<10
	}
}

// killedAt has a node deliver clicks from…to-1 as one batch until its n-th insert is about to be sent, and returns a copy of its
// spool at that moment, as a kill would leave it; "" when there were fewer inserts. The node does nothing more.
func killedAt(t *testing.T, db *chtest.DB, n, from, to int) (copied string) {
	t.Helper()
	dir := t.TempDir()
	in := newTestIngest(t, db.DSN(engine.Edge), smallSpool(dir))
	reached, end, inserts := make(chan struct{}), make(chan struct{}), 0
	in.clickFlusher.token = func(p *part) string {
		if inserts++; inserts == n {
			close(reached)
			<-end
		}
		return p.token()
	}
	put(t, in, from, to)
	in.Start()
	for {
		select {
		case <-reached:
			t.Cleanup(func() {
				in.clickFlusher.abandon()
				close(end)
				abandonIngest(t, in)
			})
			for copied == "" { // again when a file was renamed meanwhile
				attempt := filepath.Join(t.TempDir(), "copy")
				if exec.CommandContext(t.Context(), "cp", "-a", dir, attempt).Run() == nil {
					copied = attempt
				}
			}
			if err := (&spool{dir: copied}).adopt(); err != nil {
				t.Fatal(err)
			}
			return copied
		case <-time.After(10 * time.Millisecond):
			if in.clickFlusher.metrics.accepted.Load() == uint64(to-from) && in.clickFlusher.metrics.waiting.Load() == 0 {
				stopIngest(t, in)
				return ""
			}
		}
	}
}

// A node that is killed before any of the inserts of a batch that is cut up, and started again, stores each good row once and
// sets the bad ones aside once: also when the kill came before the line in the quarantine, and when ClickHouse takes
// the rows by then.
func TestKilledWhileCuttingUp(t *testing.T) {
	rows, bad := 5, 1
	if faults.Long() {
		rows, bad = 12, 2
	}
	for _, test := range []struct {
		name     string
		unnoted  bool
		forgiven bool
	}{
		{name: "the rows are still refused"},
		{name: "before the quarantine was written", unnoted: true},
		{name: "the rows are not refused any more", forgiven: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := chtest.New(t)
			refused, put, kills := uint64(0), 0, 0
			for n := 1; ; n++ {
				refuse(t, db, fmt.Sprintf("visitor %% %d BETWEEN 3 AND %d", rows, 2+bad))
				first := n * rows
				dir := killedAt(t, db, n, first, first+rows)
				put += rows
				if dir == "" {
					refused += uint64(bad)
					break
				}
				kills++
				if test.unnoted {
					if err := os.RemoveAll(filepath.Join(dir, clicksDir, quarantineFile)); err != nil {
						t.Fatal(err)
					}
				}
				if test.forgiven {
					mend(t, db)
				}
				in, _ := testIngest(t, db.DSN(engine.Edge), smallSpool(dir))
				stopIngest(t, in)
				aside := quarantined(t, dir)
				if len(aside) != bad && !test.forgiven {
					t.Errorf("killed before insert %d: %d rows in the quarantine, want %d", n, len(aside), bad)
				}
				refused += uint64(len(aside))
				mend(t, db)
			}
			mend(t, db)
			for _, q := range []string{"SELECT count() FROM clicks", "SELECT uniqExact(click_id) FROM clicks"} {
				if n := count(t, db, q); n != uint64(put)-refused {
					t.Errorf("%s = %d, want %d put less %d set aside", q, n, put, refused)
				}
			}
			checkRollups(t, db, uint64(put)-refused)
			checkLedger(t, db, uint64(put), refused)
			if kills < 5 {
				t.Errorf("only %d kills", kills)
			}
		})
	}
}

// frozenClicks is a frozen block of n different clicks.
func frozenClicks(t testing.TB, n int) *block {
	t.Helper()
	agents, err := NewAgents(agentCache)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ring.New(ring.Config{Lanes: 1, SegmentBytes: 1 << 20, BudgetBytes: 3 << 20})
	if err != nil {
		t.Fatal(err)
	}
	p := newPart(newClickTable(Default(), noPlaces(t), agents, newFlushMetrics(clicksDir)))
	now := time.Now()
	p.begin(weekOf(now.UnixMilli()))
	for i := range n {
		testClick(i, now).Put(r, 0)
	}
	r.Read(n, func(record []byte) {
		if err := p.append(record, now.UnixMilli()); err != nil {
			t.Fatal(err)
		}
	})
	whole, err := p.rows.data().freeze(new(proto.Buffer), "b-0", nil)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// Any slice of a slice is the slice of the whole, and its values are those of the rows.
func TestSlice(t *testing.T) {
	whole := frozenClicks(t, 600)
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, whole.rows-1).Draw(t, "from")
		to := rapid.IntRange(from+1, whole.rows).Draw(t, "to")
		left := rapid.IntRange(0, from).Draw(t, "left")
		right := rapid.IntRange(to, whole.rows).Draw(t, "right")
		direct, err := whole.slice(from, to, "b-2")
		if err != nil {
			t.Fatal(err)
		}
		around, err := whole.slice(left, right, "b-1")
		if err != nil {
			t.Fatal(err)
		}
		again, err := around.slice(from-left, to-left, "b-2")
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range direct.columns {
			if !bytes.Equal(c.Data.(frozenColumn).bytes, again.columns[i].Data.(frozenColumn).bytes) {
				t.Fatalf("column %s depends on what it was cut from", c.Name)
			}
			if c.Data.Rows() != to-from {
				t.Fatalf("column %s has %d rows, want %d", c.Name, c.Data.Rows(), to-from)
			}
		}
		one, err := direct.slice(0, 1, "b-3")
		if err != nil {
			t.Fatal(err)
		}
		row, err := one.row()
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(from + 1); row["visitor"] != want || row["utm_content"] != fmt.Sprintf("c%d", from%5) {
			t.Fatalf("row %d: %v", from, row)
		}
	})
}
