package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"carom/control/sheet"
)

// configFlags are those of every command that has a configuration.
type configFlags struct {
	Config      kong.ConfigFlag `placeholder:"FILE" help:"YAML file; each key is the name of a flag below."`
	PrintConfig bool            `help:"Print the effective configuration, secrets masked, and end."`
}

// A configFile is the YAML file of a command: each key is the name of one of its flags. A flag on the command line wins
// over its CAROM_… environment variable, and that over the file.
type configFile struct {
	path   string
	values map[string]any
	flags  []*kong.Flag // of the selected command, known once the first of them is resolved
}

// loadConfigFile is a kong.ConfigurationLoader.
func loadConfigFile(r io.Reader) (kong.Resolver, error) {
	c := &configFile{values: map[string]any{}}
	if f, ok := r.(*os.File); ok {
		c.path = f.Name()
	}
	var raw map[string]any
	err := yaml.NewDecoder(r).Decode(&raw)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read configuration %s: %s", c.path, yaml.FormatError(err, false, false))
	}
	for key, value := range raw {
		c.values[strings.ReplaceAll(key, "_", "-")] = value
	}
	return c, nil
}

// Validate refuses keys that no flag of the command has. It is called after Resolve.
func (c *configFile) Validate(*kong.Application) error {
	var known []string
	for _, flag := range c.flags {
		if configurable(flag) {
			known = append(known, flag.Name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if !slices.Contains(known, key) {
			return fmt.Errorf("configuration %s: unknown key %q; the nearest known one is %q", c.path, key, sheet.Nearest(key, known))
		}
	}
	return nil
}

// configurable tells the settings of a command from the flags that only ask something of it.
func configurable(flag *kong.Flag) bool {
	return !slices.Contains([]string{"help", "config", "print-config"}, flag.Name)
}

// Resolve returns the file's value of a flag, nil where it has none or the environment has one, which wins.
func (c *configFile) Resolve(command *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	c.flags = command.Flags()
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	value := c.values[flag.Name]
	if list, ok := value.([]any); ok { // kong splits a string of commas itself
		parts := make([]string, len(list))
		for i, v := range list {
			parts[i] = fmt.Sprint(v)
		}
		return strings.Join(parts, ","), nil
	}
	return value, nil
}

// printConfig writes the effective configuration of the selected command as YAML, secrets masked.
func printConfig(w io.Writer, command *kong.Context) error {
	effective := yaml.MapSlice{}
	for _, flag := range command.Flags() {
		if configurable(flag) {
			effective = append(effective, yaml.MapItem{Key: flag.Name, Value: masked(command.FlagValue(flag))})
		}
	}
	out, err := yaml.Marshal(effective)
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	_, err = w.Write(out)
	return err
}

// The places of a DSN's password, also where the rest is no URL.
var (
	// passwordParameter may hold an @, so it is masked first.
	passwordParameter = regexp.MustCompile(`(?is)([?&;]password=)[^&]*`)
	dsnScheme         = regexp.MustCompile(`(?i)^[a-z][a-z0-9+.-]*://`)
	// userPassword is what stands between a user and the last @.
	userPassword = regexp.MustCompile(`(?s)^([^:/@]*:).*@`)
)

// masked hides the passwords of a DSN.
func masked(value any) any {
	switch v := value.(type) {
	case string:
		v = passwordParameter.ReplaceAllString(v, "${1}***")
		scheme := dsnScheme.FindString(v)
		return scheme + userPassword.ReplaceAllString(v[len(scheme):], "${1}***@")
	case fmt.Stringer:
		return v.String()
	}
	return value
}
