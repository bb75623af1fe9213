package sheet

import "strings"

// A Record is one line of an import file.
type Record struct {
	Line   int // in the file, the header being line 1
	header *header
	cells  []string
}

// NewRecord returns a record of its own, without cells yet.
func NewRecord(line int) Record {
	return Record{Line: line, header: &header{at: map[string]int{}}}
}

// Set adds a cell to a record of its own, under a column that it does not have yet.
func (r *Record) Set(column, cell string) {
	r.header.at[column] = len(r.cells)
	r.cells = append(r.cells, cell)
}

// Has reports whether the header has a column.
func (r Record) Has(column string) bool { return r.header.has(column) }

// Cell returns the text under a column, empty where the file leaves the column out.
func (r Record) Cell(column string) string {
	if i, ok := r.header.at[column]; ok {
		return r.cells[i]
	}
	return ""
}

// A Reject says why one line of a file was not imported.
type Reject struct {
	Line   int    `json:"line" doc:"line of the file, the header being line 1"`
	Column string `json:"column" doc:"column with the problem, empty when it is the whole line"`
	Reason string `json:"reason"`
	Value  string `json:"value" doc:"the cell, shortened"`
}

// ByLine compares rejects for their order in the file.
func ByLine(a, b Reject) int { return a.Line - b.Line }

// maxValue is how many bytes of a refused cell are quoted.
const maxValue = 200

// Reject refuses the record for what is under a column, empty for the whole of it.
func (r Record) Reject(column, reason string) Reject {
	value := Shorten(r.Cell(column), maxValue)
	return Reject{r.Line, column, reason, strings.ToValidUTF8(value, "�")}
}

// Shorten is text, or its first most bytes where it is longer.
func Shorten(text string, most int) string {
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
