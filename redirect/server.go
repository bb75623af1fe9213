package redirect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"carom/ingest"
)

// Config is what one edge node needs to know.
type Config struct {
	Listen       string        // public address, host:port
	Node         uint16        // this node's number, at most MaxNode, unique in the cluster
	Proxies      Proxies       // load balancers that may say who is asking; none by default
	ProxyHeader  bool          // each of their connections begins with a header of the PROXY protocol, see proxiedListener
	ReadTimeout  time.Duration // for a whole request: a slower client is cut off
	WriteTimeout time.Duration // for an answer; up to twice as long on a connection in use, see timedConn
	IdleTimeout  time.Duration // between requests of a connection; up to twice as long
	MaxConns     int           // connections at once; further ones are answered 503; Start may allow fewer, see connLimit
	HeaderBytes  int           // longest request line and headers together; longer ones are answered 431
	BodyBytes    int           // longest body, for postbacks: each connection may hold one until ReadTimeout; others see discardBytes
	Linger       time.Duration // how long a stopping server goes on, closing each connection with its answer; see Stop
}

// Bounds of Config.HeaderBytes: what a browser sends must fit, and lengths of its pieces are kept in 16 bits.
const (
	minHeaderBytes = 1 << 10
	maxHeaderBytes = 1<<16 - 1
)

// Default listens on all addresses, port 8080.
func Default() Config {
	return Config{
		Listen: ":8080", ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 60 * time.Second,
		MaxConns: 100_000, HeaderBytes: 8 << 10, BodyBytes: 8 << 10,
	}
}

// A Sink takes what the edge has accepted. Neither call may wait.
type Sink interface {
	// PutClick reports false when the click had to be dropped, which the sink counts.
	PutClick(lane uint64, c *ingest.Click) bool
	// PutConversion reports false when there was no room and the sender should try again.
	PutConversion(c *ingest.Conversion) bool
}

// A Server answers on the public listener. Its table is replaced by SetTable, at any time.
type Server struct {
	config   Config
	sink     Sink
	log      *slog.Logger
	metrics  *metrics
	headers  headers
	http     *fasthttp.Server
	listener *patientListener
	socket   *net.TCPListener // beneath listener

	table    atomic.Pointer[Table] // handlers load it once a request; the source stores
	fresh    atomic.Int64          // Unix nanoseconds when the table was last known to be complete
	restored atomic.Bool           // the table is a snapshot's, and ClickHouse was not heard since
	leaving  atomic.Bool           // Stop sets it once; handlers load it once a request
	visitors visitorHasher
	clock    clickClock
	wall     wallClock
	scratch  sync.Pool        // of *scratch
	now      func() time.Time // nil: the time fasthttp took when the request was read
}

// NewServer makes a server that answers 503 until it has a table.
func NewServer(c Config, sink Sink, reg prometheus.Registerer, log *slog.Logger) (*Server, error) {
	if c.Node > MaxNode {
		return nil, fmt.Errorf("node number %d: 0 to %d are possible", c.Node, MaxNode)
	}
	if c.HeaderBytes < minHeaderBytes || c.HeaderBytes > maxHeaderBytes {
		return nil, fmt.Errorf("header limit of %d bytes: %d to %d are possible", c.HeaderBytes, minHeaderBytes, maxHeaderBytes)
	}
	if c.ProxyHeader && len(c.Proxies) == 0 {
		return nil, errors.New("PROXY protocol headers without trusted proxies: say who sends them")
	}
	s := &Server{config: c, sink: sink, log: log, headers: newHeaders()}
	s.table.Store(&Table{})
	s.fresh.Store(time.Now().UnixNano())
	s.scratch.New = func() any {
		return &scratch{location: make([]byte, 0, 4096), names: make([]byte, 0, 1024), stored: make([]byte, 0, 1024)}
	}
	s.metrics = newMetrics(reg, s)
	s.wall.register(reg, &s.clock)
	s.http = &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.refuse,
		HeaderReceived:               bodyLimit,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		ReadBufferSize:               c.HeaderBytes,
		MaxRequestBodySize:           c.BodyBytes,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,
		Logger:                       quiet{},
	}
	return s, nil
}

// quiet drops what fasthttp would log about single connections: clients must not be able to fill a log.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// SetTable replaces the table and notes that it is complete as of now.
func (s *Server) SetTable(t *Table) {
	s.setTable(t, time.Now())
	s.restored.Store(false)
}

// restoreTable puts the table of a snapshot in use. What it does not know may be newer than it is.
func (s *Server) restoreTable(t *Table, complete time.Time) {
	s.restored.Store(true)
	s.setTable(t, complete)
}

// setTable replaces the table and notes when it was complete.
func (s *Server) setTable(t *Table, complete time.Time) {
	s.visitors.set(t.visitors)
	s.table.Store(t)
	s.fresh.Store(complete.UnixNano())
}

// Fresh notes that the table in use is complete as of now.
func (s *Server) Fresh() {
	s.fresh.Store(time.Now().UnixNano())
	s.restored.Store(false)
}

// Age is the time since the table in use was last known to be complete.
func (s *Server) Age() time.Duration { return time.Since(time.Unix(0, s.fresh.Load())) }

// Table is the table in use.
func (s *Server) Table() *Table { return s.table.Load() }

// RaiseClock makes every later click id newer than unixMillis, for a node whose clock was set back: ids never repeat. To be
// called before Start, with the newest moment that an earlier process gave out.
func (s *Server) RaiseClock(unixMillis int64) { s.clock.raise(unixMillis) }

// Start listens and serves, as many connections as the process has descriptors for. The error is that of binding the
// address, or of asking for the limit of open files.
func (s *Server) Start() error {
	nofile, err := maxDescriptors()
	if err != nil {
		return err
	}
	s.http.Concurrency = connLimit(s.config.MaxConns, nofile)
	if s.http.Concurrency < s.config.MaxConns {
		s.log.Info("fewer connections than configured: raise the limit of open files (ulimit -n, LimitNOFILE)",
			"open_files", nofile, "configured", s.config.MaxConns, "connections", s.http.Concurrency)
	}
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // a click needs no second path, and closeDoor a socket that takes a filter
	l, err := plain.Listen(context.Background(), "tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for redirects on %s: %w", s.config.Listen, err)
	}
	s.socket = l.(*net.TCPListener)
	l = yielding(s.socket)
	if s.config.ProxyHeader {
		l = &proxiedListener{Listener: l, proxies: s.config.Proxies, timeout: s.config.ReadTimeout}
	}
	s.listener = &patientListener{Listener: l, errors: &s.metrics.accepts}
	timeouts := &timeouts{read: s.config.ReadTimeout, write: s.config.WriteTimeout, idle: s.config.IdleTimeout}
	go func() {
		if err := s.http.Serve(timedListener{s.listener, timeouts}); err != nil {
			s.log.Error("public listener ended", "error", err)
		}
	}()
	return nil
}

// Addr is the address that Start has bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Stop answers as before for as long as the configuration says, but closes each connection with its answer: a connection that
// is closed while it seems idle may have a request on its way. Then it lets nobody in any more (see closeDoor), closes idle
// connections and waits for requests under way, until ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	s.leaving.Store(true)
	pause(ctx, s.config.Linger)
	if s.socket != nil {
		if err := closeDoor(ctx, s.socket, s.config.Linger); err != nil {
			s.log.Warn("connections that come just now may be reset", "error", err)
		}
	}
	err := s.http.ShutdownWithContext(ctx)
	if s.listener != nil {
		err = errors.Join(err, s.listener.Close()) // an accept loop that had not begun yet was not known to the shutdown
	}
	if err != nil {
		return fmt.Errorf("shut down public listener: %w", err)
	}
	return nil
}

// patientListener keeps accepting through errors such as EMFILE, on which fasthttp would stop serving for good.
type patientListener struct {
	net.Listener
	errors *atomic.Uint64
}

// Accept waits a little after an error and tries again, until the listener is closed.
func (l *patientListener) Accept() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		l.errors.Add(1)
		time.Sleep(wait)
	}
}

// Close may be called again.
func (l *patientListener) Close() error {
	if err := l.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// refuse answers what fasthttp could not read as a request.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	s.metrics.count(outcomeBadRequest)
	var tooLong *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.Is(err, errProxyHeader):
		s.plain(ctx, fasthttp.StatusBadRequest, "A PROXY protocol header is missing or malformed.\n")
	case errors.As(err, &tooLong):
		s.plain(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, "Request line and headers are too long.\n")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		s.plain(ctx, fasthttp.StatusRequestEntityTooLarge, "The body is too long.\n")
	case errors.As(err, &timeout) && timeout.Timeout():
		s.plain(ctx, fasthttp.StatusRequestTimeout, "The request took too long.\n")
	default:
		s.plain(ctx, fasthttp.StatusBadRequest, "The request could not be read.\n")
	}
	ctx.SetConnectionClose()
}

// handle answers one request. A panic fails that request and nothing else.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	defer func() {
		if p := recover(); p != nil {
			s.metrics.count(outcomeFailed)
			s.log.Error("handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			ctx.Response.Reset()
			s.plain(ctx, fasthttp.StatusInternalServerError, "Something went wrong.\n")
		}
	}()
	if s.leaving.Load() {
		ctx.SetConnectionClose()
	}
	sc := s.scratch.Get().(*scratch)
	s.route(ctx, sc)
	s.scratch.Put(sc)
}

// route tells links from everything else.
func (s *Server) route(ctx *fasthttp.RequestCtx, sc *scratch) {
	h := &ctx.Request.Header
	to, status := parseTarget(h.RequestURI(), h.Host(), &sc.host)
	if status != 0 && h.IsOptions() && string(h.RequestURI()) == "*" && to.host != nil {
		status = 0 // about the server as a whole (RFC 9110, section 7.1)
	}
	if status == 0 && string(h.Protocol()) != "HTTP/1.1" && string(h.Protocol()) != "HTTP/1.0" {
		status = fasthttp.StatusHTTPVersionNotSupported
	}
	if status != 0 && !h.IsConnect() { // whose target is no path, and which is not answered anyway
		s.metrics.count(outcomeBadRequest)
		s.plain(ctx, status, fasthttp.StatusMessage(status)+".\n")
		ctx.SetConnectionClose()
		return
	}
	if !s.admits(ctx, to.path) {
		return
	}
	t := s.table.Load()
	defer runtime.KeepAlive(t) // links and locations lie in its memory
	if !t.Ready() {
		s.metrics.count(outcomeNotReady)
		s.plain(ctx, fasthttp.StatusServiceUnavailable, "Starting.\n")
		ctx.Response.Header.Set("Retry-After", "1")
		return
	}
	d := t.Domain(to.host)
	switch {
	case d == nil:
		if !s.page(ctx, nil, to.path) {
			s.unknown(ctx, nil)
		}
	case hasPrefix(to.path, "/_/"):
		s.convert(ctx, t, d, to)
	case len(to.path) == 1:
		s.home(ctx, d)
	default:
		if t.resolve(&sc.link, d, to.path) {
			s.click(ctx, sc, t, to.query)
		} else if !s.page(ctx, d, to.path) {
			s.unknown(ctx, d)
		}
	}
}

// admits reports whether path answers the request's method. If not, the request has been answered.
func (s *Server) admits(ctx *fasthttp.RequestCtx, path []byte) bool {
	h := &ctx.Request.Header
	postback := string(path) == "/_/postback"
	if h.IsGet() || h.IsHead() && !postback || h.IsPost() && postback {
		return true
	}
	s.metrics.count(outcomeMethod)
	if h.IsOptions() {
		ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
	} else {
		s.plain(ctx, fasthttp.StatusMethodNotAllowed, "Links answer GET and HEAD, postbacks GET and POST.\n")
	}
	allow := "GET, HEAD, OPTIONS"
	if postback {
		allow = "GET, POST, OPTIONS"
	}
	ctx.Response.Header.SetCanonical(s.headers.allow, []byte(allow))
	return false
}

// click records a request on a link and answers it.
func (s *Server) click(ctx *fasthttp.RequestCtx, sc *scratch, t *Table, query []byte) {
	a := ask(&ctx.Request.Header)
	s.decide(sc, t, a, query, s.client(ctx, &a).As16(), s.moment(ctx).UnixMilli())
	s.sink.PutClick(ctx.ConnID(), &sc.click)
	if why := sc.click.Reasons & (ingest.Expired | ingest.Disabled); why != 0 {
		s.ended(ctx, &sc.link, why)
		return
	}
	s.redirect(ctx, sc.location)
	if s.metrics.count(outcomeRedirect)%sampleEvery == 0 {
		s.metrics.duration.Observe(time.Since(ctx.Time()).Seconds())
	}
}

// moment is when the request was read.
func (s *Server) moment(ctx *fasthttp.RequestCtx) time.Time {
	if s.now != nil {
		return s.wall.now(s.now())
	}
	return s.wall.now(ctx.Time())
}

// peer is the address at the other end of the connection, and whether that is a trusted proxy's.
func (s *Server) peer(ctx *fasthttp.RequestCtx) (addr netip.Addr, proxy bool) {
	c, ok := ctx.Conn().(*timedConn)
	if !ok {
		addr = peer(ctx.RemoteAddr())
		return addr, s.config.Proxies.contains(addr)
	}
	if !c.peer.IsValid() {
		c.peer = peer(c.RemoteAddr())
		c.proxy = s.config.Proxies.contains(c.peer)
	}
	return c.peer, c.proxy
}

// client is the address that the request is accounted to: the peer's unless that is a trusted proxy, else what X-Forwarded-For or,
// without that, Forwarded says.
func (s *Server) client(ctx *fasthttp.RequestCtx, a *asker) netip.Addr {
	addr, proxy := s.peer(ctx)
	if !proxy {
		return addr
	}
	h := &ctx.Request.Header
	switch a.hopLines {
	case 0:
		return s.config.Proxies.client(addr, h.PeekAll("Forwarded"), cutForwarded)
	case 1:
		return s.config.Proxies.client(addr, a.hops[:], cutForwardedFor)
	default:
		return s.config.Proxies.client(addr, h.PeekAll("X-Forwarded-For"), cutForwardedFor)
	}
}
