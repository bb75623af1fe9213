package control

import (
	"context"
	"fmt"
	"slices"

	"carom/control/sheet"
)

// An objectRequest serves one request about objects of a resource.
type objectRequest[R any] struct {
	*importer[R]
	resource resource[R]
}

func newObjectRequest[R any](c *Control, r resource[R]) *objectRequest[R] {
	return &objectRequest[R]{newImport[R](c, r), r}
}

// shown are the columns of an answer.
func (o *objectRequest[R]) shown() []column[R] {
	return append(slices.Clip(o.columns), o.resource.told()...)
}

// show is what answers hold of a row, and its ETag.
func (o *objectRequest[R]) show(row *R) (told object, etag string, err error) {
	told, err = showObject(o.shown(), row)
	if err != nil {
		return told, "", err
	}
	_, stamp := o.resource.stamped(row)
	etag, err = etagOf(stamp.Version, told)
	return told, etag, err
}

// showAll is what answers hold of rows.
func (o *objectRequest[R]) showAll(rows []R) ([]object, error) {
	columns := o.shown()
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
func (o *objectRequest[R]) record(line int, f fields) (sheet.Record, *cellError) {
	var told []string
	for _, col := range o.resource.told() {
		told = append(told, col.name)
	}
	return o.fill(line, f, told)
}

// create stores a new object.
func (o *objectRequest[R]) create(ctx context.Context, f fields) (row R, err error) {
	o.admit = func(_ *R, stored bool) error {
		if !stored {
			return nil
		}
		return refuse(o.kind.identity()[0], "%s: change what is there with PATCH", ErrTaken).because(ErrTaken)
	}
	rec, refused := o.record(0, f)
	if refused != nil {
		return row, refused
	}
	if err := o.control.begin(ctx); err != nil {
		return row, err
	}
	defer o.control.mu.Unlock()
	return o.write(ctx, rec)
}

// change sets the fields that f holds of the object with this key; the others keep their values. The object must still be of
// the version that the If-Match names, where there is one.
func (o *objectRequest[R]) change(ctx context.Context, brand, key, ifMatch string, f fields) (row R, err error) {
	rec, refused := o.record(0, f)
	if refused != nil {
		return row, refused
	}
	if err := o.control.begin(ctx); err != nil {
		return row, err
	}
	defer o.control.mu.Unlock()
	if row, err = o.held(ctx, brand, key, ifMatch); err != nil {
		return row, err
	}
	if err := o.keep(&rec, &row); err != nil {
		return row, err
	}
	return o.write(ctx, rec)
}

// held is the object with this key, of the version that ifMatch names. The caller holds mu.
func (o *objectRequest[R]) held(ctx context.Context, brand, key, ifMatch string) (R, error) {
	row, err := o.resource.one(ctx, o.control, brand, key)
	if err != nil {
		return row, err
	}
	_, stamp := o.resource.stamped(&row)
	return row, matchVersion(ifMatch, stamp.Version)
}

// keep gives a record the cells that say which row is meant, and refuses others.
func (o *objectRequest[R]) keep(rec *sheet.Record, row *R) error {
	for _, col := range o.columns {
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
func (o *objectRequest[R]) write(ctx context.Context, rec sheet.Record) (row R, err error) {
	outcomes, err := o.apply(ctx, []sheet.Record{rec})
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
func (o *objectRequest[R]) remove(ctx context.Context, brand, key, ifMatch string) error {
	if err := o.control.begin(ctx); err != nil {
		return err
	}
	defer o.control.mu.Unlock()
	row, err := o.held(ctx, brand, key, ifMatch)
	if err != nil {
		return err
	}
	if err := o.resource.free(ctx, o.control, &row); err != nil {
		return err
	}
	_, stamp := o.resource.stamped(&row)
	stamp.Deleted = true
	return o.store(ctx, []R{row}, 0)
}
