package sheet

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// A Reader reads a file line by line.
type Reader struct {
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

// Read reads the header of a file, or of a part whose second line is line firstLine of the file.
func Read(r io.Reader, l Layout, firstLine int) (*Reader, error) {
	in := csv.NewReader(skipMark(r))
	in.FieldsPerRecord = -1 // a line of another length is rejected, not the file
	names, err := in.Read()
	h, err := l.readHeader(names, err)
	if err != nil {
		return nil, err
	}
	return &Reader{in, h, firstLine - 2}, nil
}

// Next returns the next line; a line that is not CSV as a Reject. The error is io.EOF at the end, otherwise the reader's.
func (r *Reader) Next() (Record, *Reject, error) {
	cells, err := r.csv.Read()
	var syntax *csv.ParseError
	switch {
	case errors.As(err, &syntax):
		return Record{}, &Reject{Line: syntax.StartLine + r.shift, Reason: "is not CSV: " + syntax.Err.Error()}, nil
	case err != nil:
		return Record{}, nil, err
	}
	line, _ := r.csv.FieldPos(0)
	rec := Record{line + r.shift, r.header, cells}
	if len(cells) != len(r.header.at) {
		reason := fmt.Sprintf("has %d cells, the header has %d", len(cells), len(r.header.at))
		return Record{}, &Reject{Line: rec.Line, Reason: reason}, nil
	}
	return rec, nil, nil
}
