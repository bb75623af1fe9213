// Package qr draws QR codes (ISO/IEC 18004) of short links: one as PNG or SVG, many as a zip.
package qr

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"

	"github.com/skip2/go-qrcode"
)

// A Config says how codes are drawn. Its tags make of it flags of the command line and parameters of the API, with the same defaults:
// they suit a short link on a screen or a small print.
type Config struct {
	// Format is png or svg.
	Format string `query:"format" default:"png" enum:"png,svg" help:"One of ${enum}."`
	// Size is the side of the picture in pixels, its quiet zone included: minSize to maxSize.
	Size int `query:"size" default:"512" placeholder:"PX" doc:"side in pixels, quiet zone included" help:"Side of a picture in pixels, quiet zone included (${default})."`
	// Level is how much may be dirty or hidden: L 7 %, M 15 %, Q 25 %, H 30 %; more makes finer patterns.
	Level string `query:"level" default:"M" enum:"L,M,Q,H" doc:"error correction: 7, 15, 25 or 30 % may be unreadable" help:"Error correction: 7, 15, 25 or 30 % of the code may be unreadable (${default})."`
}

// Sides of pictures in pixels: the smallest code and its quiet zone are 29 modules wide, and a poster takes an SVG.
const (
	minSize = 29
	maxSize = 8192
)

// Errors of a picture that cannot be drawn as asked.
var (
	ErrFormat = errors.New("format of a QR code: png and svg are possible")
	ErrLevel  = errors.New("error correction of a QR code: L, M, Q and H are possible")
	ErrSize   = fmt.Errorf("size of a QR code: %d to %d pixels are possible", minSize, maxSize)
)

// Check returns ErrFormat, ErrLevel or ErrSize where c cannot be drawn.
func (c Config) Check() error {
	if c.Format != "png" && c.Format != "svg" {
		return fmt.Errorf("%w: not %q", ErrFormat, c.Format)
	}
	if _, known := c.recovery(); !known {
		return fmt.Errorf("%w: not %q", ErrLevel, c.Level)
	}
	if c.Size < minSize || c.Size > maxSize {
		return fmt.Errorf("%w: not %d", ErrSize, c.Size)
	}
	return nil
}

// ContentType is the media type of the pictures.
func (c Config) ContentType() string {
	if c.Format == "svg" {
		return "image/svg+xml"
	}
	return "image/png"
}

func (c Config) recovery() (level qrcode.RecoveryLevel, known bool) {
	switch c.Level {
	case "L":
		return qrcode.Low, true
	case "M":
		return qrcode.Medium, true
	case "Q":
		return qrcode.High, true
	case "H":
		return qrcode.Highest, true
	}
	return 0, false
}

// Draw writes the picture of address to w. The error is that of Check, ErrSize for a picture of too few pixels for a code as
// long as this, or that of writing.
func (c Config) Draw(w io.Writer, address string) error {
	return c.draw(w, address, &png.Encoder{CompressionLevel: png.BestSpeed}) // flat colours: more work saves little
}

func (c Config) draw(w io.Writer, address string, encoder *png.Encoder) error {
	if err := c.Check(); err != nil {
		return err
	}
	level, _ := c.recovery()
	code, err := qrcode.New(address, level)
	if err != nil {
		return fmt.Errorf("draw a QR code of %d bytes: %w", len(address), err)
	}
	modules := code.Bitmap() // with the quiet zone of four modules that readers need
	if c.Format == "svg" {
		return c.drawSVG(w, modules)
	}
	if c.Size < len(modules) {
		return fmt.Errorf("%w: %d are too few for a code of %d modules", ErrSize, c.Size, len(modules))
	}
	return encoder.Encode(w, c.image(modules))
}

// image draws modules as squares of equal size: one that is a pixel wider than its neighbour is harder to read. What is left
// of the size widens the quiet zone.
func (c Config) image(modules [][]bool) image.Image {
	const white, black = 0, 1
	picture := image.NewPaletted(image.Rect(0, 0, c.Size, c.Size), color.Palette{white: color.White, black: color.Black})
	side := c.Size / len(modules)
	margin := (c.Size - side*len(modules)) / 2
	line := make([]uint8, c.Size)
	for y, row := range modules {
		clear(line)
		for x, dark := range row {
			if dark {
				for i := range side {
					line[margin+x*side+i] = black
				}
			}
		}
		for i := range side {
			copy(picture.Pix[(margin+y*side+i)*picture.Stride:], line)
		}
	}
	return picture
}

// drawSVG writes runs of dark modules as one path, in units of modules.
func (c Config) drawSVG(w io.Writer, modules [][]bool) error {
	var path strings.Builder
	for y, row := range modules {
		for x := 0; x < len(row); {
			if !row[x] {
				x++
				continue
			}
			run := x
			for run < len(row) && row[run] {
				run++
			}
			fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x, y, run-x, run-x)
			x = run
		}
	}
	n := len(modules)
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path d="%s"/></svg>`+"\n", c.Size, c.Size, n, n, n, n, path.String())
	return err
}
