package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"carom/control"
)

// controlFile is in the data directory of an up and tells the other commands where control is.
const controlFile = "control.json"

// controlAddress is the content of control.json.
type controlAddress struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// leaveControlFile tells the other commands of this machine where control is and how to be let in.
func leaveControlFile(ctx context.Context, path, url string, writer *control.Control) error {
	var address controlAddress
	if old, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(old, &address) // a damaged file is replaced
	}
	var err error
	if address.Token, err = writer.LocalToken(ctx, address.Token); err != nil {
		return err
	}
	address.URL = url
	text, err := json.Marshal(address)
	if err != nil {
		return err
	}
	if err := writeOwn(path, string(text)+"\n"); err != nil {
		return fmt.Errorf("tell the other commands where control is: %w", err)
	}
	return nil
}
