package faults

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy stands between a node and ClickHouse and disturbs what passes.
type Proxy struct {
	Addr string // host:port to connect to

	server  string
	marker  []byte // how the insert begins whose answers may be lost
	losing  atomic.Bool
	holding atomic.Bool
	lost    atomic.Int64
	delay   atomic.Int64 // nanoseconds
	mu      sync.Mutex
	conns   map[net.Conn]bool // both ends of all connections; nil when closed
	closed  chan struct{}
	serving sync.WaitGroup
}

// endOfStream is the last packet of an answer of the native protocol.
var endOfStream = []byte{5}

// NewProxy forwards to server until the end of the test. table is the one whose inserts may lose their answers.
func NewProxy(t testing.TB, server, table string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: l.Addr().String(), server: server, marker: []byte(`INSERT INTO "` + table + `"`), conns: map[net.Conn]bool{},
		closed: make(chan struct{}),
	}
	p.serving.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		close(p.closed)
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.conns = nil
		p.mu.Unlock()
		p.serving.Wait()
	})
	return p
}

// LoseAnswers cuts the connection, from now on, where the answer to an insert would come back: the rows are stored and
// nobody says so.
func (p *Proxy) LoseAnswers(lose bool) { p.losing.Store(lose) }

// HoldOn keeps connections to the server, from now on, when their client dies: the embedded engine may end otherwise.
func (p *Proxy) HoldOn() { p.holding.Store(true) }

// Lost is how many answers have been lost.
func (p *Proxy) Lost() int { return int(p.lost.Load()) }

// Delay holds back whatever comes from the server for so long.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, upstream) {
			return
		}
		var inserting atomic.Bool
		p.serving.Go(func() { p.forward(upstream, client, &inserting) })
		p.serving.Go(func() { p.back(client, upstream, &inserting) })
	}
}

// keep remembers the ends of a connection; false means that the proxy is closed, and they are too.
func (p *Proxy) keep(ends ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range ends {
		if p.conns == nil {
			_ = c.Close()
			continue
		}
		p.conns[c] = true
	}
	return p.conns != nil
}

// part closes both ends of a connection.
func (p *Proxy) part(ends ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range ends {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// forward passes on what the client sends and notices inserts.
func (p *Proxy) forward(upstream, client net.Conn, inserting *atomic.Bool) {
	defer p.part(upstream, client)
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if bytes.Contains(buf[:n], p.marker) {
			inserting.Store(true)
		}
		_, werr := upstream.Write(buf[:n])
		if err != nil && p.holding.Load() {
			<-p.closed
		}
		if err != nil || werr != nil {
			return
		}
	}
}

// back passes on what the server answers, late, or not at all.
func (p *Proxy) back(client, upstream net.Conn, inserting *atomic.Bool) {
	defer p.part(upstream, client)
	buf := make([]byte, 64<<10)
	answers := 0
	for {
		n, err := upstream.Read(buf)
		if inserting.Load() {
			answers++ // the first are the table's columns
		}
		if err != nil {
			return
		}
		if p.losing.Load() && answers > 1 && bytes.HasSuffix(buf[:n], endOfStream) {
			p.lost.Add(1)
			return
		}
		select {
		case <-time.After(time.Duration(p.delay.Load())):
		case <-p.closed:
			return
		}
		if _, err := client.Write(buf[:n]); err != nil && !p.holding.Load() {
			return
		}
	}
}
