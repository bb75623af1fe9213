package report

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dateLayout is how days are written, in queries and in answers.
const dateLayout = time.DateOnly

// defaultDays is the span of a query that names no days: the last thirty, today included.
const defaultDays = 30

// MaxRows is how many rows an answer or a page has at most, beside others and totals: more than anyone reads, and about
// 50 MB, since it is built in memory.
const MaxRows = 50_000

// Params are a query as people write it, in flags or in a URL.
type Params struct {
	Report string   // its name, see [Names]
	From   string   // first day, 2006-01-02 in UTC; empty = thirty days before To
	To     string   // day after the last; empty = tomorrow
	Brands []string // keys of brands; empty = all that the caller may see
	By     []string // what to group by; empty = the report's own keys
	Format string   // empty = table
	Top    int      // rows that stand for themselves, the others being added up; 0 = as many as the format is good for
	Limit  int      // rows of a page; 0 = no page but the whole answer
	Offset int      // rows before the page

	Conflicts bool // of the conversions report: what contradicts itself, one by one
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
	for name, n := range map[string]int{"top": p.Top, "limit": p.Limit, "offset": p.Offset} {
		if n != 0 {
			values.Set(name, strconv.Itoa(n))
		}
	}
	if p.Conflicts {
		values.Set("conflicts", "true")
	}
	return values
}

// A ParamError says which parameter is wrong, and why.
type ParamError struct {
	Param  string // as in the URL: report, from, to, brand, by, format, top, limit, offset, conflicts
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
	Top      int // rows that stand for themselves; 0 on a page
	Limit    int // rows of a page; 0 = no page
	Offset   int // rows before the page

	report definition
	by     []string
}

// paged reports whether q asks for some rows of the answer, in the order of their keys, and nothing is added up.
func (q Query) paged() bool { return q.Limit > 0 }

// folds reports whether rows are added up, to totals and beyond the top to others. Where q groups by nothing but what is never
// added up, the rows are the totals.
func (q Query) folds() bool {
	return !q.paged() && slices.ContainsFunc(q.by, func(key string) bool { return !q.isApart(key) })
}

// isApart reports whether values of the key are never added together.
func (q Query) isApart(key string) bool { return slices.Contains(q.report.apart, key) }

// Parse checks p at the time now. Its errors are *[ParamError].
func Parse(p Params, now time.Time) (Query, error) {
	d, ok := define(p.Report)
	if !ok {
		return Query{}, &ParamError{"report", p.Report, "is none of " + strings.Join(Names(), ", ")}
	}
	if p.Conflicts {
		if p.Report != "conversions" {
			return Query{}, &ParamError{"conflicts", "true", "only the conversions report has them"}
		}
		d = conflicts()
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
	if q.Top, q.Limit, q.Offset, err = p.extent(q.Format); err != nil {
		return Query{}, err
	}
	if len(p.Brands) > 0 && !d.perBrand {
		return Query{}, &ParamError{"brand", strings.Join(p.Brands, ","), p.Report + " counts whole nodes, not brands; leave it out"}
	}
	return q, nil
}

// extent is how much of an answer is asked for.
func (p Params) extent(f Format) (top, limit, offset int, err error) {
	for _, n := range []struct {
		name string
		n    int
		most int
	}{{"top", p.Top, MaxRows}, {"limit", p.Limit, MaxRows}, {"offset", p.Offset, math.MaxInt32}} {
		if n.n < 0 || n.n > n.most {
			return 0, 0, 0, &ParamError{n.name, strconv.Itoa(n.n), fmt.Sprintf("is not between 1 and %d", n.most)}
		}
	}
	switch {
	case p.Limit == 0 && p.Offset > 0:
		return 0, 0, 0, &ParamError{"offset", strconv.Itoa(p.Offset), "needs a limit: how many rows the page has"}
	case p.Limit > 0 && p.Top > 0:
		return 0, 0, 0, &ParamError{"top", strconv.Itoa(p.Top), "adds rows up, and a page has them all; give top or limit"}
	case p.Limit > 0:
		return 0, p.Limit, p.Offset, nil
	}
	return cmp.Or(p.Top, f.rows()), 0, 0, nil
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
