package control

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/once"
	"carom/redirect"
)

type keysRequest struct {
	Brand string `query:"brand" doc:"key of a brand"`
	Kind  string `query:"kind" enum:"code,postback,click_id,visitor"`
}

// A KeyRequest says whose keys are meant.
type KeyRequest struct {
	Brand string           `json:"brand,omitempty" doc:"key of the brand; left out for a click_id key, which is the cluster's"`
	Kind  redirect.KeyKind `json:"kind" enum:"code,postback,click_id"`
}

// A KeyRotation says which key takes over.
type KeyRotation struct {
	KeyRequest
	ID string `json:"key_id,omitempty" doc:"one that verifies; a new one where it is left out"`
}

// A KeyRetirement says which key is to be unknown.
type KeyRetirement struct {
	KeyRequest
	ID     string `json:"key_id"`
	DryRun bool   `json:"dry_run,omitempty" doc:"only say what would be lost"`
}

// A NewKey is a key that was made, with its secret where that is for people.
type NewKey struct {
	Key
	Secret string `json:"secret,omitempty" doc:"of a postback key: the HMAC key, shown this once"`
}

func (c *Control) registerKeys(api huma.API) {
	huma.Register(api, operation("list-keys", http.MethodGet, "/keys", Editor, "List keys, never their secrets"),
		func(ctx context.Context, in *keysRequest) (*struct{ Body []Key }, error) {
			keys, err := c.Keys(ScopeOf(ctx), in.Brand, redirect.KeyKind(in.Kind))
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body []Key }{keys}, nil
		})
	made := once.WithSecret(operation("new-key", http.MethodPost, "/keys", Admin, "Make a key beside those in use"))
	made.Description = "A postback key counts at once. Of the other kinds one key is active: the new one only verifies, until it is rotated to. " +
		"A brand has four slots for code keys; of the other kinds 16 may be in use."
	huma.Register(api, made, func(ctx context.Context, in *struct{ Body KeyRequest }) (*struct{ Body NewKey }, error) {
		return c.newKeyAnswer(c.NewKey(ctx, ScopeOf(ctx), in.Body.Brand, in.Body.Kind))
	})
	rotated := once.WithSecret(operation("rotate-key", http.MethodPost, "/keys/rotate", Admin, "Let another key take over; those before it only verify"))
	rotated.Description = "What they have signed goes on until they are retired."
	huma.Register(api, rotated, func(ctx context.Context, in *struct{ Body KeyRotation }) (*struct{ Body NewKey }, error) {
		if in.Body.ID == "" {
			return c.newKeyAnswer(c.RotateKey(ctx, ScopeOf(ctx), in.Body.Brand, in.Body.Kind))
		}
		key, err := c.ActivateKey(ctx, ScopeOf(ctx), in.Body.Brand, in.Body.Kind, in.Body.ID)
		return c.newKeyAnswer(key, "", err)
	})
	retired := operation("retire-key", http.MethodPost, "/keys/retire", Admin, "Make a key and all it has signed unknown")
	retired.Description = "There is no way back: its secret is removed. The answer says what is lost with it, and so does a dry run, which changes " +
		"nothing. An active key is refused, unless it is a postback key."
	huma.Register(api, retired, func(ctx context.Context, in *struct{ Body KeyRetirement }) (*struct{ Body Retirement }, error) {
		retire := c.RetireKey
		if in.Body.DryRun {
			retire = c.RehearseRetirement
		}
		retirement, err := retire(ctx, ScopeOf(ctx), in.Body.Brand, in.Body.Kind, in.Body.ID)
		if err != nil {
			return nil, c.problem(err)
		}
		return &struct{ Body Retirement }{retirement}, nil
	})
}

// newKeyAnswer tells of a key that was made or has taken over.
func (c *Control) newKeyAnswer(key Key, secret string, err error) (*struct{ Body NewKey }, error) {
	if err != nil {
		return nil, c.problem(err)
	}
	return &struct{ Body NewKey }{NewKey{key, secret}}, nil
}
