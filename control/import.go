package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"carom/control/sheet"
)

// ChunkRows is how many lines are looked up, checked and written together, under one version.
const ChunkRows = 10_000

// maxListed is how many rejects, and how many warnings, a Result lists: more than ChunkRows lines can have. It bounds what a file
// full of mistakes takes of memory.
const maxListed = ChunkRows

// Result says what an import did. The first five add up to the lines of the file, Rejected by its length.
type Result struct {
	Created   int            `json:"created"`
	Updated   int            `json:"updated"`
	Unchanged int            `json:"unchanged"`
	Rejected  []sheet.Reject `json:"rejected" doc:"the first 10000"`
	Unlisted  int            `json:"unlisted" doc:"lines that were rejected beyond the first 10000"`
	Warnings  []Warning      `json:"warnings" doc:"what a person should look at in lines that were accepted, the first 10000"`
}

// A Warning says what is odd about a cell that was accepted.
type Warning sheet.Reject

// Lines is how many lines of the file the result tells of.
func (r *Result) Lines() int { return r.Created + r.Updated + r.Unchanged + r.Rejects() }

// Rejects is how many lines of the file were rejected.
func (r *Result) Rejects() int { return len(r.Rejected) + r.Unlisted }

// Add counts what another part of the file came to.
func (r *Result) Add(other Result) {
	r.Created += other.Created
	r.Updated += other.Updated
	r.Unchanged += other.Unchanged
	r.Reject(other.Rejected...)
	r.Unlisted += other.Unlisted
	r.Warnings = append(r.Warnings, other.Warnings[:min(len(other.Warnings), maxListed-len(r.Warnings))]...)
}

func (r *Result) count(c change) {
	switch c {
	case created:
		r.Created++
	case updated:
		r.Updated++
	case unchanged:
		r.Unchanged++
	}
}

// Reject counts lines that were rejected, and lists them as far as there is room.
func (r *Result) Reject(rejects ...sheet.Reject) {
	listed := min(len(rejects), maxListed-len(r.Rejected))
	r.Rejected = append(r.Rejected, rejects[:listed]...)
	r.Unlisted += len(rejects) - listed
}

func newResult() Result { return Result{Rejected: []sheet.Reject{}, Warnings: []Warning{}} }

// ErrKind is wrapped by the refusal of an import of something that cannot be imported.
var ErrKind = errors.New("not a kind of import file")

// Kinds are what can be imported, in an order in which each may name rows of those before it.
func Kinds() []string {
	return []string{"brands", "domains", "influencers", "campaigns", "links", "commissions", "posts", "conversions"}
}

// Layout is what the file of a kind may hold. The error is ErrKind.
func Layout(kind string) (sheet.Layout, error) {
	run, err := newRun(nil, kind, Scope{})
	if err != nil {
		return sheet.Layout{}, err
	}
	return run.layout(), nil
}

// Columns are those of a kind's file, the required ones with a star; none for what is no kind.
func Columns(kind string) []string {
	l, err := Layout(kind)
	if err != nil {
		return nil
	}
	for i, name := range l.Columns {
		if slices.Contains(l.Required, name) {
			l.Columns[i] += "*"
		}
	}
	return l.Columns
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
	layout() sheet.Layout
	chunk(ctx context.Context, recs []sheet.Record) (Result, error)
}

// ImportCSV imports a file of one kind (see Kinds) as far as scope allows, in chunks of ChunkRows. A refused line is in the
// Result; the error is ErrKind, sheet.ErrHeader, or that of reading or writing, when what the Result counts has been stored.
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
	in, err := sheet.Read(file, run.layout(), firstLine)
	if err != nil {
		return result, err
	}
	chunk := make([]sheet.Record, 0, ChunkRows)
	for end := false; !end; {
		rec, bad, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			end = true
		case err != nil:
			return result, fmt.Errorf("read %s: %w", kind, err)
		case bad != nil:
			result.Reject(*bad)
		default:
			chunk = append(chunk, rec)
		}
		if len(chunk) == cap(chunk) || end && len(chunk) > 0 {
			done, err := run.chunk(ctx, chunk)
			if err != nil {
				return result, fmt.Errorf("import %s, lines %d to %d: %w", kind, chunk[0].Line, chunk[len(chunk)-1].Line, err)
			}
			result.Add(done)
			chunk = chunk[:0]
		}
	}
	slices.SortStableFunc(result.Rejected, sheet.ByLine)
	return result, nil
}
