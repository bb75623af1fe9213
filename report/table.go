package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

const (
	gap      = "  "  // between columns
	nothing  = "-"   // stands for NULL and for text that is not known
	perClick = "epc" // money for one click, often less than a minor unit: not rounded to it
)

// writeTable aligns the rows under a header, text to the left and numbers to the right, with totals below a line. Without rows it says so.
func (r *Result) writeTable(w io.Writer) error {
	if len(r.Rows) == 0 {
		_, err := fmt.Fprintf(w, "no rows from %s to %s\n", r.From.Format(dateLayout), r.To.Format(dateLayout))
		return err
	}
	lines := [][]string{r.Columns}
	for _, row := range r.Rows {
		lines = append(lines, r.cells(row))
	}
	for _, row := range r.Others {
		lines = append(lines, r.label(r.cells(row), row, others))
	}
	rule := len(lines)
	for _, row := range r.Totals {
		lines = append(lines, r.label(r.cells(row), row, "total"))
	}
	widths := make([]int, len(r.Columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	right := r.numeric()
	out := bufio.NewWriter(w)
	for n, line := range lines {
		if n == rule {
			writeLine(out, widths, right, ruler(widths))
		}
		writeLine(out, widths, right, line)
	}
	if len(r.Others) > 0 {
		fmt.Fprintf(out, "%s adds up all rows but the %d with the highest %s; a larger top shows more, up to %d\n", others, r.Top, r.Rank, MaxRows)
	}
	return out.Flush()
}

func writeLine(out *bufio.Writer, widths []int, right []bool, cells []string) {
	var line strings.Builder
	for i, cell := range cells {
		if i > 0 {
			line.WriteString(gap)
		}
		fill := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if right[i] {
			line.WriteString(fill + cell)
		} else {
			line.WriteString(cell + fill)
		}
	}
	fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
}

func ruler(widths []int) []string {
	cells := make([]string, len(widths))
	for i, n := range widths {
		cells[i] = strings.Repeat("-", n)
	}
	return cells
}

// cells are a row's values for people.
func (r *Result) cells(row []any) []string {
	cells := make([]string, len(row))
	for i, value := range row {
		switch v := value.(type) {
		case nil:
			cells[i] = nothing
		case string:
			cells[i] = visible(cmp.Or(v, nothing))
		case decimal.Decimal:
			cells[i] = text(v)
			if r.Columns[i] != perClick {
				cells[i] = rounded(v, r.currency(row))
			}
		default:
			cells[i] = visible(text(v))
		}
	}
	return cells
}

// visible shows what a terminal would obey, such as an escape sequence in a UTM parameter, instead of sending it.
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsGraphic(c) {
			return c
		}
		return unicode.ReplacementChar
	}, s)
}

// numeric tells which columns hold numbers.
func (r *Result) numeric() []bool {
	numeric := make([]bool, len(r.Columns))
	for _, row := range r.Rows {
		for i, value := range row {
			switch value.(type) {
			case uint16, uint64, float64, decimal.Decimal:
				numeric[i] = true
			}
		}
	}
	return numeric
}
