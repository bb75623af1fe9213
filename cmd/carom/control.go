package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/alecthomas/kong"

	"carom/control"
	"carom/report"
)

// controlCommand is the control process: the one writer of reference data.
type controlCommand struct {
	configFlags

	ClickHouse    string `name:"clickhouse" required:"" placeholder:"DSN" env:"CAROM_CLICKHOUSE" help:"clickhouse://user:pass@host:9000/carom, several hosts allowed."`
	ClusterSecret string `required:"" type:"existingfile" placeholder:"FILE" env:"CAROM_CLUSTER_SECRET" help:"File with the secret that seals the keys table."`
	PublicURL     string `default:"https://{host}" env:"CAROM_PUBLIC_URL" help:"How short links are written."`
	ControlFile   string `type:"path" placeholder:"FILE" env:"CAROM_CONTROL_FILE" help:"Leave the address and an administrator's token here, readable by the owner only: the way to the first token."`

	Rate  float64 `default:"100" env:"CAROM_RATE" help:"Requests a second that one token may send to the API for long (${default})."`
	Burst int     `default:"500" env:"CAROM_BURST" help:"Requests that it may send at once (${default})."`

	Advertise string        `placeholder:"URL" env:"CAROM_ADVERTISE" help:"Where other machines find this process's API, for a standby to tell; without it, the admin address."`
	Lease     time.Duration `default:"10s" env:"CAROM_LEASE" help:"How long a standby waits for a sign of the process that writes before it takes over, at least a second (${default})."`
	TakeOver  bool          `env:"CAROM_TAKE_OVER" help:"Become the one that writes at once, whoever is; that one is a standby then. Without it this process waits while another one writes."`

	adminFlags
}

// Run serves until the context ends.
func (c *controlCommand) Run(ctx context.Context, command *kong.Context, log *slog.Logger, terminal *console) (err error) {
	if c.PrintConfig {
		return printConfig(terminal.Out, command)
	}
	if err := c.check(); err != nil {
		return err
	}
	secret, err := readSecret(c.ClusterSecret)
	if err != nil {
		return err
	}
	conn, err := openClickHouse(c.ClickHouse)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	leaseConn, err := openClickHouse(c.ClickHouse)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leaseConn.Close()) }()
	state := &standing{reach: &reachability{conn: conn}}
	reg := newRegistry()
	ops, err := newAdmin(c.adminFlags, reg, state.ready, log)
	if err != nil {
		return err
	}
	ops.about = state.about
	if err := ops.listen(c.Admin); err != nil {
		return err
	}
	config := control.DefaultConfig()
	config.Conn, config.LeaseConn, config.ClusterSecret, config.Log = conn, leaseConn, secret, log
	config.PublicURL, config.Version = c.PublicURL, version()
	config.Address, config.TakeOver = cmp.Or(c.Advertise, ops.url()), c.TakeOver
	config.Rate, config.Burst, config.Lease = c.Rate, c.Burst, c.Lease
	writer, err := control.New(config)
	if err != nil {
		return err
	}
	if err := writer.Start(ctx); err != nil {
		return err
	}
	defer writer.Stop()
	state.writer = writer
	registerLeader(reg, writer)
	defer startRollups(conn, reg, log).Stop()
	mountAPI(ops.mux, writer, conn, log)
	ops.serve()
	select {
	case <-writer.Leads():
		if c.ControlFile != "" {
			if err := leaveControlFile(ctx, c.ControlFile, ops.url(), writer); err != nil {
				return err
			}
		}
		log.Info("control serves", "admin", ops.url())
	case <-ctx.Done():
	}
	<-ctx.Done()
	ops.stopping.Store(true)
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return ops.stop(finish)
}

// check refuses flags out of range.
func (c *controlCommand) check() error {
	if c.Lease < time.Second {
		return fmt.Errorf("%w: --lease %s: must be a second at least", errUsage, c.Lease)
	}
	if c.Rate <= 0 || c.Burst < 1 {
		return fmt.Errorf("%w: --rate %g --burst %d: both must be above 0", errUsage, c.Rate, c.Burst)
	}
	return nil
}

// mountAPI puts the API, reports included, on the admin listener. conn reads the reports.
func mountAPI(mux *http.ServeMux, writer *control.Control, conn driver.Conn, log *slog.Logger) {
	config := report.DefaultConfig()
	config.Conn, config.Log = conn, log
	report.Register(writer.API(mux), report.New(config), func(ctx context.Context) (report.Scope, error) {
		scope := control.ScopeOf(ctx)
		return report.Scope{All: scope.All, Brands: scope.Brands}, nil
	})
}
