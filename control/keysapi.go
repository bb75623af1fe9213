package control

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carom/redirect"
)

type keysRequest struct {
	Brand string `query:"brand" doc:"key of a brand"`
	Kind  string `query:"kind" enum:"code,postback,click_id,visitor"`
}

// A KeyRequest says which key is meant.
type KeyRequest struct {
	Brand string           `json:"brand,omitempty" doc:"key of the brand, empty for a key of the cluster"`
	Kind  redirect.KeyKind `json:"kind" enum:"code,postback,click_id"`
	ID    string           `json:"key_id,omitempty" doc:"only to retire a key"`
}

// A NewKey is a key that was made, with its secret where that is for people.
type NewKey struct {
	Key
	Secret string `json:"secret,omitempty" doc:"of a postback key: the HMAC key, shown this once"`
}

type keyRequest struct{ Body KeyRequest }

func (c *Control) registerKeys(api huma.API) {
	huma.Register(api, operation("list-keys", http.MethodGet, "/keys", Editor, "List keys, never their secrets"),
		func(ctx context.Context, in *keysRequest) (*struct{ Body []Key }, error) {
			keys, err := c.Keys(ScopeOf(ctx), in.Brand, redirect.KeyKind(in.Kind))
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body []Key }{keys}, nil
		})
	type maker func(context.Context, Scope, string, redirect.KeyKind) (Key, string, error)
	for _, op := range []struct {
		huma.Operation
		make maker
	}{
		{withSecret(operation("new-key", http.MethodPost, "/keys", Admin, "Make a postback key beside those in use")), c.NewKey},
		{withSecret(operation("rotate-key", http.MethodPost, "/keys/rotate", Admin, "Make a new active key; the old ones only verify")), c.RotateKey},
	} {
		huma.Register(api, op.Operation, func(ctx context.Context, in *keyRequest) (*struct{ Body NewKey }, error) {
			key, secret, err := op.make(ctx, ScopeOf(ctx), in.Body.Brand, in.Body.Kind)
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body NewKey }{NewKey{key, secret}}, nil
		})
	}
	huma.Register(api, operation("retire-key", http.MethodPost, "/keys/retire", Admin, "Make a key and all it has signed unknown"),
		func(ctx context.Context, in *keyRequest) (*struct{ Body Key }, error) {
			key, err := c.RetireKey(ctx, ScopeOf(ctx), in.Body.Brand, in.Body.Kind, in.Body.ID)
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body Key }{key}, nil
		})
}
