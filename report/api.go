package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// A ScopeFunc says whose numbers the caller of a request may see, from what the API's own middleware left in the
// request's context. Its error is the answer.
type ScopeFunc func(context.Context) (Scope, error)

// reportRequest has no schema of its own for the values: Parse checks them, for the API and the command line alike.
type reportRequest struct {
	Name   string   `path:"name" example:"influencers" doc:"influencers, campaigns, utm, geo, conversions or ledger"`
	From   string   `query:"from" example:"2026-03-01" doc:"First day, UTC; thirty days before to unless given"`
	To     string   `query:"to" example:"2026-04-01" doc:"Day after the last, UTC; tomorrow unless given"`
	Brand  []string `query:"brand" doc:"Keys of brands, separated by commas; all that the token may see unless given"`
	By     []string `query:"by" example:"[\"day\",\"campaign\"]" doc:"What to group by, separated by commas: day, week, month or keys of the report; all its keys unless given"`
	Format string   `query:"format" example:"json" doc:"table, csv or json, the default"`

	Top       int  `query:"top" example:"100" doc:"Rows that stand for themselves, those of the most clicks (conversions, times); all others are added up in one row for each currency, whose keys are null and which has others: true. 50000 unless given, 1000 in a table"`
	Limit     int  `query:"limit" example:"1000" doc:"Rows of a page, in the order of their keys; nothing is added up. The header Link leads to the next"`
	Offset    int  `query:"offset" doc:"Rows before the page"`
	Conflicts bool `query:"conflicts" doc:"Of conversions: instead of their sums those that contradict themselves or their sale, with what counts and what was refused"`
}

type reportResponse struct {
	ContentType  string `header:"Content-Type"`
	CacheControl string `header:"Cache-Control"`
	Disposition  string `header:"Content-Disposition"`
	Link         string `header:"Link" doc:"of a page: where the next one is (RFC 8288)"`
	Body         []byte
}

// Register adds GET /reports/{name} to an API, whose middleware has settled who is asking.
func Register(api huma.API, reports *Reports, scope ScopeFunc) {
	huma.Register(api, huma.Operation{
		OperationID: "get-report",
		Method:      http.MethodGet,
		Path:        "/reports/{name}",
		Summary:     "Finished numbers for a span of days",
		Description: "Unique visitors are counted over the whole span, within each row. Money is exact, with four digits, a string in JSON; a table rounds it to the minor unit. Conversions are always grouped by event, status and signed too. However many rows there are, the answer is whole: what lies beyond its top stands in one row of others, whose figures are exact, or it is read page by page.",
		Tags:        []string{"Reports"},
		Errors: []int{
			http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity,
			http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		},
	}, func(ctx context.Context, in *reportRequest) (*reportResponse, error) {
		allowed, err := scope(ctx)
		if err != nil {
			return nil, err
		}
		return reports.serve(ctx, in, allowed)
	})
}

func (r *Reports) serve(ctx context.Context, in *reportRequest, allowed Scope) (*reportResponse, error) {
	if in.Format == "" {
		in.Format = string(JSON)
	}
	params := Params{
		Report: in.Name, From: in.From, To: in.To, Brands: in.Brand, By: in.By, Format: in.Format,
		Top: in.Top, Limit: in.Limit, Offset: in.Offset, Conflicts: in.Conflicts,
	}
	q, err := Parse(params, time.Now())
	if err != nil {
		return nil, r.problem(err)
	}
	result, err := r.Run(ctx, q, allowed)
	if err != nil {
		return nil, r.problem(err)
	}
	var body bytes.Buffer
	if err := result.Write(&body, q.Format); err != nil {
		return nil, r.problem(err)
	}
	response := &reportResponse{ContentType: q.Format.ContentType(), CacheControl: "no-store", Body: body.Bytes()}
	if result.More {
		// With its days, so that midnight does not shift the pages.
		params.From, params.To, params.Offset = q.From.Format(dateLayout), q.To.Format(dateLayout), q.Offset+q.Limit
		response.Link = fmt.Sprintf(`<?%s>; rel="next"`, params.Values().Encode())
	}
	if q.Format == CSV {
		response.Disposition = fmt.Sprintf(`attachment; filename="%s-%s-%s.csv"`,
			in.Name, q.From.Format(dateLayout), q.To.AddDate(0, 0, -1).Format(dateLayout))
	}
	return response, nil
}

// problem is the answer to an error. What ClickHouse says goes to the log alone: it may quote the statement.
func (r *Reports) problem(err error) error {
	var wrong *ParamError
	switch {
	case errors.As(err, &wrong) && wrong.Param == "report":
		return huma.Error404NotFound(err.Error())
	case errors.As(err, &wrong):
		return huma.Error400BadRequest(err.Error(),
			&huma.ErrorDetail{Message: wrong.Reason, Location: "query." + wrong.Param, Value: wrong.Value})
	case errors.Is(err, ErrUnknownBrand):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, ErrForbidden):
		return huma.Error403Forbidden(err.Error())
	case errors.Is(err, ErrUnavailable):
		r.cfg.Log.Error("report failed", "error", err)
		return huma.Error503ServiceUnavailable(ErrUnavailable.Error() + ": see that it runs, then ask again")
	case errors.Is(err, ErrNoSchema):
		r.cfg.Log.Error("report failed", "error", err)
		return huma.Error503ServiceUnavailable(ErrNoSchema.Error() + ": run carom schema apply")
	case errors.Is(err, ErrTooManyRows):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, ErrTooLong):
		return huma.NewError(http.StatusGatewayTimeout, ErrTooLong.Error()+": ask for fewer days or brands")
	}
	if !errors.Is(err, context.Canceled) { // otherwise the client has hung up
		r.cfg.Log.Error("report failed", "error", err)
	}
	return huma.Error500InternalServerError("the report could not be read; the log of the control process says why")
}
