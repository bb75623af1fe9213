package control

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrHeader is wrapped by the refusal of a file as a whole: nothing of it has been imported.
var ErrHeader = errors.New("import file refused")

// A layout is what a file of one kind may hold.
type layout struct {
	kind     string
	columns  []string
	shapes   []shape // of the columns
	required []string
	identity []string // columns that together say which row is meant; empty where repeating one is no mistake
}

// A header is the first line of a file, checked against its layout.
type header struct {
	layout layout
	at     map[string]int // position of each column that the file has
}

// readHeader checks the first record of a file, err being that of reading it. The error is ErrHeader.
func (l layout) readHeader(names []string, err error) (*header, error) {
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is empty; a %s file begins with a header line", ErrHeader, l.kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its header is not CSV: %w", ErrHeader, err)
	}

	if separator := strings.IndexAny(names[0], ";\t"); len(names) == 1 && separator >= 0 { // as spreadsheets in many languages save it
		return nil, fmt.Errorf("%w: its columns are separated by %q: save it with commas", ErrHeader, names[0][separator])
	}

	h := &header{l, make(map[string]int, len(names))}
	for i, name := range names {
		if len(name) > maxNameQuote { // no column's, and too long to compare with all of them
			return nil, fmt.Errorf("%w: unknown column %q of %d bytes in %s; columns are %s",
				ErrHeader, shortened(name, maxNameQuote), len(name), l.kind, strings.Join(l.columns, ", "))
		}
		if !slices.Contains(l.columns, name) {
			return nil, fmt.Errorf("%w: unknown column %q in %s; did you mean %q? Columns are %s",
				ErrHeader, name, l.kind, Nearest(name, l.columns), strings.Join(l.columns, ", "))
		}
		if _, twice := h.at[name]; twice {
			return nil, fmt.Errorf("%w: column %q stands twice in the header", ErrHeader, name)
		}
		h.at[name] = i
	}
	for _, name := range l.required {
		if !h.has(name) {
			return nil, fmt.Errorf("%w: %s needs the column %q; the header has %s", ErrHeader, l.kind, name, strings.Join(names, ", "))
		}
	}
	return h, nil
}

func (h *header) has(column string) bool {
	_, ok := h.at[column]
	return ok
}

// A record is one line of an import file.
type record struct {
	line   int // in the file, the header being line 1
	header *header
	cells  []string
}

// cell returns the text under a column, empty where the file leaves the column out.
func (r record) cell(column string) string {
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

// maxRejectValue is how many bytes of a refused cell are quoted.
const maxRejectValue = 200

func (r record) reject(column, reason string) Reject {
	value := shortened(r.cell(column), maxRejectValue)
	return Reject{r.line, column, reason, strings.ToValidUTF8(value, "�")}
}

// shortened is text, or its first most bytes where it is longer.
func shortened(text string, most int) string {
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// records reads a file line by line.
type records struct {
	csv    *csv.Reader
	header *header
	shift  int // added to the reader's line numbers
}

// byteOrderMark may begin a UTF-8 file.
const byteOrderMark = "\ufeff"

// skipMark returns r without the byte order mark that it may begin with.
func skipMark(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if start, _ := b.Peek(len(byteOrderMark)); string(start) == byteOrderMark {
		_, _ = b.Discard(len(byteOrderMark)) // they have just been peeked at
	}
	return b
}

// readRecords reads the header of a file, or of a part whose second line is line firstLine of the file.
func readRecords(r io.Reader, l layout, firstLine int) (*records, error) {
	in := csv.NewReader(skipMark(r))
	in.FieldsPerRecord = -1 // a line of another length is rejected, not the file
	names, err := in.Read()
	h, err := l.readHeader(names, err)
	if err != nil {
		return nil, err
	}
	return &records{in, h, firstLine - 2}, nil
}

// next returns the next line; a line that is not CSV as a Reject. The error is io.EOF at the end, otherwise the reader's.
func (r *records) next() (record, *Reject, error) {
	cells, err := r.csv.Read()
	var syntax *csv.ParseError
	switch {
	case errors.As(err, &syntax):
		return record{}, &Reject{Line: syntax.StartLine + r.shift, Reason: "is not CSV: " + syntax.Err.Error()}, nil
	case err != nil:
		return record{}, nil, err
	}
	line, _ := r.csv.FieldPos(0)
	rec := record{line + r.shift, r.header, cells}
	if len(cells) != len(r.header.at) {
		reason := fmt.Sprintf("has %d cells, the header has %d", len(cells), len(r.header.at))
		return record{}, &Reject{Line: rec.line, Reason: reason}, nil
	}
	return rec, nil, nil
}

// Nearest returns the candidate with the smallest edit distance to name.
func Nearest(name string, candidates []string) string {
	return slices.MinFunc(candidates, func(a, b string) int { return editDistance(name, a) - editDistance(name, b) })
}

// editDistance is Levenshtein's, over bytes, of the lower-case texts.
func editDistance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
