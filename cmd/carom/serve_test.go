package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
	"carom/ingest/schema"
)

// clusterFiles are a cluster secret and a directory for whatever else a cluster's processes share on one machine.
type clusterFiles struct{ dir, secret string }

func newCluster(t *testing.T) clusterFiles {
	t.Helper()
	dir := t.TempDir()
	secret := filepath.Join(dir, "cluster.secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("a secret for tests ", 3)), 0o600); err != nil {
		t.Fatal(err)
	}
	return clusterFiles{dir, secret}
}

// serve starts an edge node.
func (c clusterFiles) serve(t *testing.T, dsn, listen, admin string, linger time.Duration) *program {
	t.Helper()
	return spawn(t, "serve", "--clickhouse", dsn, "--cluster-secret", c.secret, "--node=5", "--listen", listen, "--admin", admin,
		"--linger", linger.String())
}

// startControl starts a control process and returns it with the flags that lead the other commands to it.
func (c clusterFiles) startControl(t *testing.T, dsn string) (p *program, flags []string) {
	t.Helper()
	file := filepath.Join(c.dir, "control.json")
	p = c.spawnControl(t, dsn, file)
	return p, controlFlags(t, p, file)
}

// spawnControl starts a control process that leaves the way to it in file.
func (c clusterFiles) spawnControl(t *testing.T, dsn, file string, more ...string) *program {
	t.Helper()
	return spawn(t, append([]string{
		"control", "--clickhouse", dsn, "--cluster-secret", c.secret, "--admin=127.0.0.1:0",
		"--control-file", file, "--public-url=http://{host}",
	}, more...)...)
}

// controlFlags waits until a control process writes and returns the flags that lead the other commands to it.
func controlFlags(t *testing.T, p *program, file string) []string {
	t.Helper()
	p.await(&p.errOut, "control serves")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var address controlAddress
	if err := json.Unmarshal(text, &address); err != nil {
		t.Fatal(err)
	}
	return []string{"--server", address.URL, "--token", address.Token}
}

// importSamples imports the sample brands and returns the short URL of one of their links.
func importSamples(t *testing.T, control []string) string {
	t.Helper()
	for _, kind := range []string{"brands", "domains", "influencers", "campaigns", "links"} {
		got := carom(append([]string{"import", kind, filepath.Join("sample", kind+".csv")}, control...)...)
		if got.code != exitDone {
			t.Fatalf("import %s: %s%s", kind, got.out, got.errOut)
		}
	}
	var link struct {
		ShortURL string `json:"short_url"`
	}
	got := carom(append([]string{"links", "show", "boots-lena-reel"}, control...)...)
	if err := json.Unmarshal([]byte(got.out), &link); err != nil {
		t.Fatalf("links show: %v: %s", err, got.errOut)
	}
	return link.ShortURL
}

// freePort finds an address that a process can be told to use, now and again later.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// readiness is the answer of /readyz, 0 where nobody listens.
func readiness(admin string) int {
	response, err := http.Get("http://" + admin + "/readyz")
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// An edge node outlives its ClickHouse: not ready before it has a table, then redirecting whatever happens to ClickHouse, and
// every click is stored once it is back.
func TestServeWithoutClickHouse(t *testing.T) {
	t.Parallel()
	cluster, data := newCluster(t), filepath.Join(t.TempDir(), "data")
	_, nativePort, _ := net.SplitHostPort(freePort(t))
	clickhouse := func() *program {
		p := spawn(t, "clickhouse", "--data", data, "--clickhouse-native-port", nativePort, "--clickhouse-http-port=0")
		p.expect("Ctrl-C stops it")
		return p
	}
	first := clickhouse()
	users, err := engine.ReadUsers(data)
	if err != nil {
		t.Fatal(err)
	}
	dsn := func(user string) string {
		return fmt.Sprintf("clickhouse://%s:%s@127.0.0.1:%s/carom", user, users.Password(user), nativePort)
	}
	if code := first.terminate(); code != exitDone {
		t.Errorf("carom clickhouse: exit code %d after SIGTERM", code)
	}

	listen, admin := freePort(t), freePort(t)
	const linger = 2 * time.Second
	node := cluster.serve(t, dsn(engine.Edge), listen, admin, linger)
	client := browserTo(listen)
	defer client.CloseIdleConnections()
	faults.Await(t, "the admin listener answers", func() bool { return readiness(admin) != 0 })
	if got := readiness(admin); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d without a table", got)
	}
	if lives, ready := carom("healthcheck", "--admin", admin), carom("healthcheck", "--ready", "--admin", admin); lives.code != exitDone ||
		ready.code != exitFailed || !strings.Contains(ready.errOut, "503") {
		t.Errorf("healthcheck without a table: %+v, --ready %+v", lives, ready)
	}
	if got := get(t, client, "http://go.acme.localhost/lena"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("a link answers %d without a table, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}

	second := clickhouse()
	if _, err := schema.Apply(t.Context(), schema.Files, dsn(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	control, controlFlags := cluster.startControl(t, dsn(engine.Admin))
	link := importSamples(t, controlFlags)
	faults.Await(t, "/readyz is 200", func() bool { return readiness(admin) == http.StatusOK })
	if ready := carom("healthcheck", "--ready", "--admin", admin); ready.code != exitDone {
		t.Errorf("healthcheck --ready of a node that is: %+v", ready)
	}
	faults.Await(t, "the link is known", func() bool { return clickIDText.MatchString(get(t, client, link).header.Get("Location")) })

	ids := map[string]bool{}
	tap := func(n int) {
		t.Helper()
		for range n {
			got := get(t, client, link)
			id := clickIDText.FindStringSubmatch(got.header.Get("Location"))
			if id == nil {
				t.Fatalf("the link answers %d to %q", got.status, got.header.Get("Location"))
			}
			ids[id[1]] = true
		}
	}
	tap(20)
	killEngine(t, second)
	tap(20)
	faults.Await(t, "an insert has failed", func() bool {
		return metrics(t, "http://"+admin)[`carom_flush_errors_total{kind="network"}`] > 0
	})
	tap(20)
	if got := readiness(admin); got != http.StatusOK {
		t.Errorf("/readyz is %d without ClickHouse: a node with a table can serve", got)
	}

	clickhouse()
	conn := chtest.Open(t, dsn(engine.Analyst))
	count := func(query string, args ...any) (n uint64) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	faults.Await(t, "nothing waits", func() bool { return metrics(t, "http://"+admin)["carom_clicks_waiting"] == 0 })
	var all []string
	for id := range ids {
		all = append(all, id)
	}
	if len(all) != 60 || count("SELECT count() FROM clicks WHERE click_id IN ?", all) != 60 {
		t.Errorf("%d of %d clicks are stored", count("SELECT count() FROM clicks WHERE click_id IN ?", all), len(all))
	}
	if raw, rolled := count("SELECT count() FROM clicks"), count("SELECT sum(gross) FROM clicks_by_utm_hourly"); raw != rolled {
		t.Errorf("%d clicks, %d in a rollup", raw, rolled)
	}
	faults.Await(t, "the ledger balances", func() bool {
		return count("SELECT count() FROM report_ledger WHERE balanced AND waiting = 0 AND accepted = (SELECT count() FROM clicks)") == 1
	})
	ended := make(chan int)
	go func() { ended <- node.terminate() }()
	faults.Await(t, "/readyz fails", func() bool { return readiness(admin) == http.StatusServiceUnavailable })
	if got := get(t, client, link); got.status != http.StatusFound || !got.closes {
		t.Errorf("a node that is about to end answers %d and keeps the connection: %v", got.status, !got.closes)
	}
	if code := <-ended; code != exitDone {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	if code := control.terminate(); code != exitDone {
		t.Errorf("SIGTERM to control: exit code %d", code)
	}
}

// killEngine kills "carom clickhouse" and the engine under it, which would be started again otherwise.
func killEngine(t *testing.T, p *program) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var engines []int
	for _, thread := range threads { // any of them may have started it
		children, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(children)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			engines = append(engines, child)
		}
	}
	if len(engines) != 1 {
		t.Fatalf("processes of the engine: %v", engines)
	}
	if err := syscall.Kill(p.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(engines[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.kill()
}
