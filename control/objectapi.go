package control

import (
	"context"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
)

// An objectAPI serves the objects of one resource over the API.
type objectAPI[R any, K resource[R]] struct {
	control *Control
	open    func(Scope) K // the resource for one request
	one     string        // what one object is called, by its key: brand
	branded bool          // whether brands may have objects of the same key
	adds    Role          // may create
	removes Role          // may delete
}

// An ObjectPath says which object a request is about. Its parameters are documented by objectAPI, whose resource names them.
type ObjectPath struct {
	Brand string `query:"brand" hidden:"true"`
	key   string
}

// Resolve reads the key from the path; huma calls it.
func (p *ObjectPath) Resolve(ctx huma.Context) []error {
	branded := false
	for _, parameter := range ctx.Operation().Parameters {
		switch {
		case parameter.In == "path":
			p.key = ctx.Param(parameter.Name)
		case parameter.In == "query" && parameter.Name == "brand":
			branded = true
		}
	}
	if p.Brand != "" && !branded {
		return []error{&huma.ErrorDetail{Location: "query.brand", Message: "unknown query parameter"}}
	}
	return nil
}

type getRequest struct {
	ObjectPath
	IfNoneMatch string `header:"If-None-Match" doc:"ETag that the caller has: 304 where nothing has changed since"`
}

type createRequest struct {
	RawBody []byte `contentType:"application/json"`
}

type changeRequest struct {
	ObjectPath
	IfMatch string `header:"If-Match" doc:"ETag that the caller has seen: 412 where the object was changed since"`
	RawBody []byte `contentType:"application/json"`
}

type removeRequest struct {
	ObjectPath
	IfMatch string `header:"If-Match" doc:"ETag that the caller has seen: 412 where the object was changed since"`
}

type objectAnswer struct {
	Status   int
	ETag     string `header:"ETag" doc:"for If-Match and If-None-Match"`
	Location string `header:"Location" doc:"address of an object that was created"`
	Body     any
}

func (s objectAPI[R, K]) request(ctx context.Context) *objectRequest[R] {
	return newObjectRequest[R](s.control, s.open(ScopeOf(ctx)))
}

// answer shows a row.
func (s objectAPI[R, K]) answer(o *objectRequest[R], row *R, status int) (*objectAnswer, error) {
	told, etag, err := o.show(row)
	if err != nil {
		return nil, s.control.problem(err)
	}
	answer := &objectAnswer{Status: status, ETag: etag, Body: told}
	if status == http.StatusCreated {
		answer.Location = s.address(told)
	}
	return answer, nil
}

func (s objectAPI[R, K]) register(api huma.API) {
	object := s.describe(api)

	create := operation("create-"+s.one, http.MethodPost, "/"+s.open(Scope{}).name(), s.adds, "Create "+indefinite(s.one))
	create.DefaultStatus = http.StatusCreated
	create.Errors = append(create.Errors, http.StatusConflict, http.StatusServiceUnavailable)
	registerBody(api, create, object.whole, object.whole, s.create)

	get := s.operation("show", http.MethodGet, Analyst, "Show "+indefinite(s.one))
	get.Responses = answers(http.StatusOK, object.whole)
	get.Responses["304"] = &huma.Response{Description: http.StatusText(http.StatusNotModified)}
	huma.Register(api, get, s.get)

	patch := s.operation("change", http.MethodPatch, Editor, "Change "+indefinite(s.one))
	patch.Description = "A JSON merge patch: a field that is left out keeps its value, null or an empty string clears it."
	patch.Errors = append(patch.Errors, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable)
	registerBody(api, patch, object.patch, object.whole, s.change)

	remove := s.operation("delete", http.MethodDelete, s.removes, "Delete "+indefinite(s.one))
	remove.Description = "A tombstone stays: the number is never given again, nor the key of a brand, campaign or influencer, and reports keep the clicks and what was paid."
	remove.Errors = append(remove.Errors, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable)
	huma.Register(api, remove, s.remove)
}

// operation describes an operation on one object, whose key is in the path.
func (s objectAPI[R, K]) operation(does, method string, role Role, summary string) huma.Operation {
	op := operation(does+"-"+s.one, method, "/"+s.open(Scope{}).name()+"/{"+s.one+"}", role, summary)
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = append(op.Parameters, &huma.Param{Name: s.one, In: "path", Required: true, Schema: text, Description: "key of the " + s.one})
	if s.branded {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "brand", In: "query", Schema: text, Description: "key of a brand, needed where several have " + indefinite(s.one) + " of this key",
		})
	}
	return op
}

func (s objectAPI[R, K]) create(ctx context.Context, in *createRequest) (*objectAnswer, error) {
	f, err := parseFields(in.RawBody)
	if err != nil {
		return nil, s.control.problem(err)
	}
	o := s.request(ctx)
	row, err := o.create(ctx, f)
	if err != nil {
		return nil, s.control.problem(err)
	}
	return s.answer(o, &row, http.StatusCreated)
}

// address is where an object is found.
func (s objectAPI[R, K]) address(told object) string {
	kind := s.open(Scope{})
	address := APIPrefix + "/" + kind.name() + "/" + url.PathEscape(told.text(kind.identity()[0]))
	if s.branded {
		address += "?brand=" + url.QueryEscape(told.text("brand"))
	}
	return address
}

func (s objectAPI[R, K]) get(ctx context.Context, in *getRequest) (*objectAnswer, error) {
	o := s.request(ctx)
	row, err := o.resource.one(ctx, s.control, in.Brand, in.key)
	if err != nil {
		return nil, s.control.problem(err)
	}
	answer, err := s.answer(o, &row, http.StatusOK)
	if err == nil && matchETag(in.IfNoneMatch, answer.ETag) {
		answer.Status = http.StatusNotModified
	}
	return answer, err
}

func (s objectAPI[R, K]) change(ctx context.Context, in *changeRequest) (*objectAnswer, error) {
	f, err := parseFields(in.RawBody)
	if err != nil {
		return nil, s.control.problem(err)
	}
	o := s.request(ctx)
	row, err := o.change(ctx, in.Brand, in.key, in.IfMatch, f)
	if err != nil {
		return nil, s.control.problem(err)
	}
	return s.answer(o, &row, http.StatusOK)
}

func (s objectAPI[R, K]) remove(ctx context.Context, in *removeRequest) (*struct{}, error) {
	return nil, s.control.problem(s.request(ctx).remove(ctx, in.Brand, in.key, in.IfMatch))
}

// A PageRequest says which part of a list is meant.
type PageRequest struct {
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	Cursor string `query:"cursor" doc:"next of the page before"`
}

func (p PageRequest) page() PageRequest { return p }

// A brandedRequest is for a list of what belongs to brands.
type brandedRequest struct {
	PageRequest
	Brand string `query:"brand" doc:"key of a brand"`
}

// registerList serves a list in pages. read returns up to limit rows with numbers above after, in the order of their numbers.
func registerList[R any, K resource[R], I interface{ page() PageRequest }](
	api huma.API, s objectAPI[R, K], read func(k K, ctx context.Context, c *Control, in *I, after uint32, limit int) ([]R, error),
) {
	kind := s.open(Scope{}).name()
	op := operation("list-"+kind, http.MethodGet, "/"+kind, Analyst, "List "+kind)
	op.Responses = answers(http.StatusOK, describePage(kind, s.describe(api).whole))
	huma.Register(api, op, func(ctx context.Context, in *I) (*struct{ Body any }, error) {
		page := (*in).page()
		after, err := parseCursor(page.Cursor)
		if err != nil {
			return nil, s.control.problem(err)
		}
		k := s.open(ScopeOf(ctx))
		rows, err := read(k, ctx, s.control, in, after, page.Limit+1)
		if err != nil {
			return nil, s.control.problem(err)
		}
		next := ""
		if len(rows) > page.Limit {
			rows = rows[:page.Limit]
			last, _ := k.stamped(&rows[page.Limit-1])
			next = formatCursor(last)
		}
		list, err := newObjectRequest[R](s.control, k).showAll(rows)
		if err != nil {
			return nil, s.control.problem(err)
		}
		return &struct{ Body any }{object{[]string{kind, "next"}, []any{list, next}}}, nil
	})
}
