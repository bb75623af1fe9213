package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// A configFile is the YAML file of a command: each key is the name of one of its flags. A flag on the command line wins
// over its CAROM_… environment variable, and that over the file.
type configFile struct {
	path   string
	values map[string]any
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
		return nil, fmt.Errorf("read configuration %s: %w", c.path, err)
	}
	for key, value := range raw {
		c.values[strings.ReplaceAll(key, "_", "-")] = value
	}
	return c, nil
}

// Validate refuses keys that no flag of the command has.
func (c *configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			known[flag.Name] = true
		}
		return next(nil)
	})
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if !known[key] {
			return fmt.Errorf("configuration %s: unknown key %q; the nearest known one is %q",
				c.path, key, nearest(key, slices.Collect(maps.Keys(known))))
		}
	}
	return nil
}

// Resolve returns the file's value of a flag, nil where it has none.
func (c *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
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
		if flag.Name == "help" || flag.Name == "config" || flag.Name == "print-config" {
			continue
		}
		effective = append(effective, yaml.MapItem{Key: flag.Name, Value: masked(command.FlagValue(flag))})
	}
	out, err := yaml.Marshal(effective)
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	_, err = w.Write(out)
	return err
}

// masked hides the password of a DSN.
func masked(value any) any {
	switch v := value.(type) {
	case string:
		if u, err := url.Parse(v); err == nil && u.User != nil {
			if _, has := u.User.Password(); has {
				return strings.Replace(u.Redacted(), "xxxxx", "***", 1)
			}
		}
		return v
	case fmt.Stringer:
		return v.String()
	}
	return value
}

// nearest is the candidate with the least edit distance to word.
func nearest(word string, candidates []string) string {
	slices.Sort(candidates)
	best, least := "", len(word)+64
	for _, c := range candidates {
		if d := editDistance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
