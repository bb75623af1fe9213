package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// writeCSV writes a header and the rows. A cell of text that begins like a formula gets a leading apostrophe, which
// spreadsheets take for "this is text"; numbers are written as they are.
func (r *Result) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(r.Columns); err != nil {
		return err
	}
	cells := make([]string, len(r.Columns))
	for n, row := range slices.Concat(r.Rows, r.Others) {
		for i, value := range row {
			cells[i] = text(value)
			if _, ok := value.(string); ok {
				cells[i] = Disarm(cells[i])
			}
		}
		if n >= len(r.Rows) {
			r.label(cells, row, others)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// others stands in place of the keys of a row that adds up what lies beyond the top.
const others = "(others)"

// label makes the keys that were added up blank but the first, which says so.
func (r *Result) label(cells []string, row []any, label string) []string {
	for i := range cells[:r.Keys] {
		if row[i] == nil {
			cells[i], label = label, ""
		}
	}
	return cells
}

// plainNumber is text that a spreadsheet reads as a number, whatever its sign.
var plainNumber = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)

// Disarm keeps a spreadsheet from taking a cell of text for a formula (OWASP, CSV injection): an apostrophe goes before
// = + - @, tab, carriage return and line feed, unless the cell is a plain number.
func Disarm(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) || plainNumber.MatchString(cell) {
		return cell
	}
	return "'" + cell
}

// writeJSON writes an array with an object per row, names in the order of the columns. An object of others has no values for
// the keys that were added up, and says so.
func (r *Result) writeJSON(w io.Writer) error {
	var out bytes.Buffer
	out.WriteString("[")
	for i, row := range slices.Concat(r.Rows, r.Others) {
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n{")
		for j, value := range row {
			if j > 0 {
				out.WriteString(",")
			}
			switch v := value.(type) {
			case decimal.Decimal:
				value = text(v)
			case float64:
				value = json.Number(text(v))
			}
			encoded, err := json.Marshal(value)
			if err != nil {
				return fmt.Errorf("%s: %w", r.Columns[j], err)
			}
			fmt.Fprintf(&out, "%q:%s", r.Columns[j], encoded)
		}
		if i >= len(r.Rows) {
			out.WriteString(`,"others":true`)
		}
		out.WriteString("}")
	}
	out.WriteString("\n]\n")
	_, err := out.WriteTo(w)
	return err
}

// text is a value in full: money with all its digits, nil is empty.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case decimal.Decimal:
		return v.StringFixed(exactDigits)
	case float64:
		return ratioText(v)
	case map[string]uint64:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, fmt.Sprintf("%s=%d", key, v[key]))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(value)
}
