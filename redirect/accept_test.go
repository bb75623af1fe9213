package redirect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest"
	"carom/ingest/metric/metrictest"
)

func TestPanicFailsOneRequest(t *testing.T) {
	e := newEdge(t)
	var panics atomic.Int64
	panics.Store(2)
	e.onPut = func(*ingest.Click) {
		if panics.Add(-1) >= 0 {
			panic("the sink is broken")
		}
	}
	conn := e.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, want := range []struct {
		method string
		status int
	}{{"GET", 500}, {"HEAD", 500}, {"GET", 302}, {"HEAD", 302}} {
		write(t, conn, wire(want.method+" /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
		got := read(t, r, want.method)
		if got.status != want.status || strings.Contains(got.raw, "broken") || want.method == "HEAD" && got.body != "" {
			t.Errorf("%s answers %q, want %d", want.method, got.raw, want.status)
		}
		if want.status == 500 && (got.header.Get("Location") != "" || got.header.Get("Cache-Control") != "no-store") {
			t.Errorf("a failed request answers %q", got.raw)
		}
	}
	if clicks := e.take(); len(clicks) != 2 {
		t.Errorf("%d clicks recorded, want 2", len(clicks))
	}
	if n := e.server.metrics.redirects[outcomeFailed].n.Load(); n != 2 {
		t.Errorf("%d failed requests counted, want 2", n)
	}
	if log := e.log.String(); strings.Count(log, "handler panicked") != 2 || !strings.Contains(log, "accept_test.go") {
		t.Errorf("the log does not say what panicked, and where: %s", log)
	}
}

// faultyListener fails the first Accepts with the errors given.
type faultyListener struct {
	net.Listener
	errors []error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	if len(l.errors) > 0 {
		err := l.errors[0]
		l.errors = l.errors[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestPatientListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Uint64
	l := &patientListener{errors: &count, Listener: &faultyListener{inner, []error{
		&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)},
		&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.ECONNABORTED)},
		errors.New("something else"),
	}}}
	client, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil || count.Load() != 3 {
		t.Fatalf("Accept: %v, %d errors counted, want 3", err, count.Load())
	}
	conn.Close()
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || count.Load() != 3 {
		t.Fatalf("Accept of a closed listener: %v, %d errors counted", err, count.Load())
	}
}

// With no file descriptor left, who is connected is served, and who waits is served as soon as there is one again.
func TestDescriptorsRunOut(t *testing.T) {
	e := newEdge(t)
	connected := e.dial(t)
	defer connected.Close()
	r := bufio.NewReader(connected)
	answered := func() {
		t.Helper()
		write(t, connected, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
		if got := read(t, r, "GET"); got.status != 302 {
			t.Fatalf("answers %q", got.raw)
		}
	}
	answered()

	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(os.DevNull) // its number is the lowest that is free
	if err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = uint64(next.Fd()) + 1 // room for the dialling side of one connection
	next.Close()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	waiting := e.dial(t) // the kernel takes it, the server cannot
	defer waiting.Close()
	accepts := &e.server.metrics.accepts
	for deadline := time.Now().Add(5 * time.Second); accepts.Load() < 2; {
		if time.Now().After(deadline) {
			t.Fatal("Accept never failed: the limit does not bite")
		}
		time.Sleep(time.Millisecond)
	}
	answered()
	restore()
	write(t, waiting, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
	if got := read(t, bufio.NewReader(waiting), "GET"); got.status != 302 {
		t.Errorf("who waited is answered %q", got.raw)
	}
}

// More connections than there can be descriptors are not tried, and the log says so.
func TestConnectionsFitDescriptors(t *testing.T) {
	nofile, err := maxDescriptors()
	if err != nil {
		t.Fatal(err)
	}
	e := newEdge(t, func(c *Config) { c.MaxConns = int(nofile) })
	if got, want := e.server.http.Concurrency, connLimit(int(nofile), nofile); got != want || got >= int(nofile) {
		t.Errorf("%d connections at once of %d descriptors, want %d", got, nofile, want)
	}
	if log := e.log.String(); strings.Count(log, "fewer connections") != 1 || !strings.Contains(log, fmt.Sprintf("connections=%d", e.server.http.Concurrency)) {
		t.Errorf("the log says %q", log)
	}
}

func TestConnectionFlood(t *testing.T) {
	const most = 8
	e := newEdge(t, func(c *Config) { c.MaxConns = most })
	var conns []net.Conn
	var readers []*bufio.Reader
	for range most {
		conn := e.dial(t)
		defer conn.Close()
		conns, readers = append(conns, conn), append(readers, bufio.NewReader(conn))
	}
	healthy := func(i int) {
		t.Helper()
		write(t, conns[i], wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
		if got := read(t, readers[i], "GET"); got.status != 302 {
			t.Fatalf("connection %d is answered %q", i, got.raw)
		}
	}
	for i := range most {
		healthy(i)
	}
	for range 3 * most {
		conn := e.dial(t)
		if got := read(t, bufio.NewReader(conn), "GET"); got.status != 503 {
			t.Fatalf("one connection too many is answered %q", got.raw)
		}
		conn.Close()
	}
	for i := range most {
		healthy(i)
	}
	conns[0].Close()
	for deadline := time.Now().Add(5 * time.Second); ; {
		conn := e.dial(t)
		write(t, conn, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
		got := read(t, bufio.NewReader(conn), "GET")
		conn.Close()
		if got.status == 302 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a connection ended a new one is still answered %q", got.raw)
		}
		time.Sleep(time.Millisecond)
	}
}

// A million absent codes would be a million times the same: no label, no memory, no click.
func TestAbsentCodesLeaveNothingBehind(t *testing.T) {
	e := newEdge(t)
	conn := e.dial(t)
	defer conn.Close()
	r := bufio.NewReader(conn)
	labels := len(metrictest.All(t, e.registry))
	for i := range 2000 {
		code := codeOn("go.glow.test", glowSecrets[1], 1, uint32(i)*9973+1000)
		if i%2 == 0 {
			code = fmt.Sprintf("%011d", i)
		}
		write(t, conn, wire("GET /"+code+" HTTP/1.1\nHost: go.glow.test"))
		if got := read(t, r, "GET"); got.status != 404 {
			t.Fatalf("code %s is answered %q", code, got.raw)
		}
	}
	after := metrictest.All(t, e.registry)
	if len(after) != labels || after[`carom_redirects_total{outcome="unknown"}`] != 2000 {
		t.Errorf("%d series instead of %d, %v unknown", len(after), labels, after[`carom_redirects_total{outcome="unknown"}`])
	}
	if clicks := e.take(); len(clicks) != 0 {
		t.Errorf("%d clicks recorded", len(clicks))
	}
}

func TestStopFinishesWhatIsUnderWay(t *testing.T) {
	e := newEdge(t)
	began, goOn := make(chan struct{}), make(chan struct{})
	e.onPut = func(*ingest.Click) { close(began); <-goOn }
	idle, busy := e.dial(t), e.dial(t)
	defer idle.Close()
	defer busy.Close()
	write(t, busy, wire("GET /"+glowCode(linkLive)+" HTTP/1.1\nHost: go.glow.test"))
	<-began
	stopped := make(chan error)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { stopped <- e.server.Stop(ctx) }()
	for { // until nobody gets in any more
		conn, err := net.Dial("tcp", e.server.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-stopped:
		t.Fatalf("Stop returned %v with a request under way", err)
	default:
	}
	close(goOn)
	got := read(t, bufio.NewReader(busy), "GET")
	if got.status != 302 || !strings.Contains(got.raw, "Connection: close\r\n") {
		t.Errorf("the request under way is answered %q", got.raw)
	}
	idle.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// While a stopping server lingers it answers as before, also on new connections, and closes each with its answer.
func TestStopLingers(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Linger = 300 * time.Millisecond })
	old := e.dial(t)
	defer old.Close()
	request := wire("GET /" + glowCode(linkLive) + " HTTP/1.1\nHost: go.glow.test")
	r := bufio.NewReader(old)
	write(t, old, request)
	if got := read(t, r, "GET"); got.status != 302 || strings.Contains(got.raw, "Connection: close") {
		t.Fatalf("before the stop the answer is %q", got.raw)
	}
	stopped := make(chan error)
	began := time.Now()
	go func() { stopped <- e.server.Stop(t.Context()) }()
	for !e.server.leaving.Load() {
		time.Sleep(time.Millisecond)
	}
	write(t, old, request)
	young := e.dial(t)
	defer young.Close()
	write(t, young, request)
	for who, r := range map[string]*bufio.Reader{"old": r, "new": bufio.NewReader(young)} {
		if got := read(t, r, "GET"); got.status != 302 || !strings.Contains(got.raw, "Connection: close\r\n") {
			t.Errorf("the %s connection is answered %q", who, got.raw)
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the %s connection is not closed after its answer: %v", who, err)
		}
	}
	if err := <-stopped; err != nil || time.Since(began) < 300*time.Millisecond {
		t.Errorf("Stop returned %v after %v", err, time.Since(began))
	}
	if conn, err := net.Dial("tcp", e.server.Addr().String()); err == nil {
		conn.Close()
		t.Error("the listener is open after Stop")
	}
}

func TestStopRightAfterStart(t *testing.T) {
	for range 50 {
		e := newEdge(t)
		if err := e.server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", e.server.Addr().String()); err == nil {
			conn.Close()
			t.Fatal("the listener is open after Stop")
		}
	}
}

func TestStartSaysWhichAddressIsTaken(t *testing.T) {
	taken := newEdge(t).server.Addr().String()
	c := Default()
	c.Listen = taken
	s, err := NewServer(c, &clickSink{}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), taken) {
		t.Errorf("Start on a taken address: %v", err)
	}
}
