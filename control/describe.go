package control

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// A description is how the API's description tells of an object.
type description struct {
	whole *huma.Schema // to be created, and in answers
	patch *huma.Schema // to be changed: nothing is required
}

// describe makes the schemas of a resource from its columns, once for all operations.
func (s objectAPI[R, K]) describe(api huma.API) description {
	name := strings.ToUpper(s.one[:1]) + s.one[1:]
	schemas := api.OpenAPI().Components.Schemas.Map()
	if schemas[name] == nil {
		k := s.open(Scope{})
		columns := k.columns()
		schemas[name] = describeObject(columns, k.told())
		schemas[name+"Patch"] = describeObject(columns, nil)
		schemas[name+"Patch"].Required = nil
	}
	ref := func(name string) *huma.Schema { return &huma.Schema{Ref: "#/components/schemas/" + name} }
	return description{whole: ref(name), patch: ref(name + "Patch")}
}

// describeObject is the schema of an object with these columns, and others that are only told.
func describeObject[R any](columns, told []column[R]) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}, AdditionalProperties: false}
	for _, col := range columns {
		field := col.describe()
		field.Nullable = field.Type != "" && !col.required
		field.WriteOnly = col.show == nil
		if field.Nullable && field.Enum != nil {
			field.Enum = append(field.Enum, nil)
		}
		s.Properties[col.name] = field
		if col.required {
			s.Required = append(s.Required, col.name)
		}
	}
	for _, col := range told {
		field := col.describe()
		field.ReadOnly = true
		s.Properties[col.name] = field
	}
	return s
}

func (c column[R]) describe() *huma.Schema {
	s := c.shape.describe()
	s.Description = c.about
	for _, option := range c.options {
		s.Enum = append(s.Enum, option)
	}
	return s
}

// describePage is the schema of a page of objects.
func describePage(kind string, object *huma.Schema) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{kind, "next"},
		Properties: map[string]*huma.Schema{
			kind:   {Type: huma.TypeArray, Items: object},
			"next": {Type: huma.TypeString, Description: "cursor of the next page, empty at the end"},
		},
	}
}

// answers are the responses of an operation that succeeds with one status.
func answers(status int, body *huma.Schema) map[string]*huma.Response {
	return map[string]*huma.Response{strconv.Itoa(status): {
		Description: http.StatusText(status),
		Content:     map[string]*huma.MediaType{"application/json": {Schema: body}},
	}}
}

const (
	// maxObject is how long the body of a request about one object may be.
	maxObject = 1 << 20
	// objectReadTimeout bounds how long a client may take to send it.
	objectReadTimeout = 10 * time.Second
)

// registerBody registers an operation that reads its JSON body itself: what is wrong with a field is for the columns to say.
func registerBody[I, O any](api huma.API, op huma.Operation, body, answer *huma.Schema, serve func(context.Context, *I) (*O, error)) {
	op.SkipValidateBody = true
	op.MaxBodyBytes, op.BodyReadTimeout = cmp.Or(op.MaxBodyBytes, maxObject), cmp.Or(op.BodyReadTimeout, objectReadTimeout)
	op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{}}
	op.Responses = answers(max(op.DefaultStatus, http.StatusOK), answer)
	op.Errors = slices.Clip(append(op.Errors, http.StatusUnprocessableEntity))
	huma.Register(api, op, serve)
	op.RequestBody.Content["application/json"].Schema = body // in place of a binary string, as a raw body is described
}
