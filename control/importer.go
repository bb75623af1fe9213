package control

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"unicode/utf8"

	"carom/control/sheet"
)

// A kind is one sort of import file, R the row of its table.
type kind[R any] interface {
	name() string
	// identity names the columns that say which row is meant.
	identity() []string
	// columns are listed so that a cell may depend on those before it.
	columns() []column[R]
	// owner is the brand that a numbered row belongs to, 0 for none, and the key by which people know it.
	owner(row *R) (brand uint32, key string)
	// prepare fetches what the lines of one chunk refer to.
	prepare(ctx context.Context, c *Control, recs []sheet.Record) error
	// find returns the row that a line means and what is unique to it (empty where repeating it is no mistake): the stored row,
	// or a fresh one that holds only its keys. The error is a *cellError.
	find(rec sheet.Record) (row R, id string, stored bool, err error)
	// check judges the row as a whole, its cells being set. The error is a *cellError.
	check(row *R, change change) error
	// write numbers the first rows, as many as are fresh, and freezes all under one stamp.
	write(c *Control, rows []R, fresh int) (write, error)
}

// A reviewer is a kind whose records depend on each other. review refuses some that were accepted one by one, in outcomes, and
// says which.
type reviewer[R any] interface {
	review(outcomes []outcome[R]) (refused []int)
}

// A change is what a line means for the table.
type change int

const (
	unchanged change = iota
	updated
	created
)

// An importer turns records, the lines of one file for instance, into rows.
type importer[R any] struct {
	control *Control
	kind    kind[R]
	columns []column[R]
	seen    map[string]int                  // accepted line by what is unique to its row
	place   func(line int) string           // how people find a line
	before  R                               // the row that was updated last, as it was
	admit   func(row *R, stored bool) error // refuses rows that the caller does not mean; nil admits all
}

func newImport[R any](c *Control, k kind[R]) *importer[R] {
	return &importer[R]{control: c, kind: k, columns: k.columns(), seen: map[string]int{}, place: sheet.LineOfFile}
}

func (m *importer[R]) layout() sheet.Layout {
	l := sheet.Layout{Kind: m.kind.name(), Identity: m.kind.identity()}
	for _, c := range m.columns {
		l.Columns = append(l.Columns, c.name)
		if c.required {
			l.Required = append(l.Required, c.name)
		}
	}
	return l
}

// chunk imports some lines.
func (m *importer[R]) chunk(ctx context.Context, recs []sheet.Record) (Result, error) {
	var result Result
	outcomes, err := m.applyAlone(ctx, recs)
	if err != nil {
		return result, err
	}
	for i, o := range outcomes {
		if o.refused != nil {
			result.Rejected = append(result.Rejected, recs[i].Reject(o.refused.column, o.refused.reason))
			continue
		}
		result.Warnings = append(result.Warnings, o.warnings...)
		result.count(o.change)
	}
	return result, nil
}

// An outcome is what became of one record.
type outcome[R any] struct {
	refused  *cellError // nil where the record was accepted
	row      R          // as it is stored now
	change   change
	warnings []Warning
}

// applyAlone is apply for a caller that does not hold mu.
func (m *importer[R]) applyAlone(ctx context.Context, recs []sheet.Record) ([]outcome[R], error) {
	if err := m.control.begin(ctx); err != nil {
		return nil, err
	}
	defer m.control.mu.Unlock()
	return m.apply(ctx, recs)
}

// apply takes some records: what they may mean is fetched once, what they change is written as one block. The caller holds mu.
func (m *importer[R]) apply(ctx context.Context, recs []sheet.Record) ([]outcome[R], error) {
	if err := m.kind.prepare(ctx, m.control, recs); err != nil {
		return nil, err
	}
	outcomes := make([]outcome[R], len(recs))
	changes := map[change][]int{}
	for i, rec := range recs {
		row, change, err := m.row(rec)
		switch refused := new(cellError); {
		case errors.As(err, &refused):
			outcomes[i].refused = refused
		case err != nil:
			return nil, err
		default:
			outcomes[i] = outcome[R]{row: row, change: change, warnings: m.warnings(rec, &row)}
		}
	}
	m.review(recs, outcomes)
	for i, o := range outcomes {
		if o.refused == nil {
			changes[o.change] = append(changes[o.change], i)
		}
	}
	fresh := len(changes[created])
	at := append(changes[created], changes[updated]...)
	rows := make([]R, len(at))
	for i, o := range at {
		rows[i] = outcomes[o].row
	}
	if err := m.store(ctx, rows, fresh); err != nil {
		return nil, err
	}
	for i, o := range at {
		outcomes[o].row = rows[i]
	}
	return outcomes, nil
}

// review lets a kind judge the records together. What it refuses is forgotten: a later line with the same key, mended, is no repeat.
func (m *importer[R]) review(recs []sheet.Record, outcomes []outcome[R]) {
	kind, together := m.kind.(reviewer[R])
	if !together {
		return
	}
	refused := map[int]bool{}
	for _, i := range kind.review(outcomes) {
		refused[recs[i].Line] = true
	}
	if len(refused) > 0 {
		maps.DeleteFunc(m.seen, func(_ string, line int) bool { return refused[line] })
	}
}

// store writes rows, the first of which are fresh. The caller holds mu.
func (m *importer[R]) store(ctx context.Context, rows []R, fresh int) error {
	if len(rows) == 0 {
		return nil
	}
	w, err := m.kind.write(m.control, rows, fresh)
	if err != nil {
		return err
	}
	return m.control.commit(ctx, w, m.deeds(rows, fresh)...)
}

// row reads one line: the row it means, with its cells set, and what that changes. The error is a *cellError, or that of admit.
func (m *importer[R]) row(rec sheet.Record) (row R, change change, err error) {
	for _, col := range m.columns {
		cell := rec.Cell(col.name)
		longest := cmp.Or(col.longest, maxCell)
		switch {
		case col.required && cell == "" && (col.set == nil || rec.Has(col.name)):
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
		return row, unchanged, refuse(m.kind.identity()[0], "%s", sheet.Repeats(m.place(line)))
	}
	if m.admit != nil {
		if err := m.admit(&row, stored); err != nil {
			return row, unchanged, err
		}
	}
	if !stored {
		change = created
	}
	before := row
	for _, col := range m.columns {
		given := rec.Has(col.name)
		switch {
		case col.set == nil || stored && !given:
			continue
		case col.required && !given:
			return row, unchanged, refuse(col.name, "is required")
		}
		differs, err := col.set(&row, rec.Cell(col.name))
		if err != nil {
			return row, unchanged, refuse(col.name, "%s", err).because(err)
		}
		if differs && stored {
			change = updated
		}
	}
	if err := m.kind.check(&row, change); err != nil {
		return row, unchanged, err
	}
	if change == updated {
		m.before = before
	}
	m.seen[id] = rec.Line
	return row, change, nil
}

// warnings are what the cells of an accepted line should make a person look at.
func (m *importer[R]) warnings(rec sheet.Record, row *R) (list []Warning) {
	for _, col := range m.columns {
		if col.warn == nil || !rec.Has(col.name) {
			continue
		}
		if reason := col.warn(row); reason != "" {
			list = append(list, Warning(rec.Reject(col.name, reason)))
		}
	}
	return list
}
