package ingest

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/geo"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// The environment of a child of this test binary that puts clicks into a spool and waits to be killed.
const (
	doomedDSN   = "CAROM_INGEST_DOOMED_DSN"
	doomedSpool = "CAROM_INGEST_DOOMED_SPOOL"
)

// doomedClicks is how many clicks such a child puts.
const doomedClicks = 3000

// beDoomed is the child. It says when it is done.
func beDoomed() {
	places, err := geo.New(geo.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	c := Default()
	c.ClickHouse, c.Spool, c.Node, c.BatchRows, c.BatchAge = os.Getenv(doomedDSN), os.Getenv(doomedSpool), 7, 400, 10*time.Millisecond
	in, err := New(c, places, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	in.Start()
	for n := range doomedClicks {
		if !in.PutClick(uint64(n), testClick(n, time.Now())) {
			fmt.Println("click", n, "was refused")
			return
		}
	}
	fmt.Println("done")
	select {}
}

// killedSpool is what a node left that was killed while the answers of ClickHouse got lost: a batch that ClickHouse holds and the
// node did not see stored, and more that waits. told are the clicks that it took.
func killedSpool(t *testing.T, db *chtest.DB) (dir string, told []int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "spool")
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.LoseAnswers(true)
	node := exec.Command(os.Args[0])
	node.Env = append(os.Environ(), doomedDSN+"="+strings.Replace(db.DSN(engine.Edge), db.Addr, proxy.Addr, 1), doomedSpool+"="+dir)
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		faults.Await(t, "an answer to be lost", func() bool { return proxy.Lost() > 0 })
	}
	_ = node.Process.Kill()
	_ = node.Wait() // it was killed
	if said != "done\n" {
		t.Fatalf("the node says %q, %v", said, err)
	}
	for n := range doomedClicks {
		told = append(told, n)
	}
	return dir, told
}
