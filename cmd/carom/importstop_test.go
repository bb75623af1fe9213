package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"carom/control"
	"carom/control/client"
)

// A stopped import has stored whole parts; done again, it does the rest only.
func TestImportCommandGoesOnAfterAnInterruption(t *testing.T) {
	c := newControlled(t)
	c.importCampaign("https://shop.example/")
	links := bytes.NewBufferString("link,campaign,influencer,domain\n")
	const lines = 2*control.ChunkRows + 1
	for i := range lines {
		fmt.Fprintf(links, "l%d,spring,lena,go.acme.example\n", i)
	}
	command := importCommand{Kind: "links", File: c.file("links.csv", links.String()), controlTarget: controlTarget{Server: c.server, Token: c.token}}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("somebody pressed Ctrl-C")
	// The first part is stored when the client asks for the second.
	server, err := command.client()
	if err != nil {
		t.Fatal(err)
	}
	result, err := server.ImportFile(ctx, "links", strings.NewReader(links.String()), func(client.Progress) error {
		cancel(stop)
		return nil
	})
	if !errors.Is(err, stop) || strings.Contains(err.Error(), "does not answer") || result.Created != control.ChunkRows {
		t.Errorf("%+v, %v", result, err)
	}
	want := fmt.Sprintf("links: %d created, 0 updated, %d unchanged, 0 rejected\n", lines-control.ChunkRows, control.ChunkRows)
	var out bytes.Buffer
	if err := command.Run(t.Context(), &console{Out: &out, Err: &out}); err != nil || out.String() != want {
		t.Errorf("the second time: %v, %q, want %q", err, out.String(), want)
	}
}
