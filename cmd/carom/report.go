package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"carom/report"
)

// reportCommand prints a report, from the control process or straight from ClickHouse.
type reportCommand struct {
	Name   string   `arg:"" enum:"influencers,campaigns,utm,geo,conversions,ledger" help:"One of ${enum}."`
	From   string   `placeholder:"DAY" help:"First day, UTC, like 2026-03-01; thirty days before --to otherwise."`
	To     string   `placeholder:"DAY" help:"Day after the last, UTC; tomorrow otherwise."`
	Brand  []string `placeholder:"B" help:"These brands, separated by commas; all otherwise."`
	By     []string `placeholder:"KEY" help:"Group by these, separated by commas: day, week, month (utm, ledger: hour) or keys of the report; all its keys otherwise, over the whole span. Conversions are grouped by event, status and signed besides: a refund is not a sale."`
	Format string   `default:"table" enum:"table,csv,json" help:"One of ${enum}. A table rounds money to the currency's minor unit, CSV and JSON have its four exact digits; ratios have four everywhere. In CSV an apostrophe goes before text that a spreadsheet would take for a formula."`
	Top    int      `placeholder:"N" help:"Show the N rows with the most clicks (conversions; ledger: what does not balance) and add up all others, exactly, in a row (others) for each currency, up to 50000; 1000 in a table and 50000 in CSV and JSON otherwise."`

	Conflicts bool `help:"Of conversions: list those that contradict themselves or their sale, with the amount that counts and the one that was refused."`

	ClickHouse string `name:"clickhouse" placeholder:"DSN" help:"Read clickhouse://user:password@host:9000/carom instead of asking the control process."`
	controlTarget
}

// Run checks the question before it asks anyone.
func (c *reportCommand) Run(ctx context.Context, terminal *console) error {
	params := report.Params{Report: c.Name, From: c.From, To: c.To, Brands: c.Brand, By: c.By, Format: c.Format, Top: c.Top, Conflicts: c.Conflicts}
	query, err := report.Parse(params, time.Now())
	if err != nil {
		return fmt.Errorf("%w: --%w", errUsage, err)
	}
	if c.ClickHouse != "" {
		return c.read(ctx, query, terminal.Out)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Fetch(ctx, "/reports/"+c.Name, params.Values(), terminal.Out)
}

// read asks ClickHouse itself.
func (c *reportCommand) read(ctx context.Context, query report.Query, out io.Writer) (err error) {
	config := report.DefaultConfig()
	if config.Conn, err = openClickHouse(c.ClickHouse); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, config.Conn.Close()) }()
	result, err := report.New(config).Run(ctx, query, report.Scope{All: true})
	if err != nil {
		return err
	}
	return result.Write(out, query.Format)
}
