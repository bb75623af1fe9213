package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carom/deploy/engine"
	"carom/ingest"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// An edge node dies with clicks that ClickHouse has not seen. Its spool tells of them and is delivered by a command: each click
// once, whoever tries again or brings a copy.
func TestSpoolOfAKilledNode(t *testing.T) {
	t.Parallel()
	cluster, db := newCluster(t), chtest.New(t)
	_, control := cluster.startControl(t, db.DSN(engine.Admin))
	link := importSamples(t, control)
	listen, admin, dsn := freePort(t), freePort(t), db.DSN(engine.Edge)
	proxy := faults.NewProxy(t, db.Addr, "clicks")
	proxy.HoldOn()
	dir := filepath.Join(t.TempDir(), "spool")
	node := spawn(t, "serve", "--clickhouse", strings.Replace(dsn, db.Addr, proxy.Addr, 1), "--cluster-secret", cluster.secret, "--node=5", "--listen", listen, "--admin", admin,
		"--spool", dir, "--batch-age=1h")
	faults.Await(t, "/readyz is 200", func() bool { return readiness(admin) == http.StatusOK })
	client := browserTo(listen)
	defer client.CloseIdleConnections()
	ids := map[string]bool{}
	click := func() {
		t.Helper()
		got := get(t, client, link)
		id := clickIDText.FindStringSubmatch(got.header.Get("Location"))
		if id == nil {
			t.Fatalf("the link answers %d to %q", got.status, got.header.Get("Location"))
		}
		ids[id[1]] = true
	}
	for range 30 {
		click()
	}

	for _, command := range [][]string{{"spool", "verify", dir}, {"spool", "replay", dir, "--clickhouse", dsn}} {
		if got := carom(command...); got.code != exitFailed || !strings.Contains(got.errOut, "in use by process") {
			t.Errorf("%v while the node runs: %d, %s", command, got.code, got.errOut)
		}
	}
	node.kill()

	got := carom("spool", "inspect", dir)
	if got.code != exitDone || !strings.Contains(got.out, "killed: process") || !strings.Contains(got.out, "30 records") ||
		!strings.Contains(got.out, "30 clicks accepted = 0 stored + 30 waiting + 0 lost + 0 dropped") {
		t.Errorf("inspect: %d\n%s%s", got.code, got.out, got.errOut)
	}
	var report ingest.SpoolReport
	got = carom("spool", "verify", dir, "--clickhouse", dsn, "--format=json")
	if err := json.Unmarshal([]byte(got.out), &report); err != nil || got.code != exitDone || report.Node != 5 || report.Waiting() != 30 {
		t.Errorf("verify: %v, %d\n%s%s", err, got.code, got.out, got.errOut)
	}
	got = carom("spool", "inspect", dir, "--records")
	for _, line := range strings.Split(strings.TrimSpace(got.out), "\n") {
		var record struct {
			Row struct {
				ClickID string `json:"click_id"`
			} `json:"row"`
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil || !ids[record.Row.ClickID] {
			t.Errorf("%v in %s", err, line)
		}
	}
	if lines := strings.Count(got.out, "\n"); lines != len(ids) || strings.Contains(got.out, "127.0.0.1") {
		t.Errorf("%d lines for %d clicks, or an address in\n%s", lines, len(ids), got.out)
	}

	if out, err := exec.Command("cp", "-a", dir, dir+".copy").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	steps := []struct {
		what, dir, flag string
		code            int
		out             string
	}{
		{"the spool by id, which it can do without", dir, "--by-id", exitFailed, "without --by-id delivers the rest"},
		{"a copy", dir + ".copy", "", exitFailed, "say --adopt-copy"},
		{"the spool", dir, "", exitDone, "delivered 30 records of spool"},
		{"the spool again", dir, "", exitDone, "nothing to deliver"},
		{"a copy of what was delivered", dir + ".copy", "--adopt-copy", exitFailed, "a copy of this spool was delivered"},
	}
	for _, step := range steps {
		args := []string{"spool", "replay", step.dir, "--clickhouse", dsn}
		if step.flag != "" {
			args = append(args, step.flag)
		}
		got := carom(args...)
		if got.code != step.code || !strings.Contains(got.out+got.errOut, step.out) {
			t.Errorf("replay of %s: %d\n%s%s", step.what, got.code, got.out, got.errOut)
		}
	}
	// Empty as it is, it goes to another disk.
	moved := dir + ".moved"
	if out, err := exec.Command("cp", "-a", dir, moved).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if got := carom("spool", "replay", moved, "--clickhouse", dsn, "--adopt-copy"); got.code != exitDone || !strings.Contains(got.out, "delivered 0 records") {
		t.Errorf("an empty copy is not adopted: %d\n%s%s", got.code, got.out, got.errOut)
	}
	again := spawn(t, "serve", "--clickhouse", dsn, "--cluster-secret", cluster.secret, "--node=5", "--listen", listen, "--admin", admin,
		"--spool", moved)
	faults.Await(t, "the node goes on with the spool", func() bool { return readiness(admin) == http.StatusOK })
	click()
	if code := again.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	var rows uint64
	if err := db.Conn.QueryRow(t.Context(), "SELECT count() FROM clicks").Scan(&rows); err != nil || rows != 31 {
		t.Errorf("%d rows after one more click, %v", rows, err)
	}

	got = carom("spool", "replay", dir+".copy", "--adopt-copy", "--by-id", "--clickhouse", db.DSN(engine.Admin))
	if got.code != exitDone || !strings.Contains(got.out, "30 records were in ClickHouse, 0 were missing") {
		t.Errorf("replay of a copy by id: %d\n%s%s", got.code, got.out, got.errOut)
	}
	for _, command := range []string{"inspect", "replay"} {
		args := []string{"spool", command, dir + ".copy"}
		if command == "replay" {
			args = append(args, "--clickhouse", dsn)
		}
		if got := carom(args...); got.code != exitDone || !strings.Contains(got.out, "may be removed") || strings.Contains(got.out+got.errOut, "--by-id") {
			t.Errorf("%s after a delivery by id: %d\n%s%s", command, got.code, got.out, got.errOut)
		}
	}
	stored := db.Find(t, slices.Collect(maps.Keys(ids)))
	if !stored.Exact(0) || stored.Rows != 31 {
		t.Error(stored)
	}
	if got := carom("spool", "verify", dir+".copy", "--clickhouse", dsn); got.code != exitFailed || !strings.Contains(got.errOut, "problems: 1") {
		t.Errorf("verify of a copy of what was delivered: %d\n%s%s", got.code, got.out, got.errOut)
	}
}

// What is no spool is told so.
func TestNoSpool(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"inspect", "verify", "replay"} {
		args := []string{"spool", command, t.TempDir()}
		if command == "replay" {
			args = append(args, "--clickhouse", fmt.Sprintf("clickhouse://u:p@%s/carom", freePort(t)))
		}
		if got := carom(args...); got.code != exitFailed || !strings.Contains(got.errOut, "name the directory that serve --spool had") {
			t.Errorf("%v: %d, %s", args, got.code, got.errOut)
		}
	}
}
