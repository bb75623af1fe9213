package ingest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go"
)

// A connection waits for nothing any more once it is told to. ch-go heeds a context only between packets: a server that falls silent
// keeps it until the read timeout, and for ever in the middle of a packet.
type connection struct {
	net.Conn

	mu    sync.Mutex // a deadline and ended change together
	ended bool
}

// dial connects to the address of the options, with TLS where they have it.
func dial(ctx context.Context, o ch.Options) (*connection, error) {
	dialer := &net.Dialer{Timeout: o.DialTimeout}
	var conn net.Conn
	var err error
	if o.TLS != nil {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: o.TLS}).DialContext(ctx, "tcp", o.Address)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", o.Address)
	}
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &connection{Conn: conn}, nil
}

// end makes what waits, and later reads, fail with a timeout; ch-go then tells the server and closes.
func (c *connection) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	_ = c.SetDeadline(time.Unix(1, 0)) // fails where it is closed
}

// SetReadDeadline does nothing after the end.
func (c *connection) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}
