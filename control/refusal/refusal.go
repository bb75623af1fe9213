// Package refusal answers requests to the API that do not get as far as their operation, with application/problem+json as the
// operations themselves do.
package refusal

import (
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// A Writer refuses requests to one API. Its methods may be called at the same time.
type Writer struct {
	api huma.API
	log *slog.Logger
}

// New returns a Writer that answers in the formats of api. That an answer does not reach its client goes to log.
func New(api huma.API, log *slog.Logger) Writer { return Writer{api, log} }

// Refuse answers with an HTTP status and the words of reason, which anybody may read.
func (w Writer) Refuse(ctx huma.Context, status int, reason error) {
	if err := huma.WriteErr(w.api, ctx, status, reason.Error()); err != nil {
		w.log.Debug("answer not written", "err", err)
	}
}

// RefuseFor refuses a request that may be sent again once wait is over, which the header Retry-After says.
func (w Writer) RefuseFor(ctx huma.Context, status int, wait time.Duration, reason error) {
	ctx.SetHeader("Retry-After", strconv.Itoa(Seconds(wait)))
	w.Refuse(ctx, status, reason)
}

// Seconds is a time to wait in whole seconds, as people and Retry-After are told it: rounded up, or who heeds it comes too early.
func Seconds(wait time.Duration) int { return int(math.Ceil(wait.Seconds())) }
