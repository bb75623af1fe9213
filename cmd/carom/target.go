package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"carom/control/client"
)

// controlTarget is the flags of every command that talks to a control process. The token is shown in no error and no log.
type controlTarget struct {
	Server string `placeholder:"URL" env:"CAROM_SERVER" help:"Address of the control process; otherwise that of a local carom up is used."`
	Token  string `placeholder:"T" env:"CAROM_TOKEN" help:"API token; the environment keeps it out of the process list."`
	Data   string `default:"carom-data" type:"path" placeholder:"DIR" env:"CAROM_DATA" help:"Data directory of a local carom up (${default})."`
}

// client finds the control process and what opens it: from the flags, or from what a local up has left.
func (t controlTarget) client() (*client.Client, error) {
	address, err := t.address()
	if err != nil {
		return nil, err
	}
	client, err := client.New(address.URL, address.Token)
	if err != nil {
		return nil, fmt.Errorf("%w: --server: %w", errUsage, err)
	}
	if t.Server == "" {
		client.Advise(fmt.Sprintf("no carom up runs on %[1]s; start it with carom up --data %[1]s", t.Data))
	}
	return client, nil
}

func (t controlTarget) address() (controlAddress, error) {
	if t.Server != "" {
		if t.Token == "" {
			return controlAddress{}, fmt.Errorf("%w: --server needs --token or CAROM_TOKEN", errUsage)
		}
		return controlAddress{URL: t.Server, Token: t.Token}, nil
	}
	path := filepath.Join(t.Data, controlFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return controlAddress{}, fmt.Errorf("find a local carom up: %w; start one, or name --data or --server", err)
	}
	var address controlAddress
	if err := json.Unmarshal(text, &address); err != nil {
		return controlAddress{}, fmt.Errorf("read %s: it is damaged; start carom up again", path)
	}
	if t.Token != "" {
		address.Token = t.Token
	}
	return address, nil
}
