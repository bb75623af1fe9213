package control

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// onlyLeader answers 503 unless this process writes: a standby may not know of the newest objects and tokens.
func (c *Control) onlyLeader(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if err := c.mayAnswer(ctx.Context()); err != nil {
			c.unavailable(api, ctx, err)
			return
		}
		next(ctx)
	}
}

// unavailable answers that it is worth while to try again, by when another process has taken over.
func (c *Control) unavailable(api huma.API, ctx huma.Context, err error) {
	ctx.SetHeader("Retry-After", strconv.Itoa(int(c.cfg.Lease.Seconds())))
	c.refuse(api, ctx, http.StatusServiceUnavailable, err)
}

// refuse answers a request that does not get as far as its operation.
func (c *Control) refuse(api huma.API, ctx huma.Context, status int, reason error) {
	if err := huma.WriteErr(api, ctx, status, reason.Error()); err != nil {
		c.cfg.Log.Debug("answer not written", "err", err)
	}
}
