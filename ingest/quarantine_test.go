package ingest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/metric/metrictest"
)

// While the disk of the spool refuses a file, delivery waits and says so; it goes on when the disk is mended. A directory of
// the file's name is a disk that refuses it, also to root.
func TestSpoolRefusesToWrite(t *testing.T) {
	tests := []struct{ file, step string }{
		{stateFile + ".tmp", "state"},
		{splitFile + ".tmp", "state"},
		{quarantineFile, "quarantine"},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			db := chtest.New(t)
			refuse(t, db, "visitor = 5")
			dir := t.TempDir()
			reg := prometheus.NewRegistry()
			in, err := tryIngest(t, db.DSN(engine.Edge), reg, smallSpool(dir))
			if err != nil {
				t.Fatal(err)
			}
			obstacle := filepath.Join(dir, clicksDir, test.file)
			if err := os.Mkdir(obstacle, 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, in, 0, 20)
			in.Start()
			faults.Await(t, "the spool's failure to show", func() bool { return failing(t, reg, test.step) })
			if n := metrictest.Sum(t, reg, "carom_flush_blocked", "kind", "spool"); n != 1 {
				t.Errorf("carom_flush_blocked{kind=\"spool\"} = %v", n)
			}
			if err := os.Remove(obstacle); err != nil {
				t.Fatal(err)
			}
			waitDelivered(t, reg, 20)
			stopIngest(t, in)
			checkBalance(t, db, reg, 20, 1)
			if n := len(quarantined(t, dir)); n != 1 {
				t.Errorf("%d rows in the quarantine, want 1", n)
			}
		})
	}
}

// What a batch was cut into cannot be kept, or nobody knows whether it was, and ClickHouse takes all rows again: the batch is not sent
// whole, as after a kill its pieces would be sent once more, but in pieces, once they are kept.
func TestPiecesNotKept(t *testing.T) {
	db := chtest.New(t)
	refuse(t, db, "1 = 1")
	dir := t.TempDir()
	reg := prometheus.NewRegistry()
	in, err := tryIngest(t, db.DSN(engine.Edge), reg, smallSpool(dir))
	if err != nil {
		t.Fatal(err)
	}
	obstacle := filepath.Join(dir, clicksDir, splitFile+".tmp")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, in, 0, 20)
	in.Start()
	faults.Await(t, "the spool's failure to show", func() bool { return failing(t, reg, "state") })
	mend(t, db)
	failures := func() float64 { return metrictest.Sum(t, reg, "carom_flush_errors_total", "kind", "spool") }
	before := failures()
	faults.Await(t, "two more attempts", func() bool { return failures() >= before+2 })
	if n := count(t, db, "SELECT count() FROM clicks"); n != 0 {
		t.Errorf("%d rows are sent of a batch whose pieces may be on the disk", n)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	waitDelivered(t, reg, 20)
	stopIngest(t, in)
	checkBalance(t, db, reg, 20, 0)
	if n := count(t, db, "SELECT uniqExact(batch_id) FROM clicks"); n != 2 {
		t.Errorf("%d batches, want the two halves", n)
	}
}

func failing(t *testing.T, reg *prometheus.Registry, step string) bool {
	t.Helper()
	return metrictest.Sum(t, reg, "carom_spool_failing", "step", step) > 0
}

// The quarantine is read as far as its lines hold, whatever a crash did to it, and takes no more than it should.
func TestQuarantine(t *testing.T) {
	q := newQuarantine(t.TempDir())
	batches := func() (names []string) {
		if err := q.each(func(r refusedRow) { names = append(names, r.Batch) }); err != nil {
			t.Fatal(err)
		}
		return names
	}
	row := func(batch string) refusedRow {
		return refusedRow{Time: time.Now(), Table: "clicks", Batch: batch, Error: "<no> & \xff", Row: map[string]any{"slug": "a\nb"}}
	}
	if names := batches(); len(names) != 0 {
		t.Errorf("a quarantine without a file holds %v", names)
	}
	for _, name := range []string{"s-1", "s-2"} {
		if err := q.append(row(name)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(q.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(q.path, whole[:len(whole)-9], 0o600); err != nil { // a power loss in the second line
		t.Fatal(err)
	}
	if err := q.append(row("s-3")); err != nil {
		t.Fatal(err)
	}
	if names := batches(); len(names) != 2 || names[0] != "s-1" || names[1] != "s-3" {
		t.Errorf("after a torn line: %v, want s-1 and s-3", names)
	}
	for batch, want := range map[string]bool{"s-1": true, "s-2": false} {
		if there, err := q.holds(batch); err != nil || there != want {
			t.Errorf("holds(%s) = %v, %v", batch, there, err)
		}
	}
	q.limit = 10
	if err := q.append(row("s-4")); !errors.Is(err, errQuarantine) {
		t.Errorf("append to a full quarantine: %v", err)
	}
	if err := os.Rename(q.path, q.path+".seen"); err != nil {
		t.Fatal(err)
	}
	if err := q.append(row("s-4")); err != nil {
		t.Errorf("after the operator moved the file away: %v", err)
	}
	line := whole[:len(whole)/2-1]
	for at := range line {
		damaged := append([]byte(nil), line...)
		damaged[at] ^= 0x04
		if r, ok := parseRefusedRow(damaged); ok && r.Batch != "s-1" {
			t.Fatalf("byte %d flipped: %+v passes", at, r)
		}
	}
}

func FuzzQuarantine(f *testing.F) {
	f.Add([]byte(`{"xxh64":"ef46db3751d8e999","refused":{}}` + "\n{\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		q := newQuarantine(t.TempDir())
		if err := os.WriteFile(q.path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		before := 0
		if err := q.each(func(refusedRow) { before++ }); err != nil {
			t.Fatal(err)
		}
		if err := q.append(refusedRow{Batch: "s-1"}); err != nil {
			t.Fatal(err)
		}
		after := 0
		if err := q.each(func(refusedRow) { after++ }); err != nil || after != before+1 {
			t.Fatalf("%d rows before, %d after one more: %v", before, after, err)
		}
	})
}
