package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A crowd of followers taps one link over connections that stay open, as browsers and balancers do. It sends by hand what
// net/http would quietly send again.
type crowd struct {
	address, host, path string
	stop                chan struct{}
	done                sync.WaitGroup

	mu       sync.Mutex
	answered map[string]bool // click ids
	early    int             // answers of a node that has no table yet
	refused  int             // connections that nobody took
	failures []string
}

// pause is how long a follower waits between two taps.
const pause = 80 * time.Millisecond

// newCrowd sends its followers off; each waits a moment of its own first.
func newCrowd(t *testing.T, address, link string, followers int) *crowd {
	t.Helper()
	parsed, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{address: address, host: parsed.Host, path: parsed.Path, stop: make(chan struct{}), answered: map[string]bool{}}
	for i := range followers {
		c.done.Go(func() { c.follow(pause * time.Duration(i) / time.Duration(followers)) })
	}
	return c
}

// disperse ends it.
func (c *crowd) disperse() {
	close(c.stop)
	c.done.Wait()
}

// taps are the answers so far.
func (c *crowd) taps() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.answered)
}

func (c *crowd) follow(first time.Duration) {
	var conn *follower
	defer func() { conn.close() }()
	for wait := first; ; wait = pause {
		select {
		case <-c.stop:
			return
		case <-time.After(wait):
		}
		if conn.hungUp() {
			conn.close()
			conn = nil
		}
		if conn == nil {
			conn = c.dial()
		}
		if conn != nil && !c.tap(conn) {
			conn.close()
			conn = nil
		}
	}
}

// A follower's connection.
type follower struct {
	net.Conn
	in       *bufio.Reader
	answered int
}

func (f *follower) close() {
	if f != nil {
		_ = f.Close() // the other end may have done it
	}
}

// hungUp reports whether the server has closed the connection between two taps, which is its right.
func (f *follower) hungUp() bool {
	if f == nil {
		return false
	}
	if err := f.SetReadDeadline(time.Now().Add(100 * time.Microsecond)); err != nil {
		return true
	}
	_, err := f.in.Peek(1)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func (c *crowd) dial() *follower {
	conn, err := net.DialTimeout("tcp", c.address, 5*time.Second)
	if err == nil {
		return &follower{Conn: conn, in: bufio.NewReader(conn)}
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		c.note(&c.refused)
	} else {
		c.fail(fmt.Errorf("connect: %w", err))
	}
	return nil
}

// tap asks once and reports whether the connection stays open.
func (c *crowd) tap(conn *follower) bool {
	id, open, err := c.ask(conn)
	switch {
	case errors.Is(err, errEarly):
		c.note(&c.early)
		return open
	case err == nil:
		conn.answered++
		c.mu.Lock()
		c.answered[id] = true
		c.mu.Unlock()
		return open
	case conn.answered == 0 && isHangUp(err):
		c.note(&c.refused) // still in the kernel's queue when the listener closed: whoever took it would have answered
	default:
		c.fail(fmt.Errorf("tap %d of a connection: %w", conn.answered+1, err))
	}
	return false
}

// errEarly is the answer of a node that balancers do not ask yet: /readyz is 503, too.
var errEarly = errors.New("the node has no table yet")

func (c *crowd) ask(conn *follower) (id string, open bool, err error) {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", false, err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n", c.path, c.host, desktopChrome); err != nil {
		return "", false, err
	}
	response, err := http.ReadResponse(conn.in, nil)
	if err != nil {
		return "", false, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", false, err
	}
	if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != "" {
		return "", !response.Close, errEarly
	}
	match := clickIDText.FindStringSubmatch(response.Header.Get("Location"))
	if match == nil {
		return "", false, fmt.Errorf("answer %d without a click id", response.StatusCode)
	}
	return match[1], !response.Close, nil
}

func isHangUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (c *crowd) note(n *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, time.Now().Format("15:04:05.000 ")+err.Error())
}
