package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carom/control/sheet"
)

// ErrJSON is wrapped by the refusal of a body that is not JSON of the kind expected.
var ErrJSON = errors.New("the body cannot be read")

// fields are those of a JSON object, by name, not yet read.
type fields map[string]json.RawMessage

// UnmarshalJSON refuses a field that stands there twice: one of the two would be dropped.
func (f *fields) UnmarshalJSON(text []byte) error {
	in := json.NewDecoder(bytes.NewReader(text))
	if begin, err := in.Token(); err != nil || begin != json.Delim('{') {
		return errors.New("must be a JSON object")
	}
	*f = fields{}
	for in.More() {
		token, err := in.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if _, twice := (*f)[name]; twice {
			return fmt.Errorf("has the field %q twice", sheet.Shorten(name, maxNameQuote))
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return err
		}
		(*f)[name] = value
	}
	return nil
}

// parseFields reads a body that is one JSON object. The error is ErrJSON.
func parseFields(body []byte) (fields, error) {
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJSON, err)
	}
	return f, nil
}

// parseList reads a body that is a list of at most most objects, not yet read themselves. The error is ErrJSON. It stops at the first
// object too many: 64 MB of the smallest ones would take gigabytes.
func parseList(body []byte, most int) ([]json.RawMessage, error) {
	if !json.Valid(body) {
		return nil, fmt.Errorf("%w: it must be a JSON list of objects", ErrJSON)
	}
	in := json.NewDecoder(bytes.NewReader(body))
	if begin, err := in.Token(); err != nil || begin != json.Delim('[') {
		return nil, fmt.Errorf("%w: it must be a JSON list of objects", ErrJSON)
	}
	var list []json.RawMessage
	for in.More() {
		if len(list) == most {
			return nil, fmt.Errorf("%w: it has more than %d objects", ErrJSON, most)
		}
		var text json.RawMessage
		if err := in.Decode(&text); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrJSON, err)
		}
		list = append(list, text)
	}
	return list, nil
}

// fill is what an import file with a column for each field would hold of the object. told are fields that only answers
// hold: to drop one could hide that it was meant to change something.
func (m *importer[R]) fill(line int, f fields, told []string) (sheet.Record, *cellError) {
	rec := sheet.NewRecord(line)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		at := slices.IndexFunc(m.columns, func(c column[R]) bool { return c.name == name })
		switch {
		case at >= 0:
			cell, err := m.columns[at].shape.cell(f[name])
			if err != nil {
				return rec, refuse(name, "%s", err)
			}
			rec.Set(name, cell)
		case slices.Contains(told, name):
			return rec, refuse(name, "is only told, not set")
		default:
			quoted, known := sheet.Shorten(name, maxNameQuote), m.layout().Columns
			return rec, refuse(quoted, "is no field of %s: did you mean %q? Fields are %s",
				m.kind.name(), sheet.Nearest(quoted, known), strings.Join(known, ", "))
		}
	}
	return rec, nil
}

// An object is a JSON object whose fields are written in their order.
type object struct {
	names  []string
	values []any
}

func (o *object) add(name string, value any) {
	o.names, o.values = append(o.names, name), append(o.values, value)
}

// text is the value of a field that is text.
func (o *object) text(name string) string {
	text, _ := o.values[slices.Index(o.names, name)].(string)
	return text
}

// MarshalJSON writes the fields.
func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	fields := json.NewEncoder(&out)
	fields.SetEscapeHTML(false) // addresses stay legible
	out.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := fields.Encode(name); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := fields.Encode(o.values[i]); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// showObject writes the values of a row under those columns that are shown.
func showObject[R any](columns []column[R], row *R) (object, error) {
	var o object
	for _, col := range columns {
		if col.show == nil {
			continue
		}
		value, err := col.show(row)
		if err != nil {
			return o, err
		}
		o.add(col.name, value)
	}
	return o, nil
}
