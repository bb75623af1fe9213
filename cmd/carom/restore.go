package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"carom/control"
	"carom/control/backup"
	"carom/deploy/engine"
	"carom/ingest/schema"
	"carom/redirect"
)

// restoreCommand puts reference data back where there is none.
type restoreCommand struct {
	File     string `arg:"" optional:"" type:"existingfile" placeholder:"FILE" help:"What carom backup has written."`
	Snapshot string `type:"existingfile" placeholder:"FILE" help:"In place of a backup: the snapshot of a node (table.snapshot), which knows all links but not all about them."`

	Unsigned bool   `help:"Restore a backup that is not signed, as carom wrote them once: only one that nobody else could write to."`
	Check    bool   `help:"Only check the file, and that the cluster of this secret has written it."`
	Replace  bool   `help:"Throw away the reference data that is there."`
	Spare    uint32 `default:"1000000" help:"Link numbers left unused, for links minted after the backup: so that their printed codes never lead elsewhere (${default})."`

	DSN           string `name:"clickhouse" placeholder:"DSN" env:"CAROM_CLICKHOUSE" help:"ClickHouse to restore into, clickhouse://user:password@host:9000/carom; otherwise that of --data."`
	ClusterSecret string `type:"path" placeholder:"FILE" env:"CAROM_CLUSTER_SECRET" help:"File with the secret of the cluster that was backed up (cluster.secret in --data)."`
	Data          string `default:"carom-data" type:"path" placeholder:"DIR" env:"CAROM_DATA" help:"Data directory of a carom up that does not run (${default})."`
}

// Help says what has to stand still.
func (restoreCommand) Help() string {
	return "No control process may run meanwhile: stop it, or the carom up. Nodes may run: they go on answering, and read the restored " +
		"data by themselves. An interrupted restore is run again; until it has ended no control process starts."
}

// Run restores and says what is there now.
func (c *restoreCommand) Run(ctx context.Context, log *slog.Logger, terminal *console) (err error) {
	if (c.File == "") == (c.Snapshot == "") {
		return fmt.Errorf("%w: name a backup or --snapshot FILE", errUsage)
	}
	secret, err := c.secret()
	if err != nil {
		return err
	}
	status := newStatusLine(terminal.Err)
	defer status.clear()
	world, err := c.open(secret, status)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.close()) }()
	status.clear()
	if c.Check {
		return c.tell(terminal, world)
	}
	dsn, stop, err := c.database(ctx, terminal, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	summary, err := c.into(ctx, dsn, world.source, status)
	if err != nil {
		return err
	}
	status.clear()
	fmt.Fprintf(terminal.Out, "restored %d links and %d brands, as of %s; new links are numbered from %d\n",
		summary.Rows["links"], summary.Rows["brands"], world.of.UTC().Format(time.RFC3339), summary.FirstLink)
	if c.Snapshot != "" {
		fmt.Fprintln(terminal.Out, "A snapshot does not know, so that it has to be imported or made again:")
		for _, lost := range control.SalvageLosses() {
			fmt.Fprintln(terminal.Out, "  "+lost)
		}
	}
	return nil
}

// tell says what the check has found.
func (c *restoreCommand) tell(terminal *console, world lostWorld) error {
	if err := world.describe(terminal.Out); err != nil {
		return err
	}
	if c.Snapshot != "" || c.Unsigned {
		fmt.Fprintln(terminal.Err, "It is whole.")
		return nil
	}
	fmt.Fprintln(terminal.Err, "It is whole, and the cluster of this secret has written it.")
	return nil
}

// A lostWorld is what is to be restored, checked.
type lostWorld struct {
	source   backup.Source
	of       time.Time // the moment it is of
	describe func(io.Writer) error
	close    func() error
}

// open reads a backup or a snapshot and checks all of it.
func (c *restoreCommand) open(secret []byte, status statusLine) (w lostWorld, err error) {
	sealer, err := redirect.NewSealer(secret)
	if err != nil {
		return w, err
	}
	if c.Snapshot != "" {
		status.write("reading " + c.Snapshot)
		snapshot, err := redirect.ReadSalvage(c.Snapshot, sealer)
		if err != nil {
			return w, fmt.Errorf("%w; nothing was written", err)
		}
		describe := func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "snapshot of %s: %d links\n", snapshot.Taken.UTC().Format(time.RFC3339), snapshot.Known())
			return err
		}
		return lostWorld{control.NewSalvage(snapshot, sealer), snapshot.Taken, describe, func() error { return nil }}, nil
	}
	file, err := backup.Open(c.File)
	if err != nil {
		return w, fmt.Errorf("%w; nothing was written", err)
	}
	status.write("checking " + c.File)
	if err := c.check(file, secret, sealer); err != nil {
		return w, errors.Join(fmt.Errorf("check %s: %w; nothing was written", c.File, err), file.Close())
	}
	return lostWorld{file, file.Created, func(out io.Writer) error { return describe(out, file) }, file.Close}, nil
}

// check reads all of a backup, which has to be this cluster's own.
func (c *restoreCommand) check(file *backup.File, secret []byte, sealer *redirect.Sealer) error {
	if err := file.Verify(); err != nil {
		return err
	}
	signer, err := backup.NewSigner(secret)
	if err != nil {
		return err
	}
	err = file.Trust(signer, sealer)
	if errors.Is(err, backup.ErrUnsigned) {
		if c.Unsigned {
			return nil
		}
		return fmt.Errorf("%w; if it is from an early carom and nobody else could write to it, say --unsigned", err)
	}
	return err
}

// into restores a source into the database that dsn names.
func (c *restoreCommand) into(ctx context.Context, dsn string, from backup.Source, status statusLine) (backup.Summary, error) {
	if _, err := schema.Apply(ctx, schema.Files, dsn, nil); err != nil {
		return backup.Summary{}, err
	}
	conn, err := openClickHouse(dsn)
	if err != nil {
		return backup.Summary{}, err
	}
	defer conn.Close()
	config := backup.Default()
	config.Conn, config.Replace, config.Spare = conn, c.Replace, c.Spare
	config.Progress = func(p backup.Progress) { status.write(fmt.Sprintf("%s: %d of %d rows", p.Table, p.Rows, p.Of)) }
	summary, err := control.Restore(ctx, config, from)
	if errors.Is(err, backup.ErrNotEmpty) {
		err = fmt.Errorf("%w; with --replace it is thrown away", err)
	}
	return summary, err
}

// secret is that of the cluster that was backed up.
func (c *restoreCommand) secret() ([]byte, error) {
	secret, err := findSecret(c.ClusterSecret, c.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; put the one there that was kept beside the backup, or name it with --cluster-secret", err)
	}
	return secret, err
}

// database is where to restore; stop ends what had to be started for it.
func (c *restoreCommand) database(ctx context.Context, terminal *console, log *slog.Logger) (dsn string, stop func() error, err error) {
	if c.DSN != "" {
		return c.DSN, func() error { return nil }, nil
	}
	assets, err := engine.Install(ctx, terminal.Err)
	if err != nil {
		return "", nil, err
	}
	if err := c.keepSecret(); err != nil {
		return "", nil, err
	}
	kept, err := startEngine(ctx, assets, filepath.Join(c.Data, "clickhouse"), enginePorts{}, log)
	if err != nil {
		return "", nil, fmt.Errorf("%w; stop the carom up of %s first, if it runs", err, c.Data)
	}
	return kept.engine().DSN(engine.Admin), kept.stop, nil
}

// keepSecret puts the cluster secret where the next carom up looks for it.
func (c *restoreCommand) keepSecret() error {
	if c.ClusterSecret == "" {
		return nil
	}
	path := filepath.Join(c.Data, secretFile)
	given, err := readSecret(c.ClusterSecret)
	if err != nil {
		return err
	}
	own, err := readSecret(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return err
		}
		return writeOwn(path, string(given)+"\n")
	case err == nil && !bytes.Equal(own, given):
		return fmt.Errorf("%s is another secret than %s: the next carom up could open no key; put it away first", path, c.ClusterSecret)
	}
	return err
}
