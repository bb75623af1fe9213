package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"carom/control"
	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// The control process that writes is stopped in the midst of it, its standby takes over, and then it goes on: it writes nothing
// any more, and no number or version is given twice.
func TestFaultWriterStopped(t *testing.T) {
	t.Parallel()
	clickhouse, cluster := chtest.NewMortal(t), newCluster(t) // the embedded engine may abort when clients end
	const lease = time.Second
	start := func(name string) (*program, string) {
		file := filepath.Join(cluster.dir, name)
		return cluster.spawnControl(t, clickhouse.DSN(engine.Admin), file, "--lease", lease.String()), file
	}
	writer, file := start("0.json")
	flags := controlFlags(t, writer, file)
	importSamples(t, flags)
	for round := 1; round <= faults.Rounds(2, 50); round++ {
		standby, standbyFile := start(fmt.Sprintf("%d.json", round))
		for !standby.standsBy() { // it ends where ClickHouse is away
			standby, standbyFile = start(fmt.Sprintf("%d.json", round))
		}
		imported := make(chan result)
		go func() {
			imported <- carom(append([]string{"import", "links", manyLinks(t, round, "first")}, flags...)...)
		}()
		time.Sleep(time.Duration(round%10) * 30 * time.Millisecond) // another moment of the import in each round
		if err := syscall.Kill(writer.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		standbyFlags := controlFlags(t, standby, standbyFile)
		second := append([]string{"import", "links", manyLinks(t, round, "second")}, standbyFlags...)
		faults.Await(t, "the one that took over imports", func() bool { return carom(second...).code == exitDone })
		if err := syscall.Kill(writer.cmd.Process.Pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if got := <-imported; got.code == exitDone {
			t.Logf("round %d: the import had ended before its process was stopped", round)
		}
		var ready struct{ Role string }
		address := flags[1]
		faults.Await(t, "the one that was stopped says that it is a standby", func() bool {
			response, err := http.Get(address + "/readyz")
			if err != nil {
				return false
			}
			defer response.Body.Close()
			err = json.NewDecoder(response.Body).Decode(&ready)
			return err == nil && response.StatusCode == http.StatusServiceUnavailable && ready.Role == "standby"
		})
		if got := metrics(t, address)["carom_control_leader"]; got != 0 {
			t.Errorf("carom_control_leader of the standby is %v", got)
		}
		answers := func() bool { return clickhouse.DB().Conn.Ping(t.Context()) == nil }
		faults.Await(t, "ClickHouse answers, which a stopped process may have taken along", answers)
		if got := carom(append([]string{"links", "list"}, flags...)...); got.code == exitDone || !strings.Contains(got.errOut, standbyFlags[1]) {
			t.Errorf("the one that was stopped answers %s%s", got.out, got.errOut)
		}
		if code := writer.terminate(); code != exitDone {
			t.Errorf("exit code %d", code)
		}
		writer, flags = standby, standbyFlags
		faults.Await(t, "ClickHouse answers", answers)
		nothingTwice(t, clickhouse.DB())
	}
	last := append([]string{"import", "links", manyLinks(t, 1, "first")}, flags...)
	faults.Await(t, "the last one imports", func() bool { return carom(last...).code == exitDone })
}

// manyLinks writes a file of three chunks of links and returns its path.
func manyLinks(t *testing.T, round int, who string) string {
	var text strings.Builder
	text.WriteString("link,domain,campaign,influencer\n")
	for i := range 3 * control.ChunkRows {
		fmt.Fprintf(&text, "%d-%s-%d,go.acme.localhost,spring-boots,lena-walks\n", round, who, i)
	}
	path := filepath.Join(t.TempDir(), "links.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Error(err)
	}
	return path
}

// standsBy waits until a control process stands by, and reports false where it has ended before.
func (p *program) standsBy() bool {
	for !strings.Contains(p.errOut.String(), "is a standby") {
		select {
		case <-p.ended:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return true
}

// nothingTwice sees that no link number, and no version, was given by two processes.
func nothingTwice(t *testing.T, db *chtest.DB) {
	t.Helper()
	var twice, mixed uint64
	const numbers = "SELECT count() FROM (SELECT link_id FROM links GROUP BY link_id HAVING uniqExact(link) > 1)"
	if err := db.Conn.QueryRow(t.Context(), numbers).Scan(&twice); err != nil || twice != 0 {
		t.Errorf("%d link numbers were given twice, %v", twice, err)
	}
	const versions = "SELECT count() FROM (SELECT version FROM links WHERE match(link, '^[0-9]+-') GROUP BY version " +
		"HAVING uniqExact(extract(link, '^[0-9]+-[a-z]+')) > 1)"
	if err := db.Conn.QueryRow(t.Context(), versions).Scan(&mixed); err != nil || mixed != 0 {
		t.Errorf("%d versions were given twice, %v", mixed, err)
	}
}
