package ingest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// A spool loses the file that says who it is: it is not begun again over the records it holds, which are delivered once the file is
// back.
func TestIdentityLost(t *testing.T) {
	db := chtest.New(t)
	dir := t.TempDir()
	in, _ := testIngest(t, unreachable, spoolIn(dir))
	all := put(t, in, 0, 50)
	abandonIngest(t, in)
	identity := filepath.Join(dir, identityFile)
	if err := os.Rename(identity, identity+".lost"); err != nil {
		t.Fatal(err)
	}

	in, err := tryIngest(t, db.DSN(engine.Edge), prometheus.NewRegistry(), spoolIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	if in.spool != nil {
		t.Error("the spool is used under another identity")
	}
	if err := in.release(); err != nil {
		t.Fatal(err)
	}
	if _, err := openSpool(dir, 7); err == nil || !strings.Contains(err.Error(), "put that back") {
		t.Errorf("opening the spool: %v", err)
	}

	if err := os.Rename(identity+".lost", identity); err != nil {
		t.Fatal(err)
	}
	in, _ = testIngest(t, db.DSN(engine.Edge), spoolIn(dir))
	stopIngest(t, in)
	checkOnce(t, db, all)
}
