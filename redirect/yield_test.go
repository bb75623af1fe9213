package redirect

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// yieldingPair are the two ends of a connection of which the server's yields.
func yieldingPair(t *testing.T) (server *yieldingConn, client *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)); err != nil {
		t.Fatal(err)
	}
	conn, err := yieldingListener{l}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(conn.Close(), client.Close()) })
	return conn.(*yieldingConn), client
}

// nextRequest is one request: the server answers, and then reads what the client sends, before or after the server begins to wait for it.
func nextRequest(t *testing.T, server *yieldingConn, client *net.TCPConn, early bool) {
	t.Helper()
	var b [8]byte
	write(t, server, "answer")
	if _, err := client.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	if early {
		write(t, client, "request")
	} else {
		time.AfterFunc(5*time.Millisecond, func() { _, _ = client.Write([]byte("request")) })
	}
	if n, err := server.Read(b[:]); err != nil || string(b[:n]) != "request" {
		t.Fatalf("read %q (%v), want the request", b[:n], err)
	}
}

func TestConnectionsYieldAsLongAsItPays(t *testing.T) {
	server, client := yieldingPair(t)
	for range probeEvery - 1 {
		nextRequest(t, server, client, true)
	}
	if server.credit != 0 {
		t.Errorf("credit %d before the first probe, want 0", server.credit)
	}
	for range 2 * mostCredit {
		nextRequest(t, server, client, true)
	}
	if server.credit != mostCredit {
		t.Errorf("credit %d after requests that were there in time, want %d", server.credit, mostCredit)
	}
	for range mostCredit {
		nextRequest(t, server, client, false)
	}
	if server.credit != 0 {
		t.Errorf("credit %d after %d requests that were not, want 0", server.credit, mostCredit)
	}
}

func TestYieldingConnectionFailsAsTCPDoes(t *testing.T) {
	for name, c := range map[string]struct {
		before func(server *yieldingConn, client *net.TCPConn) error
		want   error
	}{
		"the client closes": {func(_ *yieldingConn, client *net.TCPConn) error { return client.Close() }, io.EOF},
		"the client resets": {func(_ *yieldingConn, client *net.TCPConn) error {
			return errors.Join(client.SetLinger(0), client.Close())
		}, syscall.ECONNRESET},
		"the deadline has passed": {func(server *yieldingConn, _ *net.TCPConn) error {
			return server.SetReadDeadline(time.Now().Add(-time.Second))
		}, os.ErrDeadlineExceeded},
		"the deadline passes": {func(server *yieldingConn, _ *net.TCPConn) error {
			return server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}, os.ErrDeadlineExceeded},
		"the server has closed": {func(server *yieldingConn, _ *net.TCPConn) error { return server.Close() }, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := yieldingPair(t)
			if err := c.before(server, client); err != nil {
				t.Fatal(err)
			}
			if n, err := server.Read(make([]byte, 8)); n != 0 || !errors.Is(err, c.want) {
				t.Errorf("read %d bytes and %v, want %v", n, err, c.want)
			}
		})
	}
}

// What comes in pieces is read in pieces, and nothing is lost between them.
func TestYieldingConnectionReadsEveryByte(t *testing.T) {
	server, client := yieldingPair(t)
	const size = 1 << 20
	go func() {
		sent := make([]byte, size)
		for i := range sent {
			sent[i] = byte(i % 251)
		}
		_, _ = client.Write(sent)
		_ = client.CloseWrite()
	}()
	got, err := io.ReadAll(server)
	if err != nil || len(got) != size {
		t.Fatalf("%d bytes (%v), want %d", len(got), err, size)
	}
	for i, b := range got {
		if b != byte(i%251) {
			t.Fatalf("byte %d is %d, want %d", i, b, i%251)
		}
	}
}
