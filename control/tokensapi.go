package control

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/once"
)

// A TokenRequest describes a token to be made.
type TokenRequest struct {
	Name   string   `json:"name" minLength:"1" doc:"who or what it is for"`
	Role   Role     `json:"role" enum:"admin,editor,analyst"`
	Brands []string `json:"brands,omitempty" doc:"keys of the brands it is for; none for all"`
}

// A NewToken is a token that was made, in clear.
type NewToken struct {
	Token
	Secret string `json:"secret" doc:"the token, shown this once"`
}

func (c *Control) registerTokens(api huma.API) {
	huma.Register(api, operation("list-tokens", http.MethodGet, "/tokens", Admin, "List tokens, never the tokens themselves"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body []Token }, error) {
			return &struct{ Body []Token }{c.Tokens(ScopeOf(ctx))}, nil
		})
	huma.Register(api, once.WithSecret(operation("new-token", http.MethodPost, "/tokens", Admin, "Make a token")),
		func(ctx context.Context, in *struct{ Body TokenRequest }) (*struct{ Body NewToken }, error) {
			token, secret, err := c.NewToken(ctx, ScopeOf(ctx), in.Body.Name, in.Body.Role, in.Body.Brands)
			if err != nil {
				return nil, c.problem(err)
			}
			return &struct{ Body NewToken }{NewToken{token, secret}}, nil
		})
	huma.Register(api, operation("revoke-token", http.MethodDelete, "/tokens/{token}", Admin, "Make a token worthless at once"),
		func(ctx context.Context, in *struct {
			Token string `path:"token" doc:"id of the token"`
		},
		) (*struct{}, error) {
			return nil, c.problem(c.RevokeToken(ctx, ScopeOf(ctx), in.Token))
		})
}
