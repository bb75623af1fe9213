package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"carom/control"
	"carom/control/client"
	"carom/redirect"
)

// keysCommand groups what can be done with signing, postback and click-id keys.
type keysCommand struct {
	New    keysNewCommand    `cmd:"" help:"Make a key beside those in use."`
	List   keysListCommand   `cmd:"" help:"List keys, never their secrets."`
	Rotate keysRotateCommand `cmd:"" help:"Let a new key take over, or one that was made before; the others only verify from then on."`
	Retire keysRetireCommand `cmd:"" help:"Make a key unknown, and with it all it has signed. There is no way back."`
}

// keyFlags say which keys are meant.
type keyFlags struct {
	Brand string `placeholder:"B" help:"Key of the brand; none for the click-id key of the cluster."`
	Kind  string `required:"" enum:"code,postback,click_id" help:"One of ${enum}."`

	controlTarget
}

// client also checks what the kind of key needs.
func (f keyFlags) client() (*client.Client, error) {
	if f.Brand == "" && f.Kind != string(redirect.KeyClickID) {
		return nil, fmt.Errorf("%w: a %s key is a brand's: name it with --brand", errUsage, f.Kind)
	}
	return f.controlTarget.client()
}

type keysNewCommand struct{ keyFlags }

// Help says what each kind is for.
func (keysNewCommand) Help() string {
	return "A postback key counts at once; its secret is printed this once. Of the other kinds one key is active: a new one only verifies, " +
		"until carom keys rotate --key-id lets it take over. code keys sign a brand's links, in four slots; the click_id key is the cluster's."
}

// Run prints the new key.
func (c *keysNewCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	key, err := client.NewKey(ctx, c.Brand, redirect.KeyKind(c.Kind))
	return printNewKey(terminal, key, err)
}

type keysRotateCommand struct {
	keyFlags
	ID string `name:"key-id" placeholder:"ID" help:"Id of a key that verifies, as carom keys list shows it; without it a new one is made."`
}

// Run prints the key that has taken over.
func (c *keysRotateCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	kind := redirect.KeyKind(c.Kind)
	if c.ID != "" {
		key, err := client.ActivateKey(ctx, c.Brand, kind, c.ID)
		return printNewKey(terminal, key, err)
	}
	key, err := client.RotateKey(ctx, c.Brand, kind)
	return printNewKey(terminal, key, err)
}

// printNewKey puts the secret alone on standard output, ready to be piped where it belongs.
func printNewKey(terminal *console, key control.NewKey, err error) error {
	if err != nil {
		return err
	}
	fmt.Fprintln(terminal.Err, keyIs(key.Key))
	if key.Secret != "" {
		fmt.Fprintln(terminal.Err, "its secret, shown this once:")
		fmt.Fprintln(terminal.Out, key.Secret)
	}
	return nil
}

// keyIs says in which state a key is.
func keyIs(key control.Key) string {
	return fmt.Sprintf("%s key %s of %s: %s", key.Kind, key.ID, keyOwner(key), key.State)
}

func keyOwner(key control.Key) string {
	if key.Brand == "" {
		return "the cluster"
	}
	return "brand " + key.Brand
}

type keysListCommand struct {
	Brand string `placeholder:"B" help:"Keys of this brand only."`
	Kind  string `default:"" enum:",code,postback,click_id,visitor" help:"Keys of this kind only: code, postback, click_id or visitor."`

	controlTarget
}

// Run prints a table.
func (c *keysListCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	keys, err := client.Keys(ctx, c.Brand, redirect.KeyKind(c.Kind))
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OWNER\tKIND\tKEY ID\tCREATED\tSTATE\tSINCE")
	for _, k := range keys {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", keyOwner(k), k.Kind, k.ID, k.Created.Format(time.RFC3339), k.State, k.Changed.Format(time.RFC3339))
	}
	return table.Flush()
}

type keysRetireCommand struct {
	keyFlags
	ID  string `name:"key-id" required:"" placeholder:"ID" help:"Id of the key, as carom keys list shows it."`
	Yes bool   `help:"Retire it, though links or clicks are lost with it."`
}

// Help says how links come back.
func (keysRetireCommand) Help() string {
	return "Links without a slug whose codes a retired key has signed have no short URL, until carom keys new puts another key into the " +
		"free slot: then they have new codes. What was printed stays unknown."
}

// errLoses refuses a retirement that nobody has confirmed.
var errLoses = errors.New("say --yes to retire it all the same")

// Run retires the key. What is lost with it has to be agreed to.
func (c *keysRetireCommand) Run(ctx context.Context, terminal *console) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	kind := redirect.KeyKind(c.Kind)
	if !c.Yes {
		would, err := client.RehearseRetirement(ctx, c.Brand, kind, c.ID)
		if err != nil {
			return err
		}
		if loss := lostWith(would); loss != "" {
			return fmt.Errorf("%s; for good, with the key: %s: %w", keyIs(would.Key), loss, errLoses)
		}
	}
	retired, err := client.RetireKey(ctx, c.Brand, kind, c.ID)
	if err != nil {
		return err
	}
	fmt.Fprintln(terminal.Out, keyIs(retired.Key))
	if loss := lostWith(retired); loss != "" {
		fmt.Fprintf(terminal.Out, "lost with it: %s\n", loss)
	}
	return nil
}

// lostWith says what is lost with a key, empty where that is nothing.
func lostWith(r control.Retirement) string {
	switch {
	case r.Links == 1:
		return "the code of 1 link"
	case r.Links > 0:
		return fmt.Sprintf("the codes of %d links", r.Links)
	case r.LastActive != nil:
		return fmt.Sprintf("the conversions still to come of clicks until %s", r.LastActive.Format(time.RFC3339))
	}
	return ""
}
