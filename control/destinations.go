package control

import (
	"context"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

// A LinkDestination is where a link sends its visitors, without what the edge adds.
type LinkDestination struct {
	Brand       string `json:"brand"`
	Link        string `json:"link"`
	Destination string `json:"destination"`
}

// EachDestination calls do for every link that filter chooses and that sends visitors to its destination, or will once it has
// begun.
func (c *Control) EachDestination(ctx context.Context, scope Scope, filter LinkFilter, do func(LinkDestination) error) error {
	return c.eachLinkRow(ctx, scope, filter, func(view *linkView, row *linkRow) error {
		link, err := view.link(row)
		if err != nil {
			return err
		}
		if stop := view.stop(row, link.ShortURL != ""); stop != nil && stop.what != notBegun {
			return nil
		}
		return do(LinkDestination{link.Brand, link.Link, view.destination(row)})
	})
}

// listDestinations streams, as exportLinks does.
func (c *Control) listDestinations(ctx context.Context, in *struct{ LinkFilter }) (*huma.StreamResponse, error) {
	return c.streamLinks(ctx, "list destinations", in.LinkFilter, func(ctx huma.Context, scope Scope) error {
		ctx.SetHeader("Content-Type", jsonLines)
		lines := json.NewEncoder(ctx.BodyWriter())
		return c.EachDestination(ctx.Context(), scope, in.LinkFilter, func(d LinkDestination) error { return lines.Encode(d) })
	})
}
