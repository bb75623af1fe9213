package ingest

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// The copy of a spool is rescued, and then the original comes back: it sends nothing, neither clicks nor conversions, whether it had
// ever sent something or not, until it is rescued as well.
func TestOriginalAfterItsCopyWasRescued(t *testing.T) {
	for _, test := range []struct {
		name string
		sent int // clicks that were delivered before the copy was made
	}{{"that had delivered", 30}, {"that had not", 0}} {
		t.Run(test.name, func(t *testing.T) {
			db := chtest.New(t)
			dir := filepath.Join(t.TempDir(), "spool")
			in, _ := testIngest(t, db.DSN(engine.Edge), spoolIn(dir))
			all := put(t, in, 0, test.sent)
			stopIngest(t, in)
			in, _ = testIngest(t, unreachable, spoolIn(dir))
			all = append(all, put(t, in, test.sent, 80)...)
			at := time.Now().UnixMilli()
			if !in.PutConversion(&Conversion{Received: at, Millis: at, ClickID: "c", Event: "sale", TxID: "T-1"}) {
				t.Fatal("conversion refused")
			}
			abandonIngest(t, in)
			copyDir(t, dir, dir+".copy")
			damageStates(t, dir+".copy")
			r, err := rescueSpool(t.Context(), t, db.DSN(engine.Admin), dir+".copy", true)
			if want := uint64(80 - test.sent + 1); err != nil || r.Missing != want {
				t.Fatalf("the copy: %+v, %v; want %d missing", r, err, want)
			}

			in = newTestIngest(t, db.DSN(engine.Edge), spoolIn(dir))
			for _, f := range []*Flusher{in.clickFlusher, in.conversionFlusher} {
				if err := f.sole(t.Context()); !errors.Is(err, errCopyDelivered) {
					t.Errorf("the original may send %s: %v", f.table.newRows().data().table, err)
				}
			}
			if err := in.release(); err != nil {
				t.Fatal(err)
			}
			if _, err := replaySpool(t.Context(), t, db.DSN(engine.Edge), dir, false); !errors.Is(err, ErrSpool) {
				t.Errorf("a replay of the original: %v", err)
			}
			r, err = rescueSpool(t.Context(), t, db.DSN(engine.Admin), dir, false)
			if err != nil || r.Missing != 0 {
				t.Errorf("a rescue of the original: %+v, %v", r, err)
			}
			checkOnce(t, db, all)
			if n := count(t, db, "SELECT count() FROM conversions"); n != 1 {
				t.Errorf("%d conversions, want 1", n)
			}
		})
	}
}
