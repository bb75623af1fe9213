package control

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/qr"
)

// A QRPicture is how a QR code is asked for.
type QRPicture struct {
	Brand string `query:"brand" doc:"key of a brand, for a key that several have"`
	qr.Config
}

type linkQRRequest struct {
	Link string `path:"link"`
	QRPicture
}

type campaignQRRequest struct {
	Campaign string `path:"campaign"`
	QRPicture
}

// A qrAnswer is a picture.
type qrAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (c *Control) registerQR(api huma.API) {
	huma.Register(api, operation("link-qr", http.MethodGet, "/links/{link}/qr", Analyst, "Draw the QR code of a link"), c.linkQR)
	huma.Register(api, operation("campaign-qr", http.MethodGet, "/campaigns/{campaign}/qr.zip", Analyst,
		"Draw the QR codes of a campaign's links, one file each, and links.csv"), c.campaignQR)
}

func (c *Control) linkQR(ctx context.Context, in *linkQRRequest) (*qrAnswer, error) {
	link, err := c.Link(ctx, ScopeOf(ctx), in.Brand, in.Link)
	if err != nil {
		return nil, c.problem(err)
	}
	if link.ShortURL == "" {
		return nil, huma.Error409Conflict("link " + in.Link + " has no short URL: " + link.Why)
	}
	var picture bytes.Buffer
	if err := in.Draw(&picture, link.ShortURL); err != nil {
		return nil, c.qrProblem(err)
	}
	return &qrAnswer{in.ContentType(), picture.Bytes()}, nil
}

// campaignQR streams: a campaign may have more links than pictures fit into memory.
func (c *Control) campaignQR(ctx context.Context, in *campaignQRRequest) (*huma.StreamResponse, error) {
	if err := in.Check(); err != nil {
		return nil, c.qrProblem(err)
	}
	filter := LinkFilter{Brand: in.Brand, Campaign: in.Campaign}
	return c.streamLinks(ctx, "draw QR codes", filter, func(ctx huma.Context, scope Scope) error {
		ctx.SetHeader("Content-Type", "application/zip")
		ctx.SetHeader("Content-Disposition", "attachment; filename="+in.Campaign+".zip")
		out, err := qr.NewArchive(ctx.BodyWriter(), in.Config)
		if err != nil {
			return err
		}
		if err := c.EachLink(ctx.Context(), scope, filter, func(l Link) error { return out.Add(l.Link, l.ShortURL) }); err != nil {
			return err
		}
		return out.Close()
	})
}

// qrProblem names the parameter of what cannot be drawn.
func (c *Control) qrProblem(err error) error {
	if errors.Is(err, qr.ErrSize) {
		return huma.Error422UnprocessableEntity(err.Error(), &huma.ErrorDetail{Location: "query.size", Message: err.Error()})
	}
	return c.problem(err)
}
