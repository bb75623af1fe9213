package control

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/refusal"
)

// errTooFast refuses a token that sends more requests than Config allows.
var errTooFast = errors.New("too many requests with this token: wait as long as Retry-After says")

// limitRate answers 429 to a token that sends too many requests, in a time or at once.
func (c *Control) limitRate(refuser refusal.Writer) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		token := ScopeOf(ctx.Context()).Token
		wait := c.rates.Begin(token)
		if wait == 0 {
			defer c.rates.End(token)
			next(ctx)
			return
		}
		refuser.RefuseFor(ctx, http.StatusTooManyRequests, wait, errTooFast)
	}
}
