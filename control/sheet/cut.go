package sheet

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxPartBytes ends a part early where lines are long.
	maxPartBytes = 8 << 20
	// maxRecordBytes bounds one record; a longer one is a quote that was never closed. A shorter one is one line's mistake.
	maxRecordBytes = 4 << 20
)

// errLongRecord ends the reading of a file that cannot be CSV.
var errLongRecord = fmt.Errorf("a record of more than %d bytes: is a quote left open?", maxRecordBytes)

// A Cutter cuts a CSV file into parts of up to so many records, repeats included, each to be imported on its own. A part holds the bytes of the
// file as they are, so its line numbers are the file's. Lines that repeat a key of an earlier part are taken out: no part can know
// of the others. Those within a part are left to the importer.
type Cutter struct {
	most   int // records of a part
	file   io.Reader
	ahead  bytes.Buffer // what csv has read of the file beyond the last record
	csv    *csv.Reader  // reads through the cutter
	header *header
	first  []byte              // the header as one line
	offset int64               // end of the last record in the file
	lines  int                 // line breaks before offset
	seen   map[fingerprint]int // accepted line by key, of the parts that were imported
}

// A fingerprint stands for the cells that say which row a line means.
type fingerprint [16]byte

// A Part is some lines of a file behind its header.
type Part struct {
	CSV       []byte
	FirstLine int      // of the file, that of the first byte behind the header
	Records   int      // to be imported
	Repeats   []Reject // records that were taken out
	claims    []claim  // of the keys of the others
}

// A claim is a line that holds a key once it is accepted.
type claim struct {
	key  fingerprint
	line int
}

// NewCutter reads the header; the error is ErrHeader where it does not fit l. A part has at most most records.
func NewCutter(file io.Reader, l Layout, most int) (*Cutter, error) {
	c := &Cutter{file: skipMark(file), most: most, seen: map[fingerprint]int{}}
	c.csv = csv.NewReader(c)
	c.csv.FieldsPerRecord = -1
	names, err := c.csv.Read()
	if c.header, err = l.readHeader(names, err); err != nil {
		return nil, err
	}
	c.take()
	var first bytes.Buffer
	w := csv.NewWriter(&first)
	err = w.Write(names)
	w.Flush()
	c.first = first.Bytes()
	return c, errors.Join(err, w.Error())
}

// Read gives csv the file and keeps a copy, from which the bytes of each record are taken.
func (c *Cutter) Read(p []byte) (int, error) {
	if c.ahead.Len() > maxRecordBytes {
		return 0, fmt.Errorf("line %d: %w", c.lines+1, errLongRecord)
	}
	n, err := c.file.Read(p)
	c.ahead.Write(p[:n])
	return n, err
}

// take returns the bytes of the record that csv has just read, blank lines before it included.
func (c *Cutter) take() []byte {
	end := c.csv.InputOffset()
	raw := c.ahead.Next(int(end - c.offset))
	c.offset = end
	c.lines += bytes.Count(raw, []byte("\n"))
	return raw
}

// Next returns the next part, io.EOF at the end, or the error of reading.
func (c *Cutter) Next() (Part, error) {
	p := Part{CSV: bytes.Clone(c.first), FirstLine: c.lines + 1}
	for p.Records+len(p.Repeats) < c.most && len(p.CSV) < maxPartBytes {
		cells, err := c.csv.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF) && p.Records+len(p.Repeats) == 0:
			return p, io.EOF
		case errors.Is(err, io.EOF):
			return p, nil
		case err != nil && !errors.As(err, &syntax):
			return p, fmt.Errorf("read the file: %w", err)
		}
		line := c.lines + 1
		if err == nil {
			line, _ = c.csv.FieldPos(0)
		}
		raw := c.take()
		rec := Record{line, c.header, cells}
		key, keyed := c.key(rec, err)
		if earlier, twice := c.seen[key]; twice && keyed {
			p.Repeats = append(p.Repeats, rec.Reject(c.header.layout.Identity[0], Repeats(LineOfFile(earlier))))
			raw = bytes.Repeat([]byte("\n"), bytes.Count(raw, []byte("\n")))
		} else {
			p.Records++
			if keyed {
				p.claims = append(p.claims, claim{key, line})
			}
		}
		p.CSV = append(p.CSV, raw...)
	}
	return p, nil
}

// key is the fingerprint of the row that rec means; there is none of one that is not CSV, which is left to the importer.
func (c *Cutter) key(rec Record, syntax error) (key fingerprint, ok bool) {
	identity := c.header.layout.Identity
	if syntax != nil || len(identity) == 0 || len(rec.cells) != len(c.header.at) {
		return key, false
	}
	cells := make([]string, len(identity))
	for i, column := range identity {
		cells[i] = rec.Cell(column)
	}
	sum := sha256.Sum256([]byte(strings.Join(cells, "\x00")))
	return fingerprint(sum[:len(key)]), true
}

// Offset is where in the file the last part has ended.
func (c *Cutter) Offset() int64 { return c.offset }

// Accept notes the keys of a part that was imported. A rejected line holds no key: a later one may mend it.
func (c *Cutter) Accept(p Part, rejected []Reject) {
	refused := make(map[int]bool, len(rejected))
	for _, r := range rejected {
		refused[r.Line] = true
	}
	for _, claim := range p.claims {
		if !refused[claim.line] {
			c.seen[claim.key] = claim.line
		}
	}
}

// Repeats is the reason for refusing a line that means the same row as an earlier one.
func Repeats(place string) string { return "repeats the key of " + place }

// LineOfFile is how people find a line.
func LineOfFile(line int) string { return fmt.Sprintf("line %d", line) }
