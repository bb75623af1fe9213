package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/sheet"
)

// A cellError is a problem with one cell. cause, where there is one, says of what sort.
type cellError struct {
	column, reason string
	cause          error
}

func (e *cellError) Error() string { return e.column + " " + e.reason }
func (e *cellError) Unwrap() error { return e.cause }

// because says of what sort the problem is.
func (e *cellError) because(cause error) *cellError {
	e.cause = cause
	return e
}

// status is that of an answer of the API which is only about this problem.
func (e *cellError) status() int {
	switch {
	case errors.Is(e, ErrForbidden):
		return http.StatusForbidden
	case errors.Is(e, ErrTaken):
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}

// detail is how the API tells of the problem, within the part of a request that is named.
func (e *cellError) detail(within string) *huma.ErrorDetail {
	location := within
	if e.column != "" {
		location += "." + e.column
	}
	return &huma.ErrorDetail{Location: location, Message: e.reason}
}

func refuse(column, reason string, args ...any) *cellError {
	return &cellError{column: column, reason: fmt.Sprintf(reason, args...)}
}

// problem turns an error into the answer for it. What the caller is not to know goes to the log.
func (c *Control) problem(err error) error {
	var cell *cellError
	detail := func(location string) *huma.ErrorDetail {
		return &huma.ErrorDetail{Location: location, Message: err.Error()}
	}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &cell):
		return huma.NewError(cell.status(), err.Error(), cell.detail("body"))
	case errors.Is(err, ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, ErrForbidden):
		return huma.Error403Forbidden(err.Error())
	case errors.Is(err, sheet.ErrHeader), errors.Is(err, ErrTarget):
		return huma.Error422UnprocessableEntity(err.Error(), detail("body"))
	case errors.Is(err, ErrKeyKind):
		return huma.Error422UnprocessableEntity(err.Error(), detail("body.kind"))
	case errors.Is(err, ErrCursor):
		return huma.Error422UnprocessableEntity(err.Error(), detail("query.cursor"))
	case errors.Is(err, ErrJSON):
		return huma.Error400BadRequest(err.Error(), detail("body"))
	case errors.Is(err, ErrPrecondition):
		return huma.Error412PreconditionFailed(err.Error(), detail("header.If-Match"))
	case errors.Is(err, ErrAmbiguous), errors.Is(err, ErrNoSlot), errors.Is(err, ErrManyKeys), errors.Is(err, ErrKeyInUse),
		errors.Is(err, ErrKeyRetired), errors.Is(err, ErrHangsOn):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrStandby):
		return huma.Error503ServiceUnavailable(err.Error())
	case errors.Is(err, ErrUnconfirmed):
		c.logFailure(slog.LevelError, "write to ClickHouse", err)
		return huma.Error503ServiceUnavailable(ErrUnconfirmed.Error() + ": it may be stored or not; importing it again is harmless, before anything else look at what is there")
	}
	c.logFailure(slog.LevelError, "a request to the API failed", err)
	return huma.Error500InternalServerError("the log of the control process has the reason")
}

// logFailure tells operators why a request failed. That its client has hung up, which cancels the request's context, is nothing
// that they could mend.
func (c *Control) logFailure(level slog.Level, what string, err error) {
	if errors.Is(err, context.Canceled) {
		level = slog.LevelDebug
	}
	c.cfg.Log.Log(context.Background(), level, what, "err", err)
}
