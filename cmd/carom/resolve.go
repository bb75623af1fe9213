package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"carom/redirect"
)

// resolveCommand explains an answer offline, from the snapshot of a node.
type resolveCommand struct {
	URL           string    `arg:"" name:"url" help:"Short URL, as a browser would ask for it."`
	Snapshot      string    `type:"path" placeholder:"FILE" help:"Snapshot of a node (table.snapshot in --data)."`
	ClusterSecret string    `type:"path" placeholder:"FILE" env:"CAROM_CLUSTER_SECRET" help:"File with the secret that opens the keys (that of --data, without --snapshot); without it signatures are taken to be right."`
	Data          string    `default:"carom-data" type:"path" placeholder:"DIR" env:"CAROM_DATA" help:"Data directory of a local carom up (${default})."`
	At            time.Time `placeholder:"TIME" help:"When it is asked, such as 2027-01-31T15:04:05Z (now)."`
	Format        string    `default:"table" enum:"table,json" help:"One of ${enum}."`
}

// Run prints the answer and the way to it.
func (c *resolveCommand) Run(terminal *console) error {
	sealer, err := c.sealer()
	if err != nil {
		return err
	}
	snapshot := c.Snapshot
	if snapshot == "" {
		snapshot = filepath.Join(c.Data, snapshotFile)
	}
	if _, err := os.Stat(snapshot); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no snapshot %s: name a node's with --snapshot, or the directory of a carom up with --data", snapshot)
	}
	explainer, err := redirect.NewExplainer(snapshot, sealer)
	if err != nil {
		return err
	}
	now, at := time.Now(), c.At
	if at.IsZero() {
		at = now
	}
	x, err := explainer.Explain(c.URL, at)
	switch {
	case errors.Is(err, redirect.ErrURL):
		return fmt.Errorf("%w: %w", errUsage, err)
	case err != nil:
		return err
	case c.Format == "json":
		return printJSON(terminal.Out, x)
	}
	return printExplanation(terminal, x, now)
}

// sealer opens the keys of the snapshot; nil without a cluster secret.
func (c *resolveCommand) sealer() (*redirect.Sealer, error) {
	if c.ClusterSecret == "" && c.Snapshot != "" {
		return nil, nil
	}
	secret, err := findSecret(c.ClusterSecret, c.Data)
	if errors.Is(err, fs.ErrNotExist) && c.ClusterSecret == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return redirect.NewSealer(secret)
}

// freshSnapshot is the age up to which a snapshot passes for what nodes know now.
const freshSnapshot = 5 * time.Second

func printExplanation(terminal *console, x redirect.Explanation, now time.Time) error {
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	for _, s := range x.Steps {
		mark := "  "
		if s.Failed {
			mark = "✗ "
		}
		fmt.Fprintf(table, "%s%s\t%s\n", mark, s.Check, s.Result)
	}
	fmt.Fprintf(table, "  answer\t%s\n", strings.TrimSpace(fmt.Sprintf("%d %s", x.Status, x.Location)))
	click := "none"
	if x.Recorded {
		click = "recorded"
		if x.Reasons != "" {
			click += " with the reason " + x.Reasons
		}
	}
	fmt.Fprintf(table, "  outcome\t%s; a click row: %s\n", x.Outcome, click)
	if age := now.Sub(x.Taken); age > freshSnapshot {
		fmt.Fprintf(table, "  snapshot\tas of %s, %s before now: nodes may know more\n", x.Taken.Format(time.RFC3339), age.Round(time.Second))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(terminal.Err, "asked at %s\n", x.At.Format(time.RFC3339))
	return nil
}
