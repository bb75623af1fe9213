package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/control"
	"carom/deploy/engine"
	"carom/ingest/schema"
	"carom/redirect"
)

// upCommand is everything on one machine.
type upCommand struct {
	Empty   bool     `help:"Start without the sample brands."`
	Data    string   `default:"carom-data" type:"path" placeholder:"DIR" env:"CAROM_DATA" help:"Directory of tables and secrets, made when missing (${default})."`
	Listen  string   `default:"127.0.0.1:8080" env:"CAROM_LISTEN" help:"Public address."`
	Proxies []string `name:"trusted-proxies" placeholder:"CIDR,…" env:"CAROM_TRUSTED_PROXIES" help:"Networks whose X-Forwarded-For or Forwarded is believed (none)."`

	adminFlags
	enginePorts

	held []net.Listener // addresses of the two above, until they are listened on
}

const (
	upNode    = 1
	upLinger  = 300 * time.Millisecond // connections in use end with their next answer; no balancer has to notice
	upTimeout = 30 * time.Second       // for a start of the edge, and for a stop
)

// Run brings everything up, prints what to click, and takes it down when the context ends.
func (c *upCommand) Run(ctx context.Context, log *slog.Logger, terminal *console) (err error) {
	defer c.release()
	proxies, err := c.check()
	if err != nil {
		return err
	}
	assets, err := engine.Install(ctx, terminal.Err)
	if err != nil {
		return err
	}
	kept, err := startEngine(ctx, assets, filepath.Join(c.Data, "clickhouse"), c.enginePorts, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.stop()) }()
	db := kept.engine() // a later one has the same addresses and passwords
	if _, err := schema.Apply(ctx, schema.Files, db.DSN(engine.Admin), nil); err != nil {
		return err
	}
	secret, err := makeSecret(filepath.Join(c.Data, secretFile))
	if err != nil {
		return err
	}
	conn, err := openClickHouse(db.DSN(engine.Admin))
	if err != nil {
		return err
	}
	defer conn.Close()
	leaseConn, err := openClickHouse(db.DSN(engine.Admin))
	if err != nil {
		return err
	}
	defer leaseConn.Close()
	writer, err := c.startControl(ctx, conn, leaseConn, secret, log)
	if err != nil {
		return err
	}
	defer writer.Stop()
	return c.serve(ctx, c.edgeConfig(db, secret, proxies, assets, log), kept, conn, writer, log, terminal)
}

// serve runs the node, and the API beside it, until ctx or the engine ends.
func (c *upCommand) serve(
	ctx context.Context, config edgeConfig, kept *keptEngine, conn driver.Conn, writer *control.Control, log *slog.Logger, terminal *console,
) (err error) {
	reg := newRegistry()
	registerLeader(reg, writer)
	defer startRollups(conn, reg, log).Stop()
	node, err := newEdge(config, reg, log)
	if err != nil {
		return err
	}
	ops, err := newAdmin(c.adminFlags, reg, node.ready, log)
	if err != nil {
		return err
	}
	ops.about = node.about
	mountAPI(ops.mux, writer, conn, log)
	c.release()
	if err := ops.listen(c.Admin); err != nil {
		return err
	}
	if err := leaveControlFile(ctx, filepath.Join(c.Data, controlFile), ops.url(), writer); err != nil {
		return err
	}
	ops.serve()
	if err := node.start(ctx); err != nil {
		return err
	}
	defer func() {
		ops.stopping.Store(true)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), upTimeout)
		defer cancel()
		err = errors.Join(err, node.stop(drain), ops.stop(drain))
	}()
	if err := node.waitReady(ctx, upTimeout); err != nil {
		return err
	}
	if err := c.greet(ctx, terminal, writer, kept.engine(), ops.url()); err != nil {
		return err
	}
	select {
	case <-kept.done:
		return nil // kept.stop says why
	case <-ctx.Done():
		fmt.Fprintln(terminal.Err, "stopping: answering what is under way, delivering clicks")
		return nil
	}
}

// check finds out before the slow part what is wrong with the flags, and which ports stand for port 0.
func (c *upCommand) check() (proxies redirect.Proxies, err error) {
	if proxies, err = redirect.ParseProxies(c.Proxies); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := c.hold(&c.Listen, "--listen"); err != nil {
		return nil, err
	}
	return proxies, c.hold(&c.Admin, "--admin")
}

// edgeConfig is that of the one node of an up.
func (c *upCommand) edgeConfig(db *engine.Engine, secret []byte, proxies redirect.Proxies, assets engine.Assets, log *slog.Logger) edgeConfig {
	config := defaultEdge(db.DSN(engine.Edge), secret, log)
	config.Redirect.Listen, config.Redirect.Node, config.Redirect.Proxies = c.Listen, upNode, proxies
	config.Redirect.Linger = upLinger
	config.Ingest.Node, config.Ingest.Spool = upNode, filepath.Join(c.Data, "spool")
	config.Source.Snapshot = filepath.Join(c.Data, snapshotFile)
	config.Geo.Country = assets.CountryDB
	return config
}

// hold fails where an address is taken, chooses a port for port 0, and keeps others off it until release.
func (c *upCommand) hold(address *string, flag string) error {
	if _, err := net.ResolveTCPAddr("tcp", *address); err != nil {
		return fmt.Errorf("%w: %s %q: must be host:port: %w", errUsage, flag, *address, err)
	}
	l, err := net.Listen("tcp", *address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with %s", *address, err, flag)
	}
	*address = l.Addr().String()
	c.held = append(c.held, l)
	return nil
}

// release leaves the addresses to those that listen there.
func (c *upCommand) release() {
	for _, l := range c.held {
		_ = l.Close() // nobody was let in
	}
	c.held = nil
}

// openClickHouse opens a pool of connections; it connects when first used.
func openClickHouse(dsn string) (driver.Conn, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse DSN: %w", err)
	}
	options.DialTimeout = 2 * time.Second // dialling does not heed a context
	options.ConnMaxLifetime = time.Minute
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse DSN: %w", err)
	}
	return conn, nil
}

// startControl starts the writer of reference data and, in an empty world, imports the samples.
func (c *upCommand) startControl(ctx context.Context, conn, leaseConn driver.Conn, secret []byte, log *slog.Logger) (*control.Control, error) {
	config := control.DefaultConfig()
	config.Conn, config.LeaseConn, config.ClusterSecret, config.Log = conn, leaseConn, secret, log
	config.PublicURL, config.Version = "http://{host}", version()
	config.Address, config.TakeOver = "http://"+c.Admin, true // the engine is this process's own: an earlier one has ended
	if _, port, err := net.SplitHostPort(c.Listen); err == nil {
		config.PublicURL += ":" + port
	}
	writer, err := control.New(config)
	if err != nil {
		return nil, err
	}
	if err := writer.Start(ctx); err != nil {
		return nil, err
	}
	if c.Empty {
		return writer, nil
	}
	return writer, c.importSamples(ctx, conn, writer)
}
