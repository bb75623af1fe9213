package redirect

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pires/go-proxyproto"
)

// errProxyHeader is wrapped by the first read of a trusted proxy's connection that does not begin with a PROXY header.
var errProxyHeader = errors.New("no PROXY protocol header")

// proxiedListener takes from trusted proxies the address of their client, which they put before each connection in a header of
// the PROXY protocol, version 1 or 2. They must: whoever is behind a proxy that sends none could write one. To other peers such
// a header is no request.
type proxiedListener struct {
	net.Listener
	proxies Proxies
	timeout time.Duration // for the header, which must be there before the first request
}

// Accept does not wait for the header.
func (l *proxiedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil || !l.proxies.contains(peer(conn.RemoteAddr())) {
		return conn, err
	}
	return &proxiedConn{proxyproto.NewConn(conn, proxyproto.WithPolicy(proxyproto.REQUIRE),
		proxyproto.ValidateHeader(checkProxyHeader), proxyproto.SetReadHeaderTimeout(l.timeout))}, nil
}

// checkProxyHeader refuses a client that has not come by TCP, and so has no address that could be its own.
func checkProxyHeader(h *proxyproto.Header) error {
	if _, tcp := h.SourceAddr.(*net.TCPAddr); !tcp && !h.Command.IsLocal() {
		return fmt.Errorf("client's address %v is not that of a TCP connection", h.SourceAddr)
	}
	return nil
}

// proxiedConn is a connection from a trusted proxy. Its RemoteAddr is that of the proxy's client, of the proxy itself where
// that asks on its own account.
type proxiedConn struct {
	*proxyproto.Conn
}

// Read returns errProxyHeader where the header is missing or malformed.
func (c *proxiedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.ProxyHeader() == nil {
		err = fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	return n, err
}

// Write does not wait for the header: what is written before it refuses the connection, from the loop that accepts.
func (c *proxiedConn) Write(b []byte) (int, error) { return c.Raw().Write(b) }
