package redirect

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
)

const (
	// mostCredit is how many reads in a row that had to wait end the yielding.
	mostCredit = 8
	// probeEvery is how many answers there are to one try while yielding does not pay.
	probeEvery = 16
	// mostYielding is the largest GOMAXPROCS with which connections yield: it takes a lock that all of them share.
	mostYielding = 8
)

// yielding makes the connections of l yield to each other, where that pays.
func yielding(l *net.TCPListener) net.Listener {
	if runtime.GOMAXPROCS(0) > mostYielding {
		return l
	}
	return yieldingListener{l}
}

// yieldingListener accepts connections that yield to each other.
type yieldingListener struct {
	*net.TCPListener
}

// Accept waits for a connection.
func (l yieldingListener) Accept() (net.Conn, error) {
	conn, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	socket, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &yieldingConn{TCPConn: conn, socket: socket}
	c.attempt = c.tryRead
	return c, nil
}

// A yieldingConn lets the connections go first that have something to do before it looks for its next request, as long as that
// pays. A client that has just been answered has not asked again yet, so on a busy server a read right away finds nothing, and it
// takes a wait for the poller to come back: a tenth of a redirect. After the others' turns the request is there. Where it is not,
// because the server is not busy or the client rests, a read right away costs no more, and yielding is only tried now and then.
// Server goroutines of one connection do not overlap, so its fields need no lock.
type yieldingConn struct {
	*net.TCPConn
	socket  syscall.RawConn
	attempt func(fd uintptr) (done bool) // tryRead, made once: a read allocates nothing

	written bool // since the last read
	writes  uint // reads that came after a write
	credit  int  // 0 to mostCredit: rises with each yield that paid, falls with each that did not

	// Of the read under way:
	buf    []byte
	n      int
	err    error
	waited bool // there was nothing to read at first
}

// Write notes that the next read is for another request.
func (c *yieldingConn) Write(b []byte) (int, error) {
	c.written = true
	return c.TCPConn.Write(b)
}

// Read fails as that of a TCP connection does.
func (c *yieldingConn) Read(b []byte) (int, error) {
	yields := c.yields()
	if yields {
		runtime.Gosched()
	}
	c.buf, c.waited = b, false
	err := c.socket.Read(c.attempt)
	c.buf = nil
	if yields && c.waited {
		c.credit = max(c.credit-1, 0)
	} else if yields {
		c.credit = min(c.credit+1, mostCredit)
	}
	switch {
	case err != nil: // the deadline has passed, or the connection is closed
		return 0, err
	case c.err != nil:
		return 0, os.NewSyscallError("read", c.err)
	case c.n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return c.n, nil
}

// yields reports whether the others go first, and counts.
func (c *yieldingConn) yields() bool {
	if !c.written {
		return false
	}
	c.written = false
	c.writes++
	return c.credit > 0 || c.writes%probeEvery == 0
}

// tryRead reports false when there is nothing to read yet.
func (c *yieldingConn) tryRead(fd uintptr) (done bool) {
	for {
		c.n, c.err = syscall.Read(int(fd), c.buf)
		switch {
		case c.err == nil:
			return true
		case errors.Is(c.err, syscall.EAGAIN):
			c.waited = true
			return false
		case !errors.Is(c.err, syscall.EINTR):
			return true
		}
	}
}
