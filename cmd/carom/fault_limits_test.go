package main

import (
	"bufio"
	"net"
	"os/exec"
	"testing"
	"time"

	"carom/ingest/faults"
)

// There are far more connections than descriptors: who is connected is served, clicks reach ClickHouse, and who comes when there
// is room again is served as before.
func TestFaultDescriptorsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	limited := s.command()
	limited.Args = append([]string{"sh", "-c", `ulimit -n 64 && exec "$0" "$@"`}, limited.Args...)
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	limited.Path = shell
	s.startAs(limited)
	s.people()
	s.bounded("with descriptors")
	for range faults.Rounds(3, 100) {
		var flood []net.Conn
		for range 200 {
			conn, err := net.DialTimeout("tcp", s.listen, time.Second)
			if err == nil {
				flood = append(flood, conn)
			}
		}
		if len(flood) < 64 {
			t.Errorf("only %d connections could be made", len(flood))
		}
		s.visitors.goOn(t, 500)
		for _, conn := range flood {
			_ = conn.Close() // the node may have closed it
		}
	}
	s.bounded("without descriptors")
	s.visitors.goOn(t, 500)
	fresh, err := net.Dial("tcp", s.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if !s.visitors.tap(fresh, bufio.NewReader(fresh)) {
		t.Error("who comes when there is room again is not served")
	}
	s.endExact()
}

// The node has little memory and ClickHouse is away: it stays within what it has and redirects.
func TestFaultMemoryLimit(t *testing.T) {
	t.Parallel()
	// The limit is one of Go's; its runtime goes beyond rather than fail.
	const limit = "GOMEMLIMIT=16MiB"
	s := newSite(t)
	limited := s.command()
	limited.Env = append(limited.Env, limit)
	s.startAs(limited)
	s.people()
	s.clickhouse.Freeze()
	for deadline := time.Now().Add(outage()); time.Now().Before(deadline); {
		s.visitors.goOn(t, 500)
		if n := s.memory(); n > mostMemory {
			t.Errorf("with %s the node has taken %d bytes", limit, n)
			break
		}
	}
	s.bounded("with little memory")
	s.clickhouse.Thaw()
	s.endExact()
}
