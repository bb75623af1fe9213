package control

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// errUnsure is what callers are told while ClickHouse is away for longer than the lease lasts.
var errUnsure = errors.New("ClickHouse does not answer, so it is not known whether this process still is the one that writes")

// onlyLeader answers 503 unless this process writes: a standby may not know of the newest objects and tokens.
func (c *Control) onlyLeader(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		err := c.mayAnswer(ctx.Context())
		if err == nil {
			next(ctx)
			return
		}
		if !errors.Is(err, ErrStandby) {
			c.cfg.Log.Warn("API", "err", err)
			err = errUnsure
		}
		c.unavailable(api, ctx, err)
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
