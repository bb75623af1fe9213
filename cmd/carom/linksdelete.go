package main

import (
	"context"
	"fmt"
)

type linksDeleteCommand struct {
	Link  string `arg:"" help:"Key of the link."`
	Brand string `placeholder:"B" help:"Brand of the link, where several have one of this key."`

	controlTarget
}

// Run deletes the link. There is no way back, unlike from disable.
func (c *linksDeleteCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := client.DeleteLink(ctx, c.Brand, c.Link); err != nil {
		return err
	}
	fmt.Fprintf(terminal.Out, "%s deleted\n", c.Link)
	return nil
}
