package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"carom/ingest/schema"
)

// schemaCommand groups what can be done with the schema files that this binary carries.
type schemaCommand struct {
	Apply  schemaApplyCommand  `cmd:"" help:"Apply the files that the database lacks, in order; doing it twice changes nothing."`
	Status schemaStatusCommand `cmd:"" help:"List the files and when each was applied."`
	Print  schemaPrintCommand  `cmd:"" help:"Print all files."`
	Mend   schemaMendCommand   `cmd:"" help:"Compare the rollups with raw, batch by batch, and have the control process put right what differs."`
}

// clickhouseDSN is the flag of every command that talks to ClickHouse itself.
type clickhouseDSN struct {
	DSN string `name:"clickhouse" required:"" placeholder:"DSN" env:"CAROM_CLICKHOUSE" help:"clickhouse://user:password@host:9000/carom; several hosts are separated by commas."`
}

type schemaApplyCommand struct{ clickhouseDSN }

// Run applies the schema and says what it applied.
func (c *schemaApplyCommand) Run(ctx context.Context, terminal *console) error {
	applied, err := schema.Apply(ctx, schema.Files, c.DSN, func(m schema.Migration) {
		fmt.Fprintln(terminal.Out, "applied", m.File)
	})
	if err == nil && len(applied) == 0 {
		fmt.Fprintln(terminal.Out, "nothing to apply")
	}
	return err
}

type schemaStatusCommand struct{ clickhouseDSN }

// Run lists the files; one that was altered makes it fail.
func (c *schemaStatusCommand) Run(ctx context.Context, terminal *console) error {
	migrations, err := schema.Status(ctx, schema.Files, c.DSN)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tAPPLIED\tSHA-256")
	for _, m := range migrations {
		fmt.Fprintf(table, "%s\t%s\t%.16s\n", m.File, appliedText(m), m.SHA256)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return schema.RefuseAltered(migrations)
}

func appliedText(m schema.Migration) string {
	switch {
	case m.AppliedAt.IsZero():
		return "pending"
	case m.Altered:
		return "altered since"
	}
	return m.AppliedAt.Format(time.RFC3339)
}

type schemaPrintCommand struct{}

// Run prints the schema as it is applied.
func (schemaPrintCommand) Run(terminal *console) error {
	return schema.Print(terminal.Out, schema.Files)
}
