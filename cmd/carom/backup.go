package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"carom/control/backup"
)

// backupCommand writes all reference data to one file.
type backupCommand struct {
	File string `arg:"" type:"path" placeholder:"FILE" help:"Where to write it: a zip archive of JSON lines, readable by its owner only. What stood there is replaced once the new one is whole."`

	controlTarget
}

// Help says what is not in it.
func (backupCommand) Help() string {
	return "The cluster secret is not in a backup: keep a copy of its file elsewhere. Without it no printed link works again."
}

// Run writes the file, checks it, and says what is in it.
func (c *backupCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	status := newStatusLine(terminal.Err)
	defer status.clear()
	unchecked := c.File + ".unchecked"
	err = writeWhole(unchecked, 0o600, func(w io.Writer) error {
		return client.Backup(ctx, &watchedWriter{Writer: w, status: status})
	})
	if err != nil {
		return fmt.Errorf("back up to %s: %w", c.File, err)
	}
	status.write("checking")
	file, err := backup.Open(unchecked)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Verify(); err != nil {
		return fmt.Errorf("check %s: %w", unchecked, err)
	}
	if err := os.Rename(unchecked, c.File); err != nil {
		return err
	}
	status.clear()
	if err := describe(terminal.Out, file); err != nil {
		return err
	}
	fmt.Fprintln(terminal.Err, "The cluster secret is not in it: keep a copy of its file elsewhere.")
	return nil
}

// describe prints what a backup holds.
func describe(w io.Writer, file *backup.File) error {
	fmt.Fprintf(w, "backup of %s by carom %s, schema %d\n", file.Created.Format(time.RFC3339), file.Carom, file.Schema)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "TABLE\tROWS\tBYTES\t")
	for _, t := range file.Tables {
		fmt.Fprintf(table, "%s\t%d\t%d\t\n", t.Name, t.Rows, t.Bytes)
	}
	return table.Flush()
}

// A watchedWriter shows how much was written.
type watchedWriter struct {
	io.Writer
	status statusLine
	bytes  int64
	shown  time.Time
}

// showEvery is how often a status line is written anew.
const showEvery = 200 * time.Millisecond

func (w *watchedWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.bytes += int64(n)
	if now := time.Now(); now.Sub(w.shown) >= showEvery {
		w.shown = now
		w.status.write(fmt.Sprintf("%.1f MB written", float64(w.bytes)/1e6))
	}
	return n, err
}
