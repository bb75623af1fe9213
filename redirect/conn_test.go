package redirect

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// Deadlines pass many times on a connection in use, in either direction, and none of them is noticed.
func TestConnectionsInUseOutliveTheirDeadlines(t *testing.T) {
	const timeout = 50 * time.Millisecond
	e := newEdge(t, func(c *Config) { c.ReadTimeout, c.WriteTimeout, c.IdleTimeout = timeout, timeout, 20*timeout })
	conn := e.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	for range 10 {
		write(t, conn, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
		read(t, r, "GET").location(t)
		time.Sleep(timeout)
	}
	if clicks := e.take(); len(clicks) != 10 {
		t.Errorf("%d clicks, want 10", len(clicks))
	}
}

// timedPair are the two ends of a connection of which the server's has timeouts.
func timedPair(t *testing.T, limits timeouts) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = (timedListener{yielding(l.(*net.TCPListener)), &limits}).Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(server.Close(), client.Close()) })
	return server, client
}

// A request may come as late and as slowly as the read timeout allows: its answer still has the write timeout.
func TestSlowRequestIsAnswered(t *testing.T) {
	const timeout = 300 * time.Millisecond
	e := newEdge(t, func(c *Config) { c.ReadTimeout, c.WriteTimeout = timeout, timeout })
	conn := e.dial(t)
	defer conn.Close()
	request := wire("GET /" + glowCode(linkLive) + " HTTP/1.1\nHost: go.glow.test")
	time.Sleep(timeout * 2 / 3)
	write(t, conn, request[:10])
	time.Sleep(timeout * 2 / 3)
	write(t, conn, request[10:])
	read(t, bufio.NewReader(conn), "GET").location(t)
}

// Being asked to go on is no answer: the body is due in the request's time.
func TestBodyThatWasAskedForIsDue(t *testing.T) {
	const timeout = 200 * time.Millisecond
	e := newEdge(t, func(c *Config) { c.ReadTimeout = timeout })
	conn := e.dial(t)
	defer conn.Close()
	began := time.Now()
	write(t, conn, wire("POST /_/postback HTTP/1.1\nHost: go.glow.test\nExpect: 100-continue\nContent-Length: 9"))
	_, err := io.Copy(io.Discard, conn) // until the server closes
	if took := time.Since(began); took > 10*timeout {
		t.Errorf("cut off after %v (%v), want about %v", took, err, timeout)
	}
}

func TestAnswersThatNobodyTakesAreGivenUp(t *testing.T) {
	server, _ := timedPair(t, timeouts{read: time.Minute, idle: time.Minute, write: 50 * time.Millisecond})
	answer := make([]byte, 1<<20)
	for range 100 { // more than the sockets' buffers hold
		if _, err := server.Write(answer); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write failed with %v, want that its deadline has passed", err)
			}
			return
		}
	}
	t.Error("100 MiB were written to a client that reads nothing")
}

// A deadline that passes in the middle of a long write costs no byte and repeats none.
func TestSlowlyTakenAnswerIsWhole(t *testing.T) {
	server, client := timedPair(t, timeouts{read: time.Minute, idle: time.Minute, write: 400 * time.Millisecond})
	const size = 8 << 20
	wrote := make(chan error, 1)
	go func() {
		_, err := server.Write([]byte("first")) // so that the second write is on a connection in use
		if err == nil {
			answer := make([]byte, size)
			for i := range answer {
				answer[i] = byte(i % 251)
			}
			_, err = server.Write(answer)
		}
		wrote <- err
	}()
	if _, err := io.ReadFull(client, make([]byte, len("first"))); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // the deadline passes while the write waits for room
	got := make([]byte, size)
	if _, err := io.ReadFull(client, got); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Errorf("Write failed with %v", err)
	}
	for i, c := range got {
		if c != byte(i%251) {
			t.Fatalf("byte %d is %d, want %d", i, c, i%251)
		}
	}
}
