package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/deploy/engine"
	"carom/ingest/schema"
)

// A bench is everything that runs: the engine, the three servers, the generators.
type bench struct {
	options   options
	cpus      cpus
	dir       string // everything that is written, removed at the end
	program   string // carom
	countryDB string // that comes with the engine
	config    engine.Config
	engine    *engine.Engine // nil while ClickHouse is gone
	conn      driver.Conn
	world     *world
	streams   []*stream
	wrk       *wrk
	bare      *process
	nginx     *process
	carom     *caromNode
	spooled   *caromNode // the same with a spool on the disk
	large     *caromNode // of the part scale, see there
	largeConn driver.Conn
	ceiling   *ceiling
	result    result
	clicks    uint64 // that Carom has answered
}

// newBench starts everything. What was started is stopped when it fails.
func newBench(ctx context.Context, o options) (_ *bench, err error) {
	b := &bench{options: o, result: result{Options: o, Machine: thisMachine()}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.cpus, err = twoCPUs(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "carom-bench-"); err != nil {
		return nil, err
	}
	if b.wrk, err = newWrk(b.dir, o.Conns); err != nil {
		return nil, err
	}
	b.program, err = buildCarom(ctx, b.dir) // before pinning: it takes two CPUs
	if err != nil {
		return nil, err
	}
	if err := pinSelf(b.cpus.load); err != nil {
		return nil, err
	}
	if err := b.startEngine(ctx); err != nil {
		return nil, err
	}
	if b.world, err = newWorld(b.dir, o.Links); err != nil {
		return nil, err
	}
	if err := b.world.write(ctx, b.conn); err != nil {
		return nil, err
	}
	if err := b.makeStreams(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *bench) startEngine(ctx context.Context) error {
	assets, err := engine.Install(ctx, os.Stderr)
	if err != nil {
		return err
	}
	b.countryDB = assets.CountryDB
	if b.config, err = engine.Default(assets, filepath.Join(b.dir, "clickhouse")); err != nil {
		return err
	}
	if b.options.wants(partScale) {
		b.config.Databases = append(b.config.Databases, largeDatabase)
	}
	b.config.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	if b.engine, err = engine.Start(ctx, b.config); err != nil {
		return err
	}
	if _, err := schema.Apply(ctx, schema.Files, b.engine.DSN(engine.Admin), nil); err != nil {
		return err
	}
	return b.connect()
}

// connect opens the connections to the engine that runs.
func (b *bench) connect() error {
	o, err := clickhouse.ParseDSN(b.engine.DSN(engine.Admin))
	if err != nil {
		return err
	}
	b.conn, err = clickhouse.Open(o)
	b.ceiling = &ceiling{conn: b.conn, pid: b.engine.Pid(), rows: b.options.BatchRows}
	return err
}

func (b *bench) makeStreams() error {
	for _, part := range []struct {
		name  string
		links int
	}{{streamHot, b.options.Hot}, {streamRandom, b.options.Links}} {
		if alone := b.options.alone() != "" && part.name == streamRandom; !alone && !b.options.wants(part.name) {
			continue
		}
		s, err := newStream(part.name, filepath.Join(b.dir, part.name), b.world, b.options.Links, first(part.links), b.options.Direct)
		if err != nil {
			return err
		}
		b.streams = append(b.streams, s)
	}
	if len(b.streams) == 0 {
		return errors.New("--only names neither hot nor random: nothing to ask for")
	}
	return nil
}

// keepConnected lets a node look for changes on the same connection all the time: should it make a new one while the engine is
// paused, and give it up, that would end the engine, see wake.
const keepConnected = "?conn_max_lifetime=24h"

// startNode starts a node of that number. spool is its directory, or "".
func (b *bench) startNode(ctx context.Context, number, bufferBytes int, spool string) (*caromNode, error) {
	return b.startNodeOf(ctx, b.world, b.engine.DSN(engine.Edge), number, bufferBytes, spool)
}

// startNodeOf is startNode for a world in another database.
func (b *bench) startNodeOf(ctx context.Context, w *world, dsn string, number, bufferBytes int, spool string) (*caromNode, error) {
	return startCarom(ctx, b.cpus.server, b.program, w, caromConfig{
		dsn: dsn + keepConnected, countryDB: b.countryDB, batchRows: b.options.BatchRows,
		bufferBytes: bufferBytes, number: number, spool: spool, direct: b.options.Direct,
	})
}

// startServers starts Carom, sees what it answers, and starts the others to answer alike.
func (b *bench) startServers(ctx context.Context) (err error) {
	if b.carom, err = b.startNode(ctx, memoryNode, b.bufferBytes(), ""); err != nil {
		return err
	}
	if b.spooled, err = b.startNode(ctx, spoolNode, b.bufferBytes(), filepath.Join(b.dir, "spool")); err != nil {
		return err
	}
	if b.nginx, err = startNginx(ctx, b.cpus.server, filepath.Join(b.dir, "nginx"), b.world); err != nil {
		return err
	}
	b.result.LocationBytes = len(b.world.location(1))
	if b.bare, err = startBare(ctx, b.cpus.server, b.result.LocationBytes); err != nil {
		return err
	}
	return b.settle(ctx)
}

// settle asks every server for a link, looks whether they answer alike, and stops them until they are measured.
func (b *bench) settle(ctx context.Context) error {
	for _, p := range b.servers() {
		location, err := probe(ctx, p.addr, b.world)
		if err != nil {
			return fmt.Errorf("ask %s for a link: %w", p.name, err)
		}
		if len(location) != b.result.LocationBytes {
			return fmt.Errorf("%s answers %d bytes, not %d: %s", p.name, len(location), b.result.LocationBytes, location)
		}
	}
	b.clicks += uint64(len(b.nodes())) // the probes
	for _, n := range b.nodes() {      // one that is stopped while it connects to the engine would end that, see wake
		if _, err := n.drain(ctx); err != nil {
			return err
		}
		if err := n.rest(ctx); err != nil {
			return err
		}
	}
	for _, p := range b.servers() {
		p.pause()
	}
	return nil
}

// probe asks for the first link.
func probe(ctx context.Context, addr string, w *world) (location string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/"+w.code(1), nil)
	if err != nil {
		return "", err
	}
	request.Host = w.host
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusFound {
		err = errors.Join(err, fmt.Errorf("the answer is %s", response.Status))
	}
	return response.Header.Get("Location"), err
}

// clickBytes is more than a click takes in a buffer.
const clickBytes = 768

// bufferBytes holds all clicks that can pile up in a phase, at a rate that no server here reaches.
func (b *bench) bufferBytes() int {
	const mostPerSecond = 250_000
	const extra = 2 // turns: fillFlights goes on to the end of a load, touchBuffers adds one
	return clickBytes * ((b.options.turns()+extra)*mostPerSecond + openTurns*b.options.Rate + 2*b.options.BatchRows)
}

// nodes are those of Carom.
func (b *bench) nodes() []*caromNode {
	return slices.DeleteFunc([]*caromNode{b.carom, b.spooled, b.large}, func(n *caromNode) bool { return n == nil })
}

func (b *bench) servers() []*process {
	var all []*process
	for _, n := range b.nodes() {
		all = append(all, n.process)
	}
	for _, p := range []*process{b.nginx, b.bare} {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// pauseEngine and resumeEngine bracket what is measured without ClickHouse. The engine has a process group of its own: should
// bench be killed meanwhile, the kernel wakes it to a hang-up, and it ends.
func (b *bench) pauseEngine()  { _ = syscall.Kill(b.engine.Pid(), syscall.SIGSTOP) }
func (b *bench) resumeEngine() { _ = syscall.Kill(b.engine.Pid(), syscall.SIGCONT) }

// close stops everything and removes the files. Errors are told, not returned: the figures are out already.
func (b *bench) close() {
	if b.engine != nil {
		b.resumeEngine() // Carom delivers its last clicks
	}
	for _, p := range b.servers() {
		p.stop()
	}
	for _, conn := range b.conns() {
		_ = conn.Close()
	}
	if b.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := b.engine.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	if b.dir != "" {
		if err := os.RemoveAll(b.dir); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
}

// conns are the connections to the databases that clicks go to.
func (b *bench) conns() []driver.Conn {
	return slices.DeleteFunc([]driver.Conn{b.conn, b.largeConn}, func(c driver.Conn) bool { return c == nil })
}

// run measures everything but what runs alone.
func (b *bench) run(ctx context.Context) error {
	return b.whileEngineLives(ctx, func(ctx context.Context) error {
		for _, step := range []func(context.Context) error{b.memory, b.startServers, b.touchBuffers, b.rounds, b.verify} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) rounds(ctx context.Context) error {
	for round := range b.options.Rounds {
		if err := b.round(ctx, round); err != nil {
			return err
		}
	}
	return nil
}

// whileEngineLives measures something that cannot go on without the engine.
func (b *bench) whileEngineLives(ctx context.Context, measure func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-b.engine.Done():
			cancel(b.engine.Err())
		case <-ctx.Done():
		}
	}()
	err := measure(ctx)
	if why := context.Cause(ctx); why != nil {
		return why // the rest follows from it
	}
	return err
}

// verify looks whether every click that Carom answered is a row, once. wrk does not count what is under way when it ends.
func (b *bench) verify(ctx context.Context) error {
	var rows uint64
	for _, conn := range b.conns() {
		n, err := stored(ctx, conn)
		if err != nil {
			return fmt.Errorf("count clicks in ClickHouse: %w", err)
		}
		rows += n
	}
	b.result.Clicks = clickAccount{Answered: b.clicks, Stored: rows} // drain saw that none was dropped
	if uncounted := uint64(b.wrk.runs * b.options.Conns); rows < b.clicks || rows > b.clicks+uncounted {
		return fmt.Errorf("Carom answered %d requests on links, and at most %d more at the end of loads, but ClickHouse has %d clicks",
			b.clicks, uncounted, rows)
	}
	return nil
}
