package control

import (
	"context"
	"fmt"
	"slices"

	"carom/control/sheet"
)

// A desk serves one request about objects of a resource.
type desk[R any] struct {
	*importer[R]
	resource resource[R]
}

func newDesk[R any](c *Control, r resource[R]) *desk[R] {
	return &desk[R]{newImport[R](c, r), r}
}

// shown are the columns of an answer.
func (d *desk[R]) shown() []column[R] { return append(slices.Clip(d.columns), d.resource.told()...) }

// show is what answers hold of a row, and its ETag.
func (d *desk[R]) show(row *R) (told object, etag string, err error) {
	told, err = showObject(d.shown(), row)
	if err != nil {
		return told, "", err
	}
	_, stamp := d.resource.stamped(row)
	etag, err = etagOf(stamp.Version, told)
	return told, etag, err
}

// showAll is what answers hold of rows.
func (d *desk[R]) showAll(rows []R) ([]object, error) {
	columns := d.shown()
	list := make([]object, len(rows))
	for i := range rows {
		var err error
		if list[i], err = showObject(columns, &rows[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// record is what an import file would hold of a JSON object.
func (d *desk[R]) record(line int, f fields) (sheet.Record, *cellError) {
	var told []string
	for _, col := range d.resource.told() {
		told = append(told, col.name)
	}
	return d.fill(line, f, told)
}

// create stores a new object.
func (d *desk[R]) create(ctx context.Context, f fields) (row R, err error) {
	d.admit = func(_ *R, stored bool) error {
		if !stored {
			return nil
		}
		return refuse(d.kind.identity()[0], "%s: change what is there with PATCH", ErrTaken).because(ErrTaken)
	}
	rec, refused := d.record(0, f)
	if refused != nil {
		return row, refused
	}
	if err := d.control.begin(ctx); err != nil {
		return row, err
	}
	defer d.control.mu.Unlock()
	return d.write(ctx, rec)
}

// change sets the fields that f holds of the object with this key; the others keep their values. The object must still be of
// the version that the If-Match names, where there is one.
func (d *desk[R]) change(ctx context.Context, brand, key, ifMatch string, f fields) (row R, err error) {
	rec, refused := d.record(0, f)
	if refused != nil {
		return row, refused
	}
	if err := d.control.begin(ctx); err != nil {
		return row, err
	}
	defer d.control.mu.Unlock()
	if row, err = d.held(ctx, brand, key, ifMatch); err != nil {
		return row, err
	}
	if err := d.keep(&rec, &row); err != nil {
		return row, err
	}
	return d.write(ctx, rec)
}

// held is the object with this key, of the version that ifMatch names. The caller holds mu.
func (d *desk[R]) held(ctx context.Context, brand, key, ifMatch string) (R, error) {
	row, err := d.resource.one(ctx, d.control, brand, key)
	if err != nil {
		return row, err
	}
	_, stamp := d.resource.stamped(&row)
	return row, matchVersion(ifMatch, stamp.Version)
}

// keep gives a record the cells that say which row is meant, and refuses others.
func (d *desk[R]) keep(rec *sheet.Record, row *R) error {
	for _, col := range d.columns {
		if col.set != nil {
			continue
		}
		value, err := col.show(row)
		if err != nil {
			return err
		}
		cell := fmt.Sprint(value)
		switch {
		case !rec.Has(col.name):
			rec.Set(col.name, cell)
		case rec.Cell(col.name) != cell:
			return refuse(col.name, "cannot change: it is %q", cell)
		}
	}
	return nil
}

// write imports one record. The caller holds mu.
func (d *desk[R]) write(ctx context.Context, rec sheet.Record) (row R, err error) {
	outcomes, err := d.apply(ctx, []sheet.Record{rec})
	if err != nil {
		return row, err
	}
	if refused := outcomes[0].refused; refused != nil {
		return row, refused
	}
	return outcomes[0].row, nil
}

// remove makes a tombstone of the object with this key. Its number is never given to another one; the key of a link or domain is
// free again, others are not (index.refuseFormer).
func (d *desk[R]) remove(ctx context.Context, brand, key, ifMatch string) error {
	if err := d.control.begin(ctx); err != nil {
		return err
	}
	defer d.control.mu.Unlock()
	row, err := d.held(ctx, brand, key, ifMatch)
	if err != nil {
		return err
	}
	if err := d.resource.free(ctx, d.control, &row); err != nil {
		return err
	}
	_, stamp := d.resource.stamped(&row)
	stamp.Deleted = true
	return d.store(ctx, []R{row}, 0)
}
