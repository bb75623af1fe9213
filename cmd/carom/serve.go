package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/alecthomas/kong"

	"carom/geo"
	"carom/ingest"
	"carom/redirect"
)

// serveCommand is one production edge node.
type serveCommand struct {
	configFlags

	Listen        string        `default:":8080" env:"CAROM_LISTEN" help:"Public address."`
	ClickHouse    string        `name:"clickhouse" required:"" placeholder:"DSN" env:"CAROM_CLICKHOUSE" help:"clickhouse://user:pass@host:9000/carom, several hosts allowed."`
	ClusterSecret string        `required:"" type:"existingfile" placeholder:"FILE" env:"CAROM_CLUSTER_SECRET" help:"File with the secret that opens the keys table."`
	Node          uint16        `required:"" env:"CAROM_NODE" help:"Number of this node, 0 to 1023, unique in the cluster."`
	Proxies       []string      `name:"trusted-proxies" placeholder:"CIDR,…" env:"CAROM_TRUSTED_PROXIES" help:"Networks whose X-Forwarded-For or Forwarded is believed (none)."`
	ProxyProtocol bool          `env:"CAROM_PROXY_PROTOCOL" help:"Each connection of a trusted proxy begins with a PROXY protocol header, version 1 or 2, which says who is asking; other peers need none."`
	BatchRows     int           `default:"100000" env:"CAROM_BATCH_ROWS" help:"Rows of an insert when busy."`
	BatchAge      time.Duration `default:"1s" env:"CAROM_BATCH_AGE" help:"Age of an insert when quiet."`
	BufferBytes   int           `default:"268435456" env:"CAROM_BUFFER_BYTES" help:"Memory for clicks that ClickHouse has not taken yet, without a spool."`
	Spool         string        `placeholder:"DIR" env:"CAROM_SPOOL" help:"Directory that keeps clicks until ClickHouse has taken them, whatever dies; must outlive the node (none: memory)."`
	SpoolBudget   int           `default:"8589934592" env:"CAROM_SPOOL_BUDGET" help:"Bytes of clicks in the spool; beyond them the newest is dropped and counted."`
	SpoolSegment  int           `default:"4194304" env:"CAROM_SPOOL_SEGMENT" help:"Bytes of one file of the spool, a power of two from 65536: smaller ones take less disk in advance, at least three for each core; there are at most 32768."`
	SyncInterval  time.Duration `default:"200ms" env:"CAROM_SYNC_INTERVAL" help:"A power loss loses at most so much of the spool; 0 writes each click to the disk before its answer."`
	Snapshot      string        `placeholder:"FILE" env:"CAROM_SNAPSHOT" help:"File that keeps the link table, from which the node starts while ClickHouse is away (table.snapshot in the spool; none without one)."`
	Compress      bool          `env:"CAROM_COMPRESS" help:"LZ4 towards ClickHouse: for links slower than a LAN."`
	Linger        time.Duration `default:"1s" env:"CAROM_LINGER" help:"How long a stopping node goes on answering while /readyz fails and each answer closes its connection, so that balancers and clients go elsewhere."`
	DrainTimeout  time.Duration `default:"30s" env:"CAROM_DRAIN_TIMEOUT" help:"How long a stop waits for requests and clicks under way."`

	adminFlags
	geoFiles
}

// geoFiles are the flags of every command that locates clicks.
type geoFiles struct {
	GeoCountry string `placeholder:"FILE" env:"CAROM_GEO_COUNTRY" help:"Country database (mmdb)."`
	GeoCity    string `placeholder:"FILE" env:"CAROM_GEO_CITY" help:"City database (mmdb)."`
	GeoASN     string `name:"geo-asn" placeholder:"FILE" env:"CAROM_GEO_ASN" help:"Network operator database (mmdb)."`
}

func (f geoFiles) geoConfig(log *slog.Logger) geo.Config {
	c := geo.Default()
	c.Country, c.City, c.ASN, c.Logger = f.GeoCountry, f.GeoCity, f.GeoASN, log
	return c
}

// Run serves until the context ends.
func (c *serveCommand) Run(ctx context.Context, command *kong.Context, log *slog.Logger, terminal *console) error {
	if c.PrintConfig {
		return printConfig(terminal.Out, command)
	}
	if c.Spool != "" {
		moreProcessors()
	}
	config, err := c.edgeConfig(log)
	if err != nil {
		return err
	}
	reg := newRegistry()
	node, err := newEdge(config, reg, log)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	ops, err := newAdmin(c.adminFlags, reg, node.ready, log)
	if err != nil {
		return err
	}
	ops.about = node.about
	if err := ops.listen(c.Admin); err != nil {
		return err
	}
	if err := node.start(ctx); err != nil {
		return err
	}
	ops.serve()
	if c.Spool == "" {
		log.Warn("no spool: a kill loses the clicks and sales that ClickHouse has not taken; name a directory with --spool")
	}
	log.Info("edge node serves", "node", c.Node, "public", node.server.Addr().String(), "admin", ops.url())
	<-ctx.Done()

	ops.stopping.Store(true)
	log.Info("edge node stops: it answers what is under way and delivers its clicks")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainTimeout)
	defer cancel()
	return errors.Join(node.stop(drain), ops.stop(drain))
}

// moreProcessors gives the Go runtime a second processor on a machine of one core: one waits for the disk with the goroutine that syncs
// the spool, for some milliseconds ten times a second, and redirects want one then. With two their p99 at 20 000 requests a second is half.
func moreProcessors() {
	if _, said := os.LookupEnv("GOMAXPROCS"); !said && runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2)
	}
}

func (c *serveCommand) edgeConfig(log *slog.Logger) (edgeConfig, error) {
	secret, err := readSecret(c.ClusterSecret)
	if err != nil {
		return edgeConfig{}, err
	}
	proxies, err := redirect.ParseProxies(c.Proxies)
	if err != nil {
		return edgeConfig{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	config := defaultEdge(c.ClickHouse, secret, log)
	config.Redirect.Listen, config.Redirect.Node, config.Redirect.Proxies = c.Listen, c.Node, proxies
	config.Redirect.ProxyHeader, config.Redirect.Linger = c.ProxyProtocol, c.Linger
	config.Ingest.Node, config.Ingest.BatchRows, config.Ingest.BatchAge = c.Node, c.BatchRows, c.BatchAge
	config.Ingest.Compress, config.Ingest.Ring.BudgetBytes = c.Compress, c.BufferBytes
	config.Ingest.Spool, config.Ingest.SpoolBytes = c.Spool, c.SpoolBudget
	if config.Source.Snapshot = c.Snapshot; c.Snapshot == "" && c.Spool != "" {
		config.Source.Snapshot = filepath.Join(c.Spool, snapshotFile)
	}
	config.Ingest.Ring.SegmentBytes = c.SpoolSegment
	config.Ingest.ConversionRing.SegmentBytes = min(config.Ingest.ConversionRing.SegmentBytes, c.SpoolSegment)
	config.Ingest.Ring.SyncEvery, config.Ingest.ConversionRing.SyncEvery = c.SyncInterval, c.SyncInterval
	config.Geo = c.geoConfig(log)
	return config, nil
}

// snapshotFile is the name of a snapshot that was not given one.
const snapshotFile = "table.snapshot"

// defaultEdge is the configuration of a node but for what only its command line knows.
func defaultEdge(dsn string, secret []byte, log *slog.Logger) edgeConfig {
	c := edgeConfig{
		Redirect: redirect.Default(), Source: redirect.DefaultSource(), Ingest: ingest.Default(), Geo: geo.Default(),
		Secret: secret,
	}
	c.Source.ClickHouse, c.Ingest.ClickHouse = dsn, dsn
	c.Geo.Logger = log
	return c
}
