package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"carom/control"
	"carom/deploy/engine"
)

// greeted is how many links a start prints.
const greeted = 12

// greet prints links to click and how to look at what they did. admin is the URL of the admin listener.
func (c *upCommand) greet(ctx context.Context, terminal *console, writer *control.Control, db *engine.Engine, admin string) error {
	links, total, err := writer.FirstLinks(ctx, greeted)
	if err != nil {
		return err
	}
	carom, data := invocation(os.Args[0]), shellWord(c.Data)
	out := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	first := "Import brands, domains, influencers, campaigns and links, follow one, then look"
	if total > 0 {
		first = "Click one, then look"
		fmt.Fprintln(out, "SHORT LINK\tCREATOR\tCAMPAIGN\tBRAND")
		for _, l := range links {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", l.ShortURL, l.Influencer, l.Campaign, l.Brand)
		}
		if total > len(links) {
			fmt.Fprintf(out, "… %d more: %s links list --data %s\n", total-len(links), carom, data)
		}
	}
	fmt.Fprintf(out, "\nShort links answer on %s. %s:\n", c.Listen, first)
	fmt.Fprintf(out, "  %s report influencers --data %s\n", carom, data)
	fmt.Fprintf(out, "  %s/play   (user %s, password in %s)\n", db.HTTPURL(), engine.Analyst, filepath.Join(db.Dir(), engine.UsersFile))
	fmt.Fprintf(out, "Admin and metrics: %s/metrics\n", admin)
	fmt.Fprintln(out, "Ctrl-C stops everything; the next start goes on from here.")
	return out.Flush()
}
