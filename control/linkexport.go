package control

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

type exportRequest struct {
	LinkFilter
	Format string `query:"format" default:"csv" enum:"csv,jsonl,parquet"`
}

// exportLinks streams: ten million links pass through it one by one.
func (c *Control) exportLinks(ctx context.Context, in *exportRequest) (*huma.StreamResponse, error) {
	return c.streamLinks(ctx, "export links", in.LinkFilter, func(ctx huma.Context, scope Scope) error {
		out := newLinkWriter(in.Format, ctx.BodyWriter())
		ctx.SetHeader("Content-Type", out.contentType)
		ctx.SetHeader("Content-Disposition", "attachment; filename=links."+in.Format)
		if err := out.begin(); err != nil {
			return err
		}
		if err := c.EachLink(ctx.Context(), scope, in.LinkFilter, out.write); err != nil {
			return err
		}
		return out.end()
	})
}
