package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// parseError is what kong says of a command line, with the help that would have told better.
func parseError(err error) error {
	var wrong *kong.ParseError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	text := err.Error()
	if selected := wrong.Context.Selected(); selected == nil || !selected.Leaf() {
		text = strings.Replace(text, "unexpected argument", "unknown command", 1)
	}
	return pointToHelp(fmt.Errorf("%w: %s", errUsage, text), wrong.Context)
}

// pointToHelp ends an error about usage with the help of the command that was meant.
func pointToHelp(err error, command *kong.Context) error {
	if !errors.Is(err, errUsage) {
		return err
	}
	path := command.Model.Name
	if selected := command.Selected(); selected != nil {
		path += " " + selected.Path()
	}
	return fmt.Errorf("%w; see %s --help", err, path)
}
