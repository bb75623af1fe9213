package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/sheet"
)

// A bulkAnswer tells what became of each object of a request, in its order.
type bulkAnswer struct {
	Created   int       `json:"created"`
	Updated   int       `json:"updated"`
	Unchanged int       `json:"unchanged"`
	Rejected  int       `json:"rejected"`
	Rows      []bulkRow `json:"rows"`
}

// A bulkRow is what became of one object.
type bulkRow struct {
	Result   string              `json:"result"`
	Object   *object             `json:"object,omitempty"`
	Errors   []*huma.ErrorDetail `json:"errors,omitempty"`
	Warnings []*huma.ErrorDetail `json:"warnings,omitempty"`
}

// describeBulk is the schema of a bulkAnswer.
func describeBulk(api huma.API, object *huma.Schema) *huma.Schema {
	details := &huma.Schema{Type: huma.TypeArray, Items: huma.SchemaFromType(api.OpenAPI().Components.Schemas, reflect.TypeFor[huma.ErrorDetail]())}
	count := &huma.Schema{Type: huma.TypeInteger}
	row := &huma.Schema{
		Type: huma.TypeObject, Required: []string{"result"},
		Properties: map[string]*huma.Schema{
			"result":   {Type: huma.TypeString, Enum: []any{"created", "updated", "unchanged", "rejected"}},
			"object":   object,
			"errors":   details,
			"warnings": details,
		},
	}
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{"created", "updated", "unchanged", "rejected", "rows"},
		Properties: map[string]*huma.Schema{
			"created": count, "updated": count, "unchanged": count, "rejected": count,
			"rows": {Type: huma.TypeArray, Items: row, Description: "one for each object, in the order of the request"},
		},
	}
}

// registerBulk serves the creation and change of many objects at once.
func (s objectAPI[R, K]) registerBulk(api huma.API) {
	kind, object, most := s.open(Scope{}).name(), s.describe(api).whole, ChunkRows
	op := operation("write-"+kind, http.MethodPost, "/"+kind+"/bulk", s.adds, fmt.Sprintf("Create or update up to %d %s", most, kind))
	op.Description = "Each object is what a line of an import file is, and accepted or rejected on its own: one that is there already is " +
		"changed, fields that are left out keep their values. Sending the same objects again changes nothing."
	op.MaxBodyBytes, op.BodyReadTimeout = maxImportBody, importReadTimeout
	op.Errors = append(op.Errors, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable)
	list := &huma.Schema{Type: huma.TypeArray, Items: object, MaxItems: &most}
	registerBody(api, op, list, describeBulk(api, object), s.bulk)
}

func (s objectAPI[R, K]) bulk(ctx context.Context, in *createRequest) (*struct{ Body any }, error) {
	list, err := parseList(in.RawBody, ChunkRows)
	if err != nil {
		return nil, s.control.problem(err)
	}
	answer, err := s.request(ctx).writeAll(ctx, list)
	if err != nil {
		return nil, s.control.problem(err)
	}
	return &struct{ Body any }{answer}, nil
}

// placeInBody is where an object of a bulk stands.
func placeInBody(at int) string { return fmt.Sprintf("body[%d]", at) }

// writeAll creates or changes objects, and tells of each what became of it.
func (o *objectRequest[R]) writeAll(ctx context.Context, list []json.RawMessage) (bulkAnswer, error) {
	answer := bulkAnswer{Rows: make([]bulkRow, len(list))}
	recs := make([]sheet.Record, 0, len(list))
	for i, text := range list {
		rec, err := o.parse(i, text)
		if err != nil {
			answer.reject(i, err)
			continue
		}
		recs = append(recs, rec)
	}
	o.place = placeInBody
	outcomes, err := o.applyAlone(ctx, recs)
	if err != nil {
		return answer, err
	}
	columns := o.shown()
	for i := range outcomes {
		at, became := recs[i].Line, &outcomes[i]
		if became.refused != nil {
			answer.reject(at, became.refused)
			continue
		}
		told, err := showObject(columns, &became.row)
		if err != nil {
			return answer, err
		}
		answer.accept(at, became.change, told, became.warnings)
	}
	return answer, nil
}

// parse reads one object of a list. The error is a *cellError.
func (o *objectRequest[R]) parse(at int, text json.RawMessage) (sheet.Record, *cellError) {
	var f fields
	if err := json.Unmarshal(text, &f); err != nil {
		return sheet.Record{}, refuse("", "%s", err)
	}
	return o.record(at, f)
}

func (b *bulkAnswer) reject(at int, refused *cellError) {
	b.Rejected++
	b.Rows[at] = bulkRow{Result: "rejected", Errors: []*huma.ErrorDetail{refused.detail(placeInBody(at))}}
}

func (b *bulkAnswer) accept(at int, c change, told object, warnings []Warning) {
	row := bulkRow{Object: &told}
	switch c {
	case created:
		b.Created++
		row.Result = "created"
	case updated:
		b.Updated++
		row.Result = "updated"
	case unchanged:
		b.Unchanged++
		row.Result = "unchanged"
	}
	for _, w := range warnings {
		row.Warnings = append(row.Warnings, refuse(w.Column, "%s", w.Reason).detail(placeInBody(at)))
	}
	b.Rows[at] = row
}
