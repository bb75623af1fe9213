package report

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// dateLayout is how days are written, in queries and in answers.
const dateLayout = time.DateOnly

// defaultDays is the span of a query that names no days: the last thirty, today included.
const defaultDays = 30

// Params are a query as people write it, in flags or in a URL.
type Params struct {
	Report string   // its name, see [Names]
	From   string   // first day, 2006-01-02 in UTC; empty = thirty days before To
	To     string   // day after the last; empty = tomorrow
	Brands []string // keys of brands; empty = all that the caller may see
	By     []string // what to group by; empty = the report's own keys
	Format string   // empty = table
}

// Values are p as the query of a URL; its report is a part of the path.
func (p Params) Values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{
		"from": p.From, "to": p.To, "format": p.Format, "brand": strings.Join(p.Brands, ","), "by": strings.Join(p.By, ","),
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values
}

// A ParamError says which parameter is wrong, and why.
type ParamError struct {
	Param  string // as in the URL: report, from, to, brand, by, format
	Value  string
	Reason string // ends the sentence "from 2026-02-30 …"
}

func (e *ParamError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Param, e.Value, e.Reason)
}

// A Query is a checked request.
type Query struct {
	From, To time.Time // midnights in UTC, To excluded
	Brands   []string  // keys; empty = all that the caller may see
	Format   Format

	report definition
	by     []string
}

// Parse checks p at the time now. Its errors are *[ParamError].
func Parse(p Params, now time.Time) (Query, error) {
	d, ok := define(p.Report)
	if !ok {
		return Query{}, &ParamError{"report", p.Report, "is none of " + strings.Join(Names(), ", ")}
	}
	q := Query{Brands: p.Brands, report: d}
	var err error
	if q.From, q.To, err = span(p.From, p.To, now); err != nil {
		return Query{}, err
	}
	if q.Format, err = parseFormat(p.Format); err != nil {
		return Query{}, err
	}
	if q.by, err = d.grouping(p.By); err != nil {
		return Query{}, err
	}
	if len(p.Brands) > 0 && !d.perBrand {
		return Query{}, &ParamError{"brand", strings.Join(p.Brands, ","), p.Report + " counts whole nodes, not brands; leave it out"}
	}
	return q, nil
}

// span reads the days from and to, and fills in what is missing.
func span(from, to string, now time.Time) (first, end time.Time, err error) {
	end = now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	if to != "" {
		if end, err = parseDay("to", to); err != nil {
			return first, end, err
		}
	}
	first = end.AddDate(0, 0, -defaultDays)
	if from != "" {
		if first, err = parseDay("from", from); err != nil {
			return first, end, err
		}
	}
	if !first.Before(end) {
		return first, end, &ParamError{"from", first.Format(dateLayout), "is not before to, " + end.Format(dateLayout) + ", which is the day after the last"}
	}
	return first, end, nil
}

// lastDay is the last that ClickHouse's Date can hold.
var lastDay = time.Date(2149, time.June, 6, 0, 0, 0, 0, time.UTC)

func parseDay(param, text string) (time.Time, error) {
	day, err := time.Parse(dateLayout, text)
	if err != nil {
		return day, &ParamError{param, text, "is not a day like 2026-03-31"}
	}
	if day.Before(time.Unix(0, 0)) || day.After(lastDay) {
		return day, &ParamError{param, text, "is not between 1970-01-01 and " + lastDay.Format(dateLayout)}
	}
	return day, nil
}

// grouping checks what to group by; each name once, from the report's list. Behind them stand the keys that the report
// never adds together, whether asked for or not.
func (d definition) grouping(by []string) ([]string, error) {
	if len(by) == 0 {
		return d.by, nil
	}
	for i, name := range by {
		if _, ok := d.key(name); !ok {
			return nil, &ParamError{"by", name, "is none of " + strings.Join(d.keyNames(), ", ")}
		}
		if slices.Contains(by[:i], name) {
			return nil, &ParamError{"by", name, "is named twice"}
		}
	}
	by = slices.Clone(by)
	for _, name := range d.apart {
		if _, isKey := d.key(name); isKey && !slices.Contains(by, name) {
			by = append(by, name)
		}
	}
	return by, nil
}
