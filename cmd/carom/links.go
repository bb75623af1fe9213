package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"carom/control"
)

// linksCommand groups what can be done with links beside importing them.
type linksCommand struct {
	List    linksListCommand    `cmd:"" help:"List links."`
	Show    linksShowCommand    `cmd:"" help:"Show all there is to know of a link."`
	Export  linksExportCommand  `cmd:"" help:"Write all links with their short URLs."`
	Check   linksCheckCommand   `cmd:"" help:"Find destinations that no longer answer."`
	QR      linksQRCommand      `cmd:"" name:"qr" help:"Draw QR codes of short links."`
	Token   linksTokenCommand   `cmd:"" help:"Mint a self-contained link, which edges answer before they have heard of it."`
	Disable linksDisableCommand `cmd:"" help:"Stop a link, or all links of a campaign or of a creator."`
	Enable  linksEnableCommand  `cmd:"" help:"Let them go on."`
	Delete  linksDeleteCommand  `cmd:"" help:"Delete a link for good: its short URL is unknown from then on."`
}

// linkFilter is the flags that choose links.
type linkFilter struct {
	Brand      string `placeholder:"B" help:"Links of this brand."`
	Campaign   string `placeholder:"C" help:"Links of this campaign."`
	Influencer string `placeholder:"I" help:"Links of this creator."`
}

func (f linkFilter) filter() control.LinkFilter {
	return control.LinkFilter{Brand: f.Brand, Campaign: f.Campaign, Influencer: f.Influencer}
}

// linksPage is how many links list asks for at a time.
const linksPage = 1000

type linksListCommand struct {
	linkFilter
	Limit int `default:"50" help:"How many (${default})."`

	controlTarget
}

// Run prints a table.
func (c *linksListCommand) Run(ctx context.Context, terminal *console) error {
	if c.Limit < 1 {
		return fmt.Errorf("%w: --limit %d: must be 1 or more", errUsage, c.Limit)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LINK\tSHORT URL\tBRAND\tCAMPAIGN\tCREATOR\tSTATE")
	cursor, more := "", true
	for left := c.Limit; more && left > 0; {
		page, err := client.Links(ctx, c.filter(), cursor, min(left, linksPage))
		if err != nil {
			return err
		}
		for _, l := range page.Links {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Link, l.ShortURL, l.Brand, l.Campaign, l.Influencer, l.State)
		}
		left -= len(page.Links)
		cursor, more = page.Next, page.Next != ""
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(terminal.Err, "there are more: raise --limit, or use carom links export\n")
	}
	return nil
}

type linksShowCommand struct {
	Link  string `arg:"" help:"Key, slug or code of the link, or its short URL."`
	Brand string `placeholder:"B" help:"Brand of the link, where several have one of this name."`

	controlTarget
}

// Run prints the link as JSON.
func (c *linksShowCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	found, err := client.FindLink(ctx, c.Brand, c.Link)
	if err != nil {
		return err
	}
	link, err := client.LinkObject(ctx, found.Brand, found.Link)
	if err != nil {
		return err
	}
	return printJSON(terminal.Out, link)
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

type linksExportCommand struct {
	linkFilter
	Format string `default:"csv" enum:"csv,jsonl,parquet" help:"One of ${enum}."`
	Output string `short:"o" type:"path" placeholder:"FILE" help:"File to write; standard output otherwise."`

	controlTarget
}

// Run writes the export; a file that is not complete is not left behind under its name.
func (c *linksExportCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if c.Output == "" {
		return client.Export(ctx, c.filter(), c.Format, terminal.Out)
	}
	return writeWhole(c.Output, 0o666, func(w io.Writer) error {
		return client.Export(ctx, c.filter(), c.Format, w)
	})
}

// switchTarget is the flags that name what is stopped or goes on.
type switchTarget struct {
	Link       string `arg:"" optional:"" help:"Key of a link."`
	Campaign   string `placeholder:"C" help:"All links of this campaign."`
	Influencer string `placeholder:"I" help:"All links of this creator, with every brand."`
	Brand      string `placeholder:"B" help:"Brand of the link or campaign, where several have one of this key."`

	controlTarget
}

func (t switchTarget) set(ctx context.Context, terminal *console, enabled bool) error {
	named := 0
	for _, key := range []string{t.Link, t.Campaign, t.Influencer} {
		if key != "" {
			named++
		}
	}
	if named != 1 || t.Influencer != "" && t.Brand != "" {
		return fmt.Errorf("%w: %w", errUsage, control.ErrTarget)
	}
	client, err := t.client()
	if err != nil {
		return err
	}
	target := control.Target{Brand: t.Brand, Link: t.Link, Campaign: t.Campaign, Influencer: t.Influencer}
	links, err := client.SetEnabled(ctx, target, enabled)
	if err != nil {
		return err
	}
	word := map[bool]string{true: "enabled", false: "disabled"}[enabled]
	noun := "links"
	if links == 1 {
		noun = "link"
	}
	fmt.Fprintf(terminal.Out, "%s%s%s %s: %d %s\n", t.Link, t.Campaign, t.Influencer, word, links, noun)
	return nil
}

type linksDisableCommand struct{ switchTarget }

// Run stops what is named.
func (c *linksDisableCommand) Run(ctx context.Context, terminal *console) error {
	return c.set(ctx, terminal, false)
}

type linksEnableCommand struct{ switchTarget }

// Run lets what is named go on.
func (c *linksEnableCommand) Run(ctx context.Context, terminal *console) error {
	return c.set(ctx, terminal, true)
}
