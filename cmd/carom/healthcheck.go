package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthTimeout bounds a question to a process that may hang: container runtimes give a health check a few seconds.
const healthTimeout = 3 * time.Second

// healthcheckCommand asks a process on this machine how it is, for images that hold nothing else that could: a container's health
// check, a script.
type healthcheckCommand struct {
	Admin string `default:"127.0.0.1:9090" env:"CAROM_ADMIN" help:"Admin address of the process: host:port, or :port."`
	Ready bool   `help:"Ask whether it is ready for traffic, as a load balancer does, instead of whether it lives."`
}

// Run fails unless the answer is 200.
func (h *healthcheckCommand) Run(ctx context.Context, terminal *console) error {
	host, port, err := net.SplitHostPort(h.Admin)
	if err != nil {
		return fmt.Errorf("%w: --admin %q: give host:port, as to serve and control", errUsage, h.Admin)
	}
	address, path := net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port), "/healthz"
	if h.Ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s how it is: %w", address, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s how it is: %w", address, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("ask %s how it is: %w", address, err)
	}
	said := strings.TrimSpace(string(text))
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answers %s: %s", address, path, answer.Status, said)
	}
	_, err = fmt.Fprintln(terminal.Out, said)
	return err
}
