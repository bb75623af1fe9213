package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"carom/control"
)

// auditCommand groups what can be learnt of past changes.
type auditCommand struct {
	List auditListCommand `cmd:"" help:"List changes of reference data, keys and tokens, the newest first."`
}

type auditListCommand struct {
	Brand  string `placeholder:"B" help:"What was done to this brand only."`
	Object string `placeholder:"KIND" help:"Changes of one sort of object only: links, campaigns, keys, tokens, …"`
	Key    string `placeholder:"KEY" help:"Changes of the object with this key only."`
	By     string `placeholder:"ID" help:"Changes by the token with this id only."`
	Limit  int    `default:"50" help:"How many (${default})."`

	controlTarget
}

// auditPage is how many entries are asked for at once.
const auditPage = 1000

// Run prints a table.
func (c *auditListCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tTOKEN\tACTION\tOBJECT\tKEY\tBRAND\tROWS\tCHANGES")
	filter := control.AuditFilter{Brand: c.Brand, Object: c.Object, Key: c.Key, Token: c.By}
	for left, cursor := c.Limit, ""; left > 0; {
		page, err := client.Audit(ctx, filter, cursor, min(left, auditPage))
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", e.At.Format(time.RFC3339), auditToken(e), e.Action, e.Object, e.Key, e.Brand,
				e.Rows, auditChanges(e))
		}
		left, cursor = left-len(page.Entries), page.Next
		if cursor == "" {
			break
		}
	}
	return table.Flush()
}

// auditToken names a token by its id where its name is not to be seen.
func auditToken(e control.AuditEntry) string {
	if e.Token == "" {
		return e.TokenID
	}
	return e.Token
}

// auditChanges quotes values: people write them.
func auditChanges(e control.AuditEntry) (text string) {
	for _, change := range e.Changes {
		text += fmt.Sprintf("%s: %q → %q  ", change.Column, change.Before, change.After)
	}
	if !e.Stored {
		text += "(begun; whether it was stored is not known)"
	}
	return text
}
