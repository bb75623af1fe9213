package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"carom/deploy/engine"
)

// node is a running "carom clickhouse".
type node struct {
	cmd          *exec.Cmd
	native, http string
	dir          string
}

// startNode waits until the command says that it runs.
func startNode(t *testing.T, dir string) *node {
	t.Helper()
	cmd := process(t, "clickhouse", "--data", dir, "--clickhouse-native-port=0", "--clickhouse-http-port=0")
	// A process group of its own, as a shell would give it: an interrupt goes to the whole group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	n := &node{cmd: cmd, dir: dir}
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if lines.Text() == "Ctrl-C stops it." {
			n.native = find(t, text.String(), `native\s+(\S+)`)
			n.http = find(t, text.String(), `http\s+(\S+)`)
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return n
		}
	}
	t.Fatalf("carom clickhouse has not started: %s", errOut.String())
	return nil
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no %s in %q", pattern, text)
	}
	return match[1]
}

// query runs a statement as admin, with the password from the data directory, and scans one value where one is wanted.
func (n *node) query(t *testing.T, statement string, value any) {
	t.Helper()
	users, err := engine.ReadUsers(n.dir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{n.native},
		Auth: clickhouse.Auth{Username: engine.Admin, Password: users.Admin},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if value == nil {
		err = conn.Exec(t.Context(), statement)
	} else {
		err = conn.QueryRow(t.Context(), statement).Scan(value)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (n *node) answers() bool {
	response, err := http.Get(n.http + "/ping")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func TestClickHouseCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := startNode(t, dir)
	if !first.answers() {
		t.Error("no answer on the HTTP port")
	}
	first.query(t, "CREATE TABLE default.t (n UInt8) ENGINE = MergeTree ORDER BY n", nil)
	first.query(t, "INSERT INTO default.t VALUES (7)", nil)

	t.Run("a second one in the same directory is refused", func(t *testing.T) {
		got := carom("clickhouse", "--data", dir, "--clickhouse-native-port=0", "--clickhouse-http-port=0")
		if got.code != exitFailed || !strings.Contains(got.errOut, "in use by process") || strings.Count(got.errOut, "\n") != 1 {
			t.Errorf("exit code %d, %q", got.code, got.errOut)
		}
	})
	t.Run("a second one on the same port is refused", func(t *testing.T) {
		_, port, _ := strings.Cut(first.native, ":")
		got := carom("clickhouse", "--data", t.TempDir(), "--clickhouse-native-port", port, "--clickhouse-http-port=0")
		if got.code != exitFailed || !strings.Contains(got.errOut, "port is in use: "+first.native) || strings.Count(got.errOut, "\n") != 1 {
			t.Errorf("exit code %d, %q", got.code, got.errOut)
		}
	})
	t.Run("Ctrl-C ends it cleanly", func(t *testing.T) {
		began := time.Now()
		if err := syscall.Kill(-first.cmd.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := first.cmd.Wait(); err != nil {
			t.Errorf("exit: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		if first.answers() {
			t.Error("the engine still answers")
		}
	})

	second := startNode(t, dir)
	t.Run("kill -9 ends the engine too and the next start keeps the data", func(t *testing.T) {
		second.query(t, "INSERT INTO default.t VALUES (8)", nil)
		if err := second.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		third := startNode(t, dir)
		if second.answers() {
			t.Error("the engine of the killed process still answers")
		}
		var sum uint64
		third.query(t, "SELECT sum(n) FROM default.t", &sum)
		if sum != 15 {
			t.Errorf("sum = %d, want 15", sum)
		}
	})
}
