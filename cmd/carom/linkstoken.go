package main

import (
	"context"
	"fmt"
	"time"

	"carom/control"
)

// linksTokenCommand mints a self-contained link.
type linksTokenCommand struct {
	Domain     string    `required:"" placeholder:"HOST" help:"Host of the short link."`
	Campaign   string    `required:"" placeholder:"C" help:"Campaign whose destination it has."`
	Influencer string    `required:"" placeholder:"I" help:"Creator whose clicks they are."`
	Sub1       string    `name:"sub1" placeholder:"TEXT" help:"Sub id of every click, whatever visitors bring; so are the four below."`
	Sub2       string    `name:"sub2" placeholder:"TEXT"`
	Sub3       string    `name:"sub3" placeholder:"TEXT"`
	Sub4       string    `name:"sub4" placeholder:"TEXT"`
	Sub5       string    `name:"sub5" placeholder:"TEXT"`
	Expires    time.Time `placeholder:"TIME" help:"When it ends, such as 2027-01-31T15:04:05Z (never)."`

	controlTarget
}

// Run prints the URL, which is not shown again.
func (c *linksTokenCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	request := control.TokenLinkRequest{
		Domain: c.Domain, Campaign: c.Campaign, Influencer: c.Influencer,
		Sub1: c.Sub1, Sub2: c.Sub2, Sub3: c.Sub3, Sub4: c.Sub4, Sub5: c.Sub5,
	}
	if !c.Expires.IsZero() {
		request.Expires = &c.Expires
	}
	link, err := client.MintToken(ctx, request)
	if err != nil {
		return err
	}
	fmt.Fprintln(terminal.Out, link.URL)
	return nil
}
