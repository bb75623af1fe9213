package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"carom/deploy/engine"
	"carom/geo"
	"carom/ingest"
)

// spoolCommand groups what can be done with a spool whose node does not run.
type spoolCommand struct {
	Inspect spoolInspectCommand `cmd:"" help:"Tell what a spool holds, without touching it."`
	Verify  spoolVerifyCommand  `cmd:"" help:"Check every checksum of a spool, and with --clickhouse which batches are stored; exit code 1 when something is wrong."`
	Replay  spoolReplayCommand  `cmd:"" help:"Deliver what a spool holds, exactly as its node would. May be interrupted and repeated."`
}

// spoolDir is the argument of all of them.
type spoolDir struct {
	Dir string `arg:"" type:"existingdir" placeholder:"DIR" help:"Directory that carom serve --spool had; of a carom up, DATA/spool."`
}

type spoolInspectCommand struct {
	spoolDir
	Format  string `default:"table" enum:"table,json" help:"One of ${enum}."`
	Records bool   `help:"Print each record as a line of JSON instead, addresses as prefixes."`
}

// Run prints the report, or the records.
func (c *spoolInspectCommand) Run(terminal *console) error {
	if c.Records {
		_, err := ingest.Inspect(c.Dir, func(line []byte) error {
			_, err := terminal.Out.Write(append(line, '\n'))
			return err
		})
		return err
	}
	report, err := ingest.Inspect(c.Dir, nil)
	if err != nil {
		return err
	}
	return writeSpool(terminal.Out, report, c.Format)
}

// writeSpool writes a report for people or machines.
func writeSpool(w io.Writer, report *ingest.SpoolReport, format string) error {
	if format == "table" {
		return spoolTable(w, report)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

type spoolVerifyCommand struct {
	spoolDir
	DSN    string `name:"clickhouse" placeholder:"DSN" env:"CAROM_CLICKHOUSE" help:"Ask clickhouse://user:password@host:9000/carom which frozen batches it holds."`
	Format string `default:"table" enum:"table,json" help:"One of ${enum}."`
}

// Run prints the report and fails when it tells of damage.
func (c *spoolVerifyCommand) Run(ctx context.Context, terminal *console) error {
	report, err := ingest.Inspect(c.Dir, nil)
	if err != nil {
		return err
	}
	if report.Use == ingest.SpoolInUse {
		return fmt.Errorf("%s is in use by %s: what changes cannot be verified; stop that first", c.Dir, report.Process)
	}
	if c.DSN != "" {
		if err := report.Ask(ctx, c.DSN); err != nil {
			return err
		}
	}
	if err := writeSpool(terminal.Out, report, c.Format); err != nil {
		return err
	}
	problems := report.Problems()
	for _, p := range problems {
		fmt.Fprintln(terminal.Err, p)
	}
	if n := len(problems); n > 0 {
		return fmt.Errorf("%s: problems: %d", c.Dir, n)
	}
	return nil
}

type spoolReplayCommand struct {
	spoolDir
	clickhouseDSN
	geoFiles
	AdoptCopy bool `help:"The directory is a copy and its original is gone for good: make the copy the original."`
	ByID      bool `name:"by-id" help:"For a spool that lost, or whose copy outran, what it knows of its deliveries: look every record up in ClickHouse by its own id and deliver what is missing. Nobody else may be sending from this spool or a copy of it; the DSN must be of carom_admin, which may read the raw tables, and name every host."`
}

// Run delivers and prints the ledger.
func (c *spoolReplayCommand) Run(ctx context.Context, terminal *console, log *slog.Logger) (err error) {
	before, err := ingest.Inspect(c.Dir, nil)
	if err != nil {
		return err
	}
	if before.Use != ingest.SpoolInUse && before.Rescued() && !c.ByID {
		fmt.Fprintf(terminal.Out, "nothing to deliver: what spool %s of node %d held was delivered by id; %s may be removed\n", before.Spool, before.Node, c.Dir)
		return nil
	}
	adopts := c.AdoptCopy && before.Copied // also an empty one, or serve would refuse it
	if before.Use != ingest.SpoolInUse && before.Waiting() == 0 && len(before.Problems()) == 0 && !c.ByID && !adopts {
		fmt.Fprintf(terminal.Out, "nothing to deliver: spool %s of node %d is empty\n", before.Spool, before.Node)
		return nil
	}
	places, err := geo.New(c.places(log))
	if err != nil {
		return err
	}
	if err := places.Start(ctx); err != nil {
		return err
	}
	defer places.Stop()
	settings := ingest.Default()
	settings.ClickHouse, settings.Spool = c.DSN, c.Dir
	if c.ByID {
		return c.rescue(ctx, terminal, settings, before, places, log)
	}
	status, begun := newStatusLine(terminal.Err), false
	err = ingest.Replay(ctx, settings, c.AdoptCopy, places, func(p ingest.ReplayProgress) {
		begun = true
		status.write(fmt.Sprintf("%d records delivered, %d left", p.Delivered, p.Left))
	}, log)
	status.clear()
	after, inspectErr := ingest.Inspect(c.Dir, nil)
	if inspectErr != nil {
		return errors.Join(err, inspectErr)
	}
	if err == nil {
		fmt.Fprintf(terminal.Out, "delivered %d records of spool %s, node %d\n", before.Waiting(), after.Spool, after.Node)
	}
	if begun {
		writeLedger(terminal.Out, after)
	}
	return err
}

// places are the databases that were named; otherwise the one that a carom up of this machine locates clicks with.
func (c *spoolReplayCommand) places(log *slog.Logger) geo.Config {
	config := c.geoConfig(log)
	if config.Country == "" && config.City == "" {
		config.Country = engine.CountryDB()
	}
	return config
}

// rescue delivers what ClickHouse does not hold, and prints what that was.
func (c *spoolReplayCommand) rescue(
	ctx context.Context, terminal *console, settings ingest.Config, before *ingest.SpoolReport, places *geo.DB, log *slog.Logger,
) error {
	for _, p := range before.Problems() {
		fmt.Fprintln(terminal.Err, p)
	}
	status := newStatusLine(terminal.Err)
	r, err := ingest.Rescue(ctx, settings, c.AdoptCopy, places, func(p ingest.RescueProgress) {
		if p.Sending {
			status.write(fmt.Sprintf("%d records delivered, %d left", p.Delivered, p.Left))
			return
		}
		status.write(fmt.Sprintf("%d of %d records looked up", p.Looked, p.Of))
	}, log)
	status.clear()
	if err != nil {
		return err
	}
	fmt.Fprintf(terminal.Out, "spool %s of node %d: %d records were in ClickHouse, %d were missing and are delivered, %d were damaged\n",
		r.Spool, r.Node, r.Held, r.Missing-r.Refused, r.Damaged)
	if r.Refused > 0 {
		fmt.Fprintf(terminal.Out, "%d that ClickHouse refuses are in %s\n", r.Refused, filepath.Join(c.Dir, ingest.RescueDir))
	}
	if r.Expired > 0 {
		fmt.Fprintf(terminal.Out, "%d are older than ClickHouse keeps raw rows: whether it had them cannot be known, and they are not sent\n", r.Expired)
	}
	fmt.Fprintf(terminal.Out, "%s is no longer needed: move it away, the node begins a new spool\n", c.Dir)
	return nil
}

// moment is a time for people.
func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}
