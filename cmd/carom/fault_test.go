package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// The fault suite, end to end: a real node that is killed, starved and lied to, a real ClickHouse, people who click. What must
// hold whatever happens:
//
//	I1  every click id in a 302 that a client received is in ClickHouse exactly once, in clicks and in every rollup's sum, or
//	    counted as dropped
//	I2  redirects keep answering, with a bounded p99
//	I3  memory is bounded
//	I4  a restarted node serves within seconds
//	I5  whatever is lost or set aside is counted exactly, by reason
//
// Each test is one accident. Those that need the inside of a part are with it: a deduplication window that overflows and rows that
// ClickHouse refuses in ingest, clocks in redirect, every byte of a segment in ingest/ring. Package ingest/faults says how to have
// the long form and how to repeat a run; its own test proves that the suite notices.

// A site is a node with a spool, its ClickHouse and people who click.
type site struct {
	t          *testing.T
	cluster    clusterFiles
	clickhouse *chtest.Mortal
	dsn        string // that the node uses
	spool      string
	flags      []string // of serve, besides those that every node of the suite has
	listen     string
	admin      string
	link       string

	node     *program // nil while none runs
	visitors *visitors
	slowest  time.Duration // start of a node until it was ready
}

// newSite prepares everything but the node.
func newSite(t *testing.T, flags ...string) *site {
	t.Helper()
	s := &site{
		t: t, cluster: newCluster(t), clickhouse: chtest.NewMortal(t), spool: filepath.Join(t.TempDir(), "spool"), flags: flags,
		listen: freePort(t), admin: freePort(t),
	}
	s.dsn = s.clickhouse.DSN(engine.Edge)
	control, way := s.cluster.startControl(t, s.clickhouse.DSN(engine.Admin))
	s.link = importSamples(t, way)
	control.terminate()
	return s
}

// via has the node reach ClickHouse at another address.
func (s *site) via(address string) {
	s.dsn = strings.Replace(s.dsn, s.clickhouse.Addr(), address, 1)
}

// start starts the node, with many small segments and batches so that a fault hits every step, and returns when it is ready.
func (s *site) start() {
	s.t.Helper()
	s.startAs(s.command())
}

// startAs is start for a process that was prepared otherwise.
func (s *site) startAs(cmd *exec.Cmd) {
	s.t.Helper()
	began := time.Now()
	s.node = launch(s.t, cmd)
	faults.Await(s.t, "the node is ready", func() bool { return readiness(s.admin) == http.StatusOK })
	s.slowest = max(s.slowest, time.Since(began))
}

// command is the node's process, not started.
func (s *site) command() *exec.Cmd {
	s.t.Helper()
	return process(s.t, append([]string{
		"serve", "--clickhouse", s.dsn, "--cluster-secret", s.cluster.secret, "--node=5", "--listen", s.listen, "--admin", s.admin,
		"--spool", s.spool, "--spool-segment=65536", "--spool-budget=67108864", "--batch-rows=400", "--batch-age=10ms", "--linger=100ms",
	}, s.flags...)...)
}

// people sends people to the link.
func (s *site) people() {
	s.t.Helper()
	s.visitors = visit(s.t, s.listen, s.link, 8)
	s.visitors.goOn(s.t, 100)
}

// metric is one of the node's numbers.
func (s *site) metric(name string) float64 { return metrics(s.t, "http://"+s.admin)[name] }

// delivered waits until ClickHouse has everything: a long form on a busy machine leaves a lot, so as long as it becomes less.
func (s *site) delivered() {
	s.t.Helper()
	for waiting := s.metric("carom_clicks_waiting"); waiting > 0; {
		before := waiting
		faults.Await(s.t, "fewer clicks wait", func() bool {
			waiting = s.metric("carom_clicks_waiting")
			return waiting < before
		})
	}
}

// end sends the people home, lets the node deliver and end, and returns what ClickHouse holds.
func (s *site) end() chtest.Found {
	s.t.Helper()
	s.visitors.leave()
	s.delivered()
	if code := s.node.terminate(); code != exitDone {
		s.t.Errorf("SIGTERM: exit code %d", code)
	}
	v := s.visitors
	if v.repeated > 0 || len(v.strange) > 0 {
		s.t.Errorf("%d click ids were given twice; strange answers: %q", v.repeated, v.strange)
	}
	db := s.clickhouse.DB()
	keepRollups(s.t, db)
	found := db.Find(s.t, v.ids())
	s.t.Logf("%d taps answered, %d not; %v; the slowest start took %v", v.taps(), v.unanswered, found, s.slowest.Round(time.Millisecond))
	return found
}

// endExact is end where nothing may be missing.
func (s *site) endExact() {
	s.t.Helper()
	if found := s.end(); found.Dropped > 0 || !found.Exact(s.visitors.unanswered) {
		s.t.Errorf("not each click once: %v", found)
	}
}

// bounded fails the test where redirects have waited for something since it was asked last.
func (s *site) bounded(while string) {
	s.t.Helper()
	p99 := s.visitors.slowness()
	s.t.Logf("%s: p99 %v", while, p99.Round(10*time.Microsecond))
	if p99 > bounded {
		s.t.Errorf("%s: 1 of 100 redirects took %v or more", while, p99)
	}
}

// memory is what the node has taken for itself, in bytes: without what belongs to files, which the kernel can have back.
func (s *site) memory() int {
	s.t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(s.node.cmd.Process.Pid) + "/status")
	if err != nil {
		s.t.Fatal(err)
	}
	match := regexp.MustCompile(`RssAnon:\s*(\d+) kB`).FindSubmatch(status)
	if match == nil {
		s.t.Fatalf("no RssAnon in %s", status)
	}
	kib, err := strconv.Atoi(string(match[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	return kib << 10
}
