package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"carom/redirect"
)

// Lengths of text cells in bytes.
const (
	maxKey     = 64
	maxText    = 256
	maxComment = 2048
	maxCell    = 4096 // of any column that allows no more: longer ones are not worth parsing
)

// A column is one column of an import file, and one field of the API's objects.
type column[R any] struct {
	name     string
	about    string // what the API's description says of it
	required bool
	longest  int      // cell in bytes, 0 for maxCell
	shape    shape    // of its values in JSON
	options  []string // the values there are, where that is a closed list
	// set reads a cell into the row and reports whether that changed it. An empty cell sets the column's default.
	// It is nil for a column that find has dealt with: one that names the row or another one.
	set func(row *R, cell string) (changed bool, err error)
	// show is the row's value, to be written as JSON; nil for a column that no answer of the API holds.
	show func(row *R) (any, error)
	// warn says what a person should look at in what set has accepted, empty for nothing; nil for a column that is never odd.
	warn func(row *R) string
}

// What several columns have to say.
const (
	aboutKeys      = "key that people write, 1 to 64 letters, digits, dots, dashes and underscores; never changes"
	aboutTemplates = "may hold {brand} {campaign} {influencer} {link} {platform} {content_format}"
	aboutOverrides = "its own, with placeholders as a campaign's; the campaign's where empty"
)

// key is a column that says which row is meant.
func key[R any](name string) column[R] { return column[R]{name: name, required: true} }

// optionalKey is a column that says which row is meant and may be empty or left out.
func optionalKey[R any](name string) column[R] { return column[R]{name: name} }

// must makes a column required, in the header and in each row.
func (c column[R]) must() column[R] {
	c.required = true
	return c
}

// says describes a column to those who write programs.
func (c column[R]) says(about string) column[R] {
	c.about = about
	return c
}

// warns is a column of which warn may say what is odd.
func (c column[R]) warns(warn func(row *R) string) column[R] {
	c.warn = warn
	return c
}

// shown is a column whose text the API's answers hold.
func (c column[R]) shown(text func(row *R) string) column[R] {
	c.show = func(row *R) (any, error) { return text(row), nil }
	return c
}

// like gives a column the shape of its values in JSON.
func (c column[R]) like(s shape) column[R] {
	c.shape = s
	return c
}

// value is a column that fills one field of the row. parse may read what the columns before it have set.
func value[R, V any](name string, at func(*R) *V, same func(V, V) bool, parse func(row *R, cell string) (V, error)) column[R] {
	return column[R]{
		name: name,
		set: func(row *R, cell string) (bool, error) {
			v, err := parse(row, cell)
			if err != nil {
				return false, err
			}
			field := at(row)
			if same(*field, v) {
				return false, nil
			}
			*field = v
			return true, nil
		},
		show: func(row *R) (any, error) { return *at(row), nil },
	}
}

func equal[V comparable](a, b V) bool { return a == b }

// text is free text of at most limit bytes.
func text[R any](name string, limit int, at func(*R) *string) column[R] {
	return value(name, at, equal, func(_ *R, cell string) (string, error) {
		return cell, checkText(cell, limit)
	})
}

// checkText refuses what would break a report, a log or a header later.
func checkText(cell string, limit int) error {
	switch {
	case len(cell) > limit:
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(cell), limit)
	case !utf8.ValidString(cell):
		return fmt.Errorf("is not valid UTF-8")
	case strings.ContainsFunc(cell, unicode.IsControl):
		return fmt.Errorf("contains a control character")
	}
	return nil
}

// checkKey refuses what is not a key that people may write.
func checkKey(cell string) error {
	alphanumeric := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	ok := cell != "" && len(cell) <= maxKey && alphanumeric(cell[0])
	for i := range len(cell) {
		ok = ok && (alphanumeric(cell[i]) || strings.IndexByte("._-", cell[i]) >= 0)
	}
	if !ok {
		return fmt.Errorf("must be 1 to %d letters, digits, dots, dashes or underscores, a letter or digit first", maxKey)
	}
	return nil
}

// label is one lower-case word that reports group by, such as a platform; it may be empty.
func label[R any](name string, at func(*R) *string) column[R] {
	return value(name, at, equal, func(_ *R, cell string) (string, error) { return parseLabel(cell, "") })
}

// parseLabel reads one word, in any case; empty is def.
func parseLabel(cell, def string) (string, error) {
	if cell == "" {
		return def, nil
	}
	return strings.ToLower(cell), checkKey(cell)
}

// choice is one of a closed list; the first option is what an empty cell means.
func choice[R any](name string, at func(*R) *string, options ...string) column[R] {
	c := value(name, at, equal, func(_ *R, cell string) (string, error) {
		switch {
		case cell == "":
			return options[0], nil
		case slices.Contains(options, cell):
			return cell, nil
		}
		return "", fmt.Errorf("must be one of %s", strings.Join(slices.DeleteFunc(slices.Clone(options), isEmpty), ", "))
	})
	c.options = options
	return c
}

func isEmpty(s string) bool { return s == "" }

// words is a list of words with blanks between them, each as parse returns it.
func words[R any](name string, parse func(word string) (string, error), at func(*R) *[]string) column[R] {
	return value(name, at, slices.Equal[[]string], func(_ *R, cell string) ([]string, error) {
		list := []string{}
		for _, word := range strings.Fields(cell) {
			parsed, err := parse(word)
			if err != nil {
				return nil, err
			}
			list = append(list, parsed)
		}
		return list, nil
	}).like(aList)
}

// flag is true or false, with what an empty cell means.
func flag[R any](name string, def bool, at func(*R) *bool) column[R] {
	return value(name, at, equal, func(_ *R, cell string) (bool, error) {
		switch strings.ToLower(cell) {
		case "":
			return def, nil
		case "true", "yes", "1":
			return true, nil
		case "false", "no", "0":
			return false, nil
		}
		return false, fmt.Errorf("must be true or false")
	}).like(aFlag)
}

// count is a whole number from lo to hi, with what an empty cell means.
func count[R any, N uint16 | uint64](name string, lo, hi, def N, at func(*R) *N) column[R] {
	return value(name, at, equal, func(_ *R, cell string) (N, error) {
		if cell == "" {
			return def, nil
		}
		n, err := strconv.ParseUint(cell, 10, 64)
		if err != nil || n < uint64(lo) || n > uint64(hi) {
			return 0, fmt.Errorf("must be a whole number from %d to %d", lo, hi)
		}
		return N(n), nil
	}).like(aNumber)
}

// noTime is how a DateTime column says that no time is set.
func noTime() time.Time { return time.Unix(0, 0).UTC() }

// moment is a point in time, UTC; empty is no time.
func moment[R any](name string, at func(*R) *time.Time) column[R] {
	c := value(name, at, time.Time.Equal, func(_ *R, cell string) (time.Time, error) {
		if cell == "" {
			return noTime(), nil
		}
		return parseTime(cell)
	}).like(aMoment)
	c.show = func(row *R) (any, error) {
		if t := *at(row); !t.Equal(noTime()) {
			return t.UTC(), nil
		}
		return nil, nil
	}
	return c
}

// parseTime reads an RFC 3339 time or a day, which means its first moment in UTC. The years are those that a DateTime holds.
func parseTime(cell string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		t, err = time.Parse(time.DateOnly, cell)
	}
	if err != nil || t.Year() < 2000 || t.Year() > 2105 {
		return time.Time{}, fmt.Errorf("must be a day such as 2026-01-31 or a time such as 2026-01-31T15:04:05Z, years 2000 to 2105")
	}
	return t.UTC().Truncate(time.Second), nil
}

// parseDay reads the day of a snapshot.
func parseDay(cell string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, cell)
	if err != nil || t.Year() < 2000 || t.Year() > 2105 {
		return time.Time{}, fmt.Errorf("must be a day such as 2026-01-31, years 2000 to 2105")
	}
	return t, nil
}

// money is an amount in the currency that an earlier column has set; empty is zero.
func money[R any](name string, at func(*R) *decimal.Decimal, currency func(*R) string) column[R] {
	return value(name, at, decimal.Decimal.Equal, func(row *R, cell string) (decimal.Decimal, error) {
		if cell == "" {
			return decimal.Zero, nil
		}
		return redirect.ParseAmount(cell, currency(row))
	}).like(anAmount).shown(func(row *R) string { return at(row).StringFixed(moneyDigits) })
}

// template is a UTM value with placeholders.
func template[R any](name string, at func(*R) *string) column[R] {
	return value(name, at, equal, func(_ *R, cell string) (string, error) {
		if err := checkText(cell, maxText); err != nil {
			return "", err
		}
		return cell, redirect.CheckTemplate(cell)
	})
}

// address is a URL that the policy of the row's brand allows, as CheckDestination normalises it; empty is none.
func address[R any](name string, at func(*R) *string, policy func(*R) redirect.DestinationPolicy) column[R] {
	c := value(name, at, equal, func(row *R, cell string) (string, error) {
		if cell == "" {
			return "", nil
		}
		d, err := redirect.CheckDestination(cell, policy(row))
		return d.URL, err
	})
	c.warn = func(row *R) string { return oddAddress(*at(row)) }
	return c
}
