package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"carom/control"
	"carom/control/client"
	"carom/control/linkcheck"
)

// linksCheckCommand asks the destinations from here: no edge and no control process ever dials what a brand has written.
type linksCheckCommand struct {
	linkFilter
	Concurrency int           `default:"16" placeholder:"N" help:"Hosts asked at a time (${default})."`
	PerHost     int           `default:"2" placeholder:"N" help:"Destinations of one host asked at a time (${default})."`
	Delay       time.Duration `default:"100ms" help:"Between two requests to one host (${default})."`
	Timeout     time.Duration `default:"10s" help:"For each step of a request (${default})."`
	All         bool          `help:"Print the links that answer, too."`
	Format      string        `default:"table" enum:"table,csv,json" help:"One of ${enum}. In CSV an apostrophe goes before text that a spreadsheet would take for a formula."`

	controlTarget

	allowed []netip.Prefix // see linkcheck.Config; no flag sets it
}

// errDead makes the command fail when there is something to mend.
var errDead = errors.New("destinations do not answer")

// Run asks each destination once, then prints what that means for the links. These are read twice and never held; only their
// distinct destinations are.
func (c *linksCheckCommand) Run(ctx context.Context, terminal *console) error {
	if c.Concurrency < 1 || c.PerHost < 1 || c.Delay < 0 || c.Timeout <= 0 {
		return fmt.Errorf("%w: --concurrency and --per-host must be 1 or more, --delay not negative, --timeout positive", errUsage)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	destinations, err := c.destinations(ctx, client)
	if err != nil {
		return err
	}
	found, err := c.ask(ctx, destinations, terminal)
	if err != nil {
		return err
	}
	return c.print(ctx, client, found, terminal)
}

// destinations lists each one once, in the order in which links lead there first.
func (c *linksCheckCommand) destinations(ctx context.Context, client *client.Client) ([]string, error) {
	var list []string
	seen := map[string]bool{}
	err := client.EachDestination(ctx, c.filter(), func(d control.LinkDestination) error {
		if !seen[d.Destination] {
			seen[d.Destination] = true
			list = append(list, d.Destination)
		}
		return nil
	})
	return list, err
}

func (c *linksCheckCommand) ask(ctx context.Context, destinations []string, terminal *console) (map[string]linkcheck.Finding, error) {
	config := linkcheck.Default()
	config.Hosts, config.PerHost, config.Delay, config.Timeout = c.Concurrency, c.PerHost, c.Delay, c.Timeout
	config.Allowed = c.allowed
	bar := newProgressBar(terminal.Err, int64(len(destinations)), "destinations")
	defer bar.clear()
	found := make(map[string]linkcheck.Finding, len(destinations))
	err := linkcheck.New(config).Check(ctx, destinations, func(f linkcheck.Finding) {
		found[f.Destination] = f
		bar.show(int64(len(found)), len(found), time.Now())
	})
	return found, err
}

func (c *linksCheckCommand) print(ctx context.Context, client *client.Client, found map[string]linkcheck.Finding, terminal *console) error {
	out := newFindings(c.Format, terminal.Out)
	if err := out.begin(); err != nil {
		return err
	}
	links := 0
	err := client.EachDestination(ctx, c.filter(), func(d control.LinkDestination) error {
		f, asked := found[d.Destination]
		if !asked {
			return nil // it was changed just now
		}
		links++
		if f.Verdict == linkcheck.Answers && !c.All {
			return nil
		}
		return out.write(d, f)
	})
	if err == nil {
		err = out.end()
	}
	if err != nil {
		return err
	}
	count := map[linkcheck.Verdict]int{}
	for _, f := range found {
		count[f.Verdict]++
	}
	fmt.Fprintf(terminal.Err, "%d links lead to %d destinations: %d answer, %d are dead, %d unclear\n",
		links, len(found), count[linkcheck.Answers], count[linkcheck.Dead], count[linkcheck.Unclear])
	if dead := count[linkcheck.Dead]; dead > 0 {
		return fmt.Errorf("%d %w", dead, errDead)
	}
	return nil
}
