package report

import (
	"fmt"
	"io"
	"strconv"

	"github.com/shopspring/decimal"

	"carom/redirect"
)

// A Format is how an answer is written.
type Format string

// The formats.
const (
	Table Format = "table" // for people, with totals; money rounded to minor units
	CSV   Format = "csv"   // RFC 4180, for spreadsheets: text that a spreadsheet would run is disarmed
	JSON  Format = "json"  // an array of objects, exact: money is a string
)

func parseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case "":
		return Table, nil
	case Table, CSV, JSON:
		return f, nil
	}
	return "", &ParamError{"format", text, "is none of table, csv, json"}
}

// tableRows are more than anyone reads on a screen.
const tableRows = 1000

// rows is how many rows stand for themselves unless asked otherwise.
func (f Format) rows() int {
	if f == Table {
		return tableRows
	}
	return MaxRows
}

// ContentType is the media type of f.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case JSON:
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// Write writes r to w as f. Totals stand in a table only: elsewhere they would be added to what they add up, and a
// query grouped by less gives them as rows.
func (r *Result) Write(w io.Writer, f Format) error {
	var err error
	switch f {
	case CSV:
		err = r.writeCSV(w)
	case JSON:
		err = r.writeJSON(w)
	default:
		err = r.writeTable(w)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f, err)
	}
	return nil
}

// currency of a row; empty where the report has none.
func (r *Result) currency(row []any) string {
	last := len(r.Columns) - 1
	if r.Columns[last] != "currency" {
		return ""
	}
	code, _ := row[last].(string)
	return code
}

// exactDigits is the scale of money in ClickHouse and of ratios, in every format.
const exactDigits = 4

// rounded writes an amount with the digits of its currency's minor unit, half rounded up.
func rounded(amount decimal.Decimal, currency string) string {
	digits, known := redirect.MinorUnits(currency)
	if !known {
		digits = exactDigits
	}
	return amount.StringFixed(int32(digits))
}

// ratioText writes a number that is none of money or counting.
func ratioText(v float64) string { return strconv.FormatFloat(v, 'f', exactDigits, 64) }
