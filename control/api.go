package control

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"carom/control/once"
	"carom/control/refusal"
)

const (
	// APIPrefix is where the API begins on the admin listener.
	APIPrefix = "/api/v1"
	// maxImportBody holds ChunkRows lines of the longest sensible sort.
	maxImportBody = 64 << 20
	// importReadTimeout bounds how long a client may take to send it.
	importReadTimeout = 2 * time.Minute
)

// API serves the admin API below /api/v1 of mux, its description at /api/v1/openapi.json. Every operation that is registered
// on the result, by others too, asks for a bearer token whose role is at least the one its Metadata holds under RoleKey
// (Analyst where it holds none); ScopeOf then tells whose objects the caller may see.
func (c *Control) API(mux *http.ServeMux) huma.API {
	config := huma.DefaultConfig("Carom", "1")
	config.OpenAPIPath = "/openapi"
	config.DocsPath, config.SchemasPath = "", "" // a documentation page would load scripts from elsewhere
	config.CreateHooks = nil                     // which would add links to the schemas
	config.Formats = maps.Clone(config.Formats)
	config.Formats["application/x-www-form-urlencoded"] = huma.DefaultJSONFormat // so curl -d calls what it sends, whatever it is
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	config.Security = []map[string][]string{{"bearer": {}}}
	config.RejectUnknownQueryParameters = true // a misspelt filter must not show everything
	api := humago.NewWithPrefix(mux, APIPrefix, config)
	refuser := refusal.New(api, c.cfg.Log)
	api.UseMiddleware(c.onlyLeader(refuser), c.authorizeOperation(refuser), c.limitRate(refuser), wholeQuery(refuser), c.once.Middleware(refuser))
	c.registerImport(api)
	c.registerBrands(api)
	c.registerDomains(api)
	c.registerInfluencers(api)
	c.registerCampaigns(api)
	c.registerLinks(api)
	c.registerKeys(api)
	c.registerTokens(api)
	c.registerAudit(api)
	c.registerBackup(api)
	refuseUnknown(refuser, mux)
	return api
}

// RoleKey is the key of an operation's Metadata under which it names the Role it needs.
const RoleKey = "role"

type scopeKey struct{}

// ScopeOf returns the scope of the token that a request to the API came with.
func ScopeOf(ctx context.Context) Scope {
	scope, _ := ctx.Value(scopeKey{}).(Scope)
	return scope
}

// authorizeOperation lets a request through whose token has the role that its operation asks for, with the token's scope.
func (c *Control) authorizeOperation(refuser refusal.Writer) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		role, named := ctx.Operation().Metadata[RoleKey].(Role)
		if !named {
			role = Analyst
		}
		r, _ := humago.Unwrap(ctx)
		scope, err := c.Authorize(r, role)
		if err == nil {
			next(huma.WithValue(ctx, scopeKey{}, scope))
			return
		}
		if errors.Is(err, ErrUnauthorized) {
			ctx.SetHeader("WWW-Authenticate", `Bearer realm="carom"`)
		}
		if retry := (retryError{}); errors.As(err, &retry) {
			refuser.RefuseFor(ctx, HTTPStatus(err), retry.wait, err)
			return
		}
		refuser.Refuse(ctx, HTTPStatus(err), err)
	}
}

// operation describes one operation of the API.
func operation(id, method, path string, role Role, summary string) huma.Operation {
	return huma.Operation{
		Parameters:  headersOf(method),
		OperationID: id, Method: method, Path: path, Summary: summary,
		Metadata: map[string]any{RoleKey: role},
		Errors: []int{
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests,
		},
	}
}

// headersOf describes what every operation with a method reads of a request's headers.
func headersOf(method string) []*huma.Param {
	if method == http.MethodGet {
		return nil
	}
	longest := once.MaxKey
	return []*huma.Param{{
		Name: once.Header, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &longest},
		Description: "A key of the client's own. The same request with the same key is carried out once, within a day; it is answered the " +
			"same again, or 409 where its answer is not kept or not known. Another request with the key gets 422.",
	}}
}

type importRequest struct {
	Kind      string `path:"kind" enum:"brands,domains,influencers,campaigns,links,commissions,posts,conversions"`
	FirstLine int    `query:"first_line" default:"2" minimum:"2" doc:"line of the whole file at which the lines after the header begin, for the line numbers of rejects"`
	RawBody   []byte `contentType:"text/csv"`
}

func (c *Control) registerImport(api huma.API) {
	op := operation("import", http.MethodPost, "/import/{kind}", Editor, "Import a CSV file, or a part of one behind its header")
	op.Description = "Lines are checked one by one. Sending the same lines again changes nothing."
	op.MaxBodyBytes, op.BodyReadTimeout = maxImportBody, importReadTimeout
	op.Errors = append(op.Errors, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	huma.Register(api, op, func(ctx context.Context, in *importRequest) (*struct{ Body Result }, error) {
		result, err := c.importCSV(ctx, in.Kind, bytes.NewReader(in.RawBody), ScopeOf(ctx), in.FirstLine)
		if err != nil {
			return nil, c.problem(err)
		}
		return &struct{ Body Result }{result}, nil
	})
}
