package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"carom/control"
	"carom/control/client"
	"carom/control/qr"
)

// linksQRCommand draws here: the control process only says what the short URLs are.
type linksQRCommand struct {
	Links    []string `arg:"" optional:"" name:"link" help:"Keys of links. One is drawn as a picture, several as a zip."`
	Campaign string   `placeholder:"C" help:"All links of this campaign, as a zip."`
	Brand    string   `placeholder:"B" help:"Brand of the links or the campaign, where several have one of this key."`

	qr.Config

	Output string `short:"o" type:"path" placeholder:"FILE" help:"File to write; standard output otherwise."`

	controlTarget
}

// Run draws what is named; a file that is not complete is not left behind under its name.
func (c *linksQRCommand) Run(ctx context.Context, terminal *console) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if (len(c.Links) == 0) == (c.Campaign == "") {
		return fmt.Errorf("%w: name links, or a campaign", errUsage)
	}
	if c.Output == "" && isTerminal(terminal.Out) {
		return fmt.Errorf("%w: a picture is nothing for a terminal: name a file with -o", errUsage)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	draw := func(w io.Writer) error { return c.drawAll(ctx, client, w, newStatusLine(terminal.Err)) }
	if len(c.Links) == 1 {
		draw = func(w io.Writer) error { return c.drawOne(ctx, client, w) }
	}
	if c.Output == "" {
		return draw(terminal.Out)
	}
	return writeWhole(c.Output, 0o666, draw)
}

// errNoAddress is the refusal to draw a link that nothing answers.
var errNoAddress = errors.New("it has no short URL")

func (c *linksQRCommand) drawOne(ctx context.Context, client *client.Client, w io.Writer) error {
	link, err := client.Link(ctx, c.Brand, c.Links[0])
	if err != nil {
		return err
	}
	if link.ShortURL == "" {
		return fmt.Errorf("draw link %q: %w: %s", link.Link.Link, errNoAddress, link.Why)
	}
	return c.Draw(w, link.ShortURL)
}

func (c *linksQRCommand) drawAll(ctx context.Context, client *client.Client, w io.Writer, status statusLine) error {
	archive, err := qr.NewArchive(w, c.Config)
	if err != nil {
		return err
	}
	defer status.clear()
	drawn := 0
	add := func(l control.Link) error {
		drawn++
		status.write(fmt.Sprintf("%d links", drawn))
		return archive.Add(l.Link, l.ShortURL)
	}
	if err := c.each(ctx, client, add); err != nil {
		return err
	}
	return archive.Close()
}

// each calls do for every link that is named.
func (c *linksQRCommand) each(ctx context.Context, client *client.Client, do func(control.Link) error) error {
	if c.Campaign != "" {
		return client.EachLink(ctx, control.LinkFilter{Brand: c.Brand, Campaign: c.Campaign}, do)
	}
	for _, key := range c.Links {
		link, err := client.Link(ctx, c.Brand, key)
		if err != nil {
			return err
		}
		if err := do(link.Link); err != nil {
			return err
		}
	}
	return nil
}
