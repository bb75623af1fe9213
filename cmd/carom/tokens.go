package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"carom/control"
)

// tokensCommand groups what can be done with API tokens.
type tokensCommand struct {
	New    tokensNewCommand    `cmd:"" help:"Make a token; it is printed this once."`
	List   tokensListCommand   `cmd:"" help:"List tokens, never the tokens themselves."`
	Revoke tokensRevokeCommand `cmd:"" help:"Make a token worthless at once."`
}

type tokensNewCommand struct {
	Name   string   `required:"" help:"Who or what it is for."`
	Role   string   `required:"" enum:"admin,editor,analyst" help:"One of ${enum}."`
	Brands []string `name:"brand" placeholder:"B" help:"Brands it is for; without one it is for all, those to come included."`

	controlTarget
}

// Run puts the token alone on standard output.
func (c *tokensNewCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	token, err := client.NewToken(ctx, control.TokenRequest{Name: c.Name, Role: control.Role(c.Role), Brands: c.Brands})
	if err != nil {
		return err
	}
	fmt.Fprintf(terminal.Err, "token %s, %s of %s, shown this once:\n", token.ID, token.Role, tokenBrands(token.Token))
	fmt.Fprintln(terminal.Out, token.Secret)
	return nil
}

func tokenBrands(t control.Token) string {
	if len(t.Brands) == 0 {
		return "all brands"
	}
	return strings.Join(t.Brands, ", ")
}

type tokensListCommand struct{ controlTarget }

// Run prints a table.
func (c *tokensListCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	tokens, err := client.Tokens(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tROLE\tBRANDS\tCREATED\tSTATE")
	for _, t := range tokens {
		state := "valid"
		if t.Revoked {
			state = "revoked"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Role, tokenBrands(t), t.Created.Format(time.RFC3339), state)
	}
	return table.Flush()
}

type tokensRevokeCommand struct {
	ID string `arg:"" help:"Id of the token, as carom tokens list shows it."`

	controlTarget
}

// Run revokes the token.
func (c *tokensRevokeCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := client.RevokeToken(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(terminal.Out, "token %s revoked\n", c.ID)
	return nil
}
