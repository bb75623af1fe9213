package sheet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrHeader is wrapped by the refusal of a file as a whole: nothing of it has been imported.
var ErrHeader = errors.New("import file refused")

// A Layout is what a file of one kind may hold.
type Layout struct {
	Kind     string
	Columns  []string
	Required []string
	Identity []string // columns that together say which row is meant; empty where repeating one is no mistake
}

// maxName is how many bytes of an unknown column's name are quoted.
const maxName = 64

// A header is the first line of a file, checked against its layout.
type header struct {
	layout Layout
	at     map[string]int // position of each column that the file has
}

// readHeader checks the first record of a file, err being that of reading it. The error is ErrHeader.
func (l Layout) readHeader(names []string, err error) (*header, error) {
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is empty; a %s file begins with a header line", ErrHeader, l.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its header is not CSV: %w", ErrHeader, err)
	}

	if separator := strings.IndexAny(names[0], ";\t"); len(names) == 1 && separator >= 0 { // as spreadsheets in many languages save it
		return nil, fmt.Errorf("%w: its columns are separated by %q: save it with commas", ErrHeader, names[0][separator])
	}

	h := &header{l, make(map[string]int, len(names))}
	for i, name := range names {
		if len(name) > maxName { // no column's, and too long to compare with all of them
			return nil, fmt.Errorf("%w: unknown column %q of %d bytes in %s; columns are %s",
				ErrHeader, Shorten(name, maxName), len(name), l.Kind, strings.Join(l.Columns, ", "))
		}
		if !slices.Contains(l.Columns, name) {
			return nil, fmt.Errorf("%w: unknown column %q in %s; did you mean %q? Columns are %s",
				ErrHeader, name, l.Kind, Nearest(name, l.Columns), strings.Join(l.Columns, ", "))
		}
		if _, twice := h.at[name]; twice {
			return nil, fmt.Errorf("%w: column %q stands twice in the header", ErrHeader, name)
		}
		h.at[name] = i
	}
	for _, name := range l.Required {
		if !h.has(name) {
			return nil, fmt.Errorf("%w: %s needs the column %q; the header has %s", ErrHeader, l.Kind, name, strings.Join(names, ", "))
		}
	}
	return h, nil
}

func (h *header) has(column string) bool {
	_, ok := h.at[column]
	return ok
}
