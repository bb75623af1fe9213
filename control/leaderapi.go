package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"carom/control/refusal"
)

var (
	// errUnsure is what callers are told while ClickHouse is away for longer than the lease lasts.
	errUnsure = errors.New("ClickHouse does not answer, so it is not known whether this process still is the one that writes")
	// errAsStranger is what a standby tells whoever has no valid token: addresses inside a network are not everybody's to know.
	errAsStranger = fmt.Errorf("%w: to those with a valid token it says which one writes", ErrStandby)
)

// onlyLeader answers 503 unless this process writes: a standby may not know of the newest objects and tokens.
func (c *Control) onlyLeader(refuser refusal.Writer) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		err := c.mayAnswer(ctx.Context())
		if err == nil {
			next(ctx)
			return
		}
		r, _ := humago.Unwrap(ctx)
		switch {
		case !errors.Is(err, ErrStandby):
			c.logFailure(slog.LevelWarn, "look whether this process still writes", err)
			err = errUnsure
		case !c.mayLearn(r):
			err = errAsStranger
		}
		// By when another process may have taken over.
		refuser.RefuseFor(ctx, http.StatusServiceUnavailable, c.cfg.Lease, err)
	}
}

// mayLearn reports whether a standby tells a caller who writes: one with a valid token, from an address that has not sent too many
// wrong ones. That bounds what strangers can ask of ClickHouse.
func (c *Control) mayLearn(r *http.Request) bool {
	peer, token, err := bearerOf(r)
	if err != nil || c.logins.Wait(peer) > 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	valid, err := tokenStored(ctx, c.store, token)
	if err == nil && !valid {
		c.logins.Fail(peer)
	}
	return valid
}
