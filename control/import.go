package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// ChunkRows is how many lines are looked up, checked and written together, under one version.
const ChunkRows = 10_000

// maxListed is how many rejects, and how many warnings, a Result lists: more than ChunkRows lines can have. It bounds what a file
// full of mistakes takes of memory.
const maxListed = ChunkRows

// Result says what an import did. The first five add up to the lines of the file, Rejected by its length.
type Result struct {
	Created   int       `json:"created"`
	Updated   int       `json:"updated"`
	Unchanged int       `json:"unchanged"`
	Rejected  []Reject  `json:"rejected" doc:"the first 10000"`
	Unlisted  int       `json:"unlisted" doc:"lines that were rejected beyond the first 10000"`
	Warnings  []Warning `json:"warnings" doc:"what a person should look at in lines that were accepted, the first 10000"`
}

// A Warning says what is odd about a cell that was accepted.
type Warning Reject

// Lines is how many lines of the file the result tells of.
func (r *Result) Lines() int { return r.Created + r.Updated + r.Unchanged + r.Rejects() }

// Rejects is how many lines of the file were rejected.
func (r *Result) Rejects() int { return len(r.Rejected) + r.Unlisted }

func (r *Result) add(other Result) {
	r.Created += other.Created
	r.Updated += other.Updated
	r.Unchanged += other.Unchanged
	r.reject(other.Rejected...)
	r.Unlisted += other.Unlisted
	r.Warnings = append(r.Warnings, other.Warnings[:min(len(other.Warnings), maxListed-len(r.Warnings))]...)
}

func (r *Result) reject(rejects ...Reject) {
	listed := min(len(rejects), maxListed-len(r.Rejected))
	r.Rejected = append(r.Rejected, rejects[:listed]...)
	r.Unlisted += len(rejects) - listed
}

func newResult() Result { return Result{Rejected: []Reject{}, Warnings: []Warning{}} }

func sortRejects(rejects []Reject) {
	slices.SortStableFunc(rejects, func(a, b Reject) int { return a.Line - b.Line })
}

// ErrKind is wrapped by the refusal of an import of something that cannot be imported.
var ErrKind = errors.New("not a kind of import file")

// Kinds are what can be imported, in an order in which each may name rows of those before it.
func Kinds() []string {
	return []string{"brands", "domains", "influencers", "campaigns", "links", "commissions", "posts", "conversions"}
}

// Columns are those of a kind's file, the required ones with a star; none for what is no kind.
func Columns(kind string) []string {
	run, err := newRun(nil, kind, Scope{})
	if err != nil {
		return nil
	}
	l := run.layout()
	for i, name := range l.columns {
		if slices.Contains(l.required, name) {
			l.columns[i] += "*"
		}
	}
	return l.columns
}

// newRun begins the import of one file. c may be nil where only the layout is of interest.
func newRun(c *Control, kindName string, scope Scope) (run, error) {
	switch kindName {
	case "brands":
		return newImport(c, &brandImport{scope: scope}), nil
	case "domains":
		return newImport(c, &domainImport{scope: scope}), nil
	case "influencers":
		return newImport(c, &influencerImport{scope: scope}), nil
	case "campaigns":
		return newImport(c, &campaignImport{scope: scope}), nil
	case "links":
		return newImport(c, &linkImport{scope: scope}), nil
	case "commissions":
		return newImport(c, &commissionImport{scope: scope}), nil
	case "posts":
		return newImport(c, &postImport{scope: scope}), nil
	case "conversions":
		return newImport(c, &conversionImport{scope: scope}), nil
	}
	return nil, fmt.Errorf("%w: %q; kinds are %q", ErrKind, kindName, Kinds())
}

// A run is the import of one file.
type run interface {
	layout() layout
	chunk(ctx context.Context, recs []record) (Result, error)
}

// A kind is one sort of import file, R the row of its table.
type kind[R any] interface {
	name() string
	// identity names the columns that say which row is meant.
	identity() []string
	// columns are listed so that a cell may depend on those before it.
	columns() []column[R]
	// prepare fetches what the lines of one chunk refer to.
	prepare(ctx context.Context, c *Control, recs []record) error
	// find returns the row that a line means and what is unique to it (empty where repeating it is no mistake): the stored row,
	// or a fresh one that holds only its keys. The error is a *cellError.
	find(rec record) (row R, id string, stored bool, err error)
	// check judges the row as a whole, its cells being set. The error is a *cellError.
	check(row *R, change change) error
	// write numbers the fresh rows and freezes both sorts under one stamp.
	write(c *Control, fresh, changed []R) (write, error)
}

// A change is what a line means for the table.
type change int

const (
	unchanged change = iota
	updated
	created
)

// A cellError is a problem with one cell.
type cellError struct{ column, reason string }

func (e *cellError) Error() string { return e.column + " " + e.reason }

func refuse(column, reason string, args ...any) *cellError {
	return &cellError{column, fmt.Sprintf(reason, args...)}
}

// ImportCSV imports a file of one kind (see Kinds) as far as scope allows, in chunks of ChunkRows. A refused line is in the
// Result; the error is ErrKind, ErrHeader, or that of reading or writing, when what the Result counts has been stored.
func (c *Control) ImportCSV(ctx context.Context, kind string, file io.Reader, scope Scope) (Result, error) {
	return c.importCSV(ctx, kind, file, scope, 2)
}

// importCSV is ImportCSV for a part of a file: the header, then the lines from firstLine on.
func (c *Control) importCSV(ctx context.Context, kind string, file io.Reader, scope Scope, firstLine int) (Result, error) {
	result := newResult()
	run, err := newRun(c, kind, scope)
	if err != nil {
		return result, err
	}
	in, err := readRecords(file, run.layout(), firstLine)
	if err != nil {
		return result, err
	}
	chunk := make([]record, 0, ChunkRows)
	for end := false; !end; {
		rec, bad, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			end = true
		case err != nil:
			return result, fmt.Errorf("read %s: %w", kind, err)
		case bad != nil:
			result.reject(*bad)
		default:
			chunk = append(chunk, rec)
		}
		if len(chunk) == cap(chunk) || end && len(chunk) > 0 {
			done, err := run.chunk(ctx, chunk)
			if err != nil {
				return result, fmt.Errorf("import %s, lines %d to %d: %w", kind, chunk[0].line, chunk[len(chunk)-1].line, err)
			}
			result.add(done)
			chunk = chunk[:0]
		}
	}
	sortRejects(result.Rejected)
	return result, nil
}

// An importer turns the lines of one file into rows.
type importer[R any] struct {
	control *Control
	kind    kind[R]
	columns []column[R]
	seen    map[string]int // accepted line by what is unique to its row
}

func newImport[R any](c *Control, k kind[R]) *importer[R] {
	return &importer[R]{control: c, kind: k, columns: k.columns(), seen: map[string]int{}}
}

func (m *importer[R]) layout() layout {
	l := layout{kind: m.kind.name(), identity: m.kind.identity()}
	for _, c := range m.columns {
		l.columns = append(l.columns, c.name)
		if c.required {
			l.required = append(l.required, c.name)
		}
	}
	return l
}

// chunk imports some lines: what they may mean is fetched once, what they change is written as one block.
func (m *importer[R]) chunk(ctx context.Context, recs []record) (Result, error) {
	var result Result
	if err := m.control.begin(ctx); err != nil {
		return result, err
	}
	defer m.control.mu.Unlock()
	if err := m.kind.prepare(ctx, m.control, recs); err != nil {
		return result, err
	}
	var fresh, changed []R
	for _, rec := range recs {
		row, change, err := m.row(rec)
		if err == nil {
			result.Warnings = append(result.Warnings, m.warnings(rec, &row)...)
		}
		var cell *cellError
		switch {
		case errors.As(err, &cell):
			result.Rejected = append(result.Rejected, rec.reject(cell.column, cell.reason))
		case err != nil:
			return Result{}, err
		case change == created:
			fresh = append(fresh, row)
		case change == updated:
			changed = append(changed, row)
		default:
			result.Unchanged++
		}
	}
	result.Created, result.Updated = len(fresh), len(changed)
	if len(fresh)+len(changed) == 0 {
		return result, nil
	}
	w, err := m.kind.write(m.control, fresh, changed)
	if err != nil {
		return Result{}, err
	}
	if err := m.control.commit(ctx, w); err != nil {
		return Result{}, err
	}
	return result, nil
}

// row reads one line: the row it means, with its cells set, and what that changes. The error is a *cellError.
func (m *importer[R]) row(rec record) (row R, change change, err error) {
	for _, col := range m.columns {
		cell := rec.cell(col.name)
		longest := cmp.Or(col.longest, maxCell)
		switch {
		case col.required && cell == "":
			return row, unchanged, refuse(col.name, "is required")
		case len(cell) > longest:
			return row, unchanged, refuse(col.name, "has %d bytes, at most %d are allowed", len(cell), longest)
		case !utf8.ValidString(cell):
			return row, unchanged, refuse(col.name, "is not valid UTF-8")
		}
	}
	row, id, stored, err := m.kind.find(rec)
	if err != nil {
		return row, unchanged, err
	}
	if line, twice := m.seen[id]; twice && id != "" {
		return row, unchanged, refuse(m.kind.identity()[0], "%s", repeats(line))
	}
	if !stored {
		change = created
	}
	for _, col := range m.columns {
		if col.set == nil || stored && !rec.header.has(col.name) {
			continue
		}
		differs, err := col.set(&row, rec.cell(col.name))
		if err != nil {
			return row, unchanged, refuse(col.name, "%s", err)
		}
		if differs && stored {
			change = updated
		}
	}
	if err := m.kind.check(&row, change); err != nil {
		return row, unchanged, err
	}
	m.seen[id] = rec.line
	return row, change, nil
}

// warnings are what the cells of an accepted line should make a person look at.
func (m *importer[R]) warnings(rec record, row *R) (list []Warning) {
	for _, col := range m.columns {
		if col.warn == nil || !rec.header.has(col.name) {
			continue
		}
		if reason := col.warn(row); reason != "" {
			list = append(list, Warning(rec.reject(col.name, reason)))
		}
	}
	return list
}
