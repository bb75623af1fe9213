package redirect

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// timeouts bound how long a client may keep a connection waiting.
type timeouts struct {
	read  time.Duration // for a whole request, and for the first byte of a new connection
	write time.Duration // for an answer; a client that takes it slowly may have twice as long
	idle  time.Duration // between requests; a connection may lie idle for twice as long
}

// timedListener gives each connection its timeouts.
type timedListener struct {
	net.Listener
	timeouts *timeouts
}

// Accept waits for a connection whose first byte is due within the read timeout.
func (l timedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &timedConn{Conn: conn, timeouts: l.timeouts}
	now := time.Now()
	if err := errors.Join(conn.SetReadDeadline(now.Add(c.timeouts.read)), conn.SetWriteDeadline(now.Add(c.timeouts.write))); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// A timedConn keeps the timeouts of a connection without setting deadlines for each request, as fasthttp would three times: each
// is a change to the runtime's timers under a lock, together a twentieth of a redirect. A deadline is set only for a request that
// comes in pieces; else an old one is left to pass, and when it does on a connection that has been in use since, it is
// moved instead of obeyed. Server goroutines of one connection do not overlap, so its fields need no lock.
type timedConn struct {
	net.Conn
	timeouts *timeouts

	begun    bool // bytes of a request have been read and no answer has been written
	timed    bool // begun, and the request's own deadline is set
	answered bool // since the read deadline was set

	peer  netip.Addr // set by the first request that asks, see Server.peer
	proxy bool       // that is a trusted proxy's
}

// Read fails with os.ErrDeadlineExceeded when the client has not sent its request in time.
func (c *timedConn) Read(b []byte) (int, error) {
	if c.begun && !c.timed { // the first piece has just come
		if err := c.SetReadDeadline(time.Now().Add(c.timeouts.read)); err != nil {
			return 0, err
		}
		c.timed, c.answered = true, false
	}
	for {
		n, err := c.Conn.Read(b)
		if n > 0 {
			c.begun = true
			return n, err
		}
		if !c.answered || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		c.answered = false
		if err := c.SetReadDeadline(time.Now().Add(c.timeouts.idle)); err != nil {
			return 0, err
		}
	}
}

// interim is how an answer begins that asks for the rest of the request.
const interim = "HTTP/1.1 100 "

// Write fails with os.ErrDeadlineExceeded when the client does not take its answer in time.
func (c *timedConn) Write(b []byte) (int, error) {
	if !hasPrefix(b, interim) {
		c.begun, c.timed, c.answered = false, false, true
	}
	written := 0
	for moved := false; ; moved = true { // the deadline may be that of an earlier answer: this one has its time from then on
		n, err := c.Conn.Write(b[written:])
		written += n
		if moved || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		if err := c.SetWriteDeadline(time.Now().Add(c.timeouts.write)); err != nil {
			return written, err
		}
	}
}
