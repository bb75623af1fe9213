package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"carom/control"
	"carom/control/client"
)

// importCommand imports one CSV file.
type importCommand struct {
	Kind string `arg:"" enum:"brands,domains,influencers,campaigns,links,commissions,posts,conversions" help:"What the file holds: ${enum}."`
	File string `arg:"" type:"path" placeholder:"FILE.csv" help:"CSV with a header line."`

	controlTarget
}

// Help lists the columns of each kind.
func (importCommand) Help() string {
	var text strings.Builder
	text.WriteString("Columns, in any order; a star marks the required ones:\n\n")
	for _, kind := range control.Kinds() {
		fmt.Fprintf(&text, "%s: %s\n\n", kind, strings.Join(control.Columns(kind), ", "))
	}
	text.WriteString("A rate is a share from 0 to 1: 0.15 is 15 %. Money is a plain decimal number in the brand's currency, such as 12.50. " +
		"Times are days (2026-01-31) or RFC 3339, UTC. Several destination_hosts or app_schemes stand in one cell with blanks between them.")
	return text.String()
}

// Run sends the file and says what became of its lines; rejected ones make it fail and go to FILE.rejects.csv.
func (c *importCommand) Run(ctx context.Context, terminal *console) error {
	file, err := os.Open(c.File)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("import %s: there is no file %s", c.Kind, c.File)
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", c.Kind, err)
	}
	defer file.Close()
	server, err := c.client()
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	bar := newProgressBar(terminal.Err, info.Size(), "lines")
	rejects := rejectsFile{path: strings.TrimSuffix(c.File, ".csv") + ".rejects.csv"}
	result, err := server.ImportFile(ctx, c.Kind, file, func(p client.Progress) error {
		bar.show(p.Bytes, p.Lines, time.Now())
		return rejects.add(p.Rejected)
	})
	bar.clear()
	if err != nil && result.Lines() == 0 {
		return errors.Join(err, rejects.close())
	}
	fmt.Fprintf(terminal.Out, "%s: %d created, %d updated, %d unchanged, %d rejected\n",
		c.Kind, result.Created, result.Updated, result.Unchanged, result.Rejects())
	warn(terminal.Err, result.Warnings)
	if err != nil {
		err = fmt.Errorf("%w; import the file again to go on from there", err)
	}
	if err := errors.Join(err, rejects.close()); err != nil {
		return err
	}
	if n := result.Rejects(); n > 0 {
		return fmt.Errorf("%d of %d lines of %s rejected: see %s", n, result.Lines(), c.File, rejects.path)
	}
	return nil
}

// shownWarnings is how many warnings of an import are printed.
const shownWarnings = 20

// warn prints what a person should look at in lines that were accepted.
func warn(w io.Writer, warnings []control.Warning) {
	for _, warning := range warnings[:min(len(warnings), shownWarnings)] {
		fmt.Fprintf(w, "warning: line %d: %s %s\n", warning.Line, warning.Column, warning.Reason)
	}
	if more := len(warnings) - shownWarnings; more > 0 {
		fmt.Fprintf(w, "%d more warnings\n", more)
	}
}
