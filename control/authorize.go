package control

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"carom/control/refusal"
)

// Errors of Authorize, beside ErrForbidden.
var (
	ErrUnauthorized = errors.New("a valid bearer token is required: Authorization: Bearer carom_…")
	ErrTooManyTries = errors.New("too many wrong tokens from this address")
)

// A retryError is ErrTooManyTries with the time to wait.
type retryError struct{ wait time.Duration }

func (e retryError) Error() string {
	return fmt.Sprintf("%v: try again in %d s", ErrTooManyTries, refusal.Seconds(e.wait))
}
func (e retryError) Unwrap() error { return ErrTooManyTries }

// Authorize reads the bearer token of a request and says what it may do and see. The error is ErrUnauthorized,
// ErrTooManyTries for a wrong token after too many others, or ErrForbidden for a token whose role does not include role.
// A valid token never waits, whatever others have sent from the same address.
func (c *Control) Authorize(r *http.Request, role Role) (Scope, error) {
	peer, token, err := bearerOf(r)
	if err != nil {
		return Scope{}, err
	}
	cat := c.catalog.Load()
	row, ok := cat.bearer(token)
	if !ok {
		if wait := c.logins.Wait(peer); wait > 0 {
			return Scope{}, retryError{wait}
		}
		c.logins.Fail(peer)
		return Scope{}, ErrUnauthorized
	}
	scope := cat.scope(row)
	if !scope.Role.Includes(role) {
		return Scope{}, fmt.Errorf("%w: it needs the role %s and has %s", ErrForbidden, role, scope.Role)
	}
	return scope, nil
}

// bearerOf is who has sent a request, and the token in it; ErrUnauthorized where there is none.
func bearerOf(r *http.Request) (peer netip.Addr, token string, err error) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return peer, "", fmt.Errorf("address of the client %q: %w", r.RemoteAddr, err)
	}
	token, sent := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !sent {
		return peer, "", ErrUnauthorized
	}
	return from.Addr(), token, nil
}

// HTTPStatus is the status that tells a caller of an error of Authorize.
func HTTPStatus(err error) int {
	switch {
	case errors.Is(err, ErrUnauthorized):
		return http.StatusUnauthorized
	case errors.Is(err, ErrTooManyTries):
		return http.StatusTooManyRequests
	case errors.Is(err, ErrForbidden):
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}
