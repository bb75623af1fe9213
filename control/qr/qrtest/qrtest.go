// Package qrtest reads QR codes back, for tests of what draws them.
package qrtest

import (
	"image"
	"image/png"
	"io"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// Decode returns the text of the QR code in a picture that shows nothing else.
func Decode(picture image.Image) (string, error) {
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", err
	}
	// Told that the picture is the code, the decoder reads all of them. Searching it as a photograph it misses the corners of one
	// in 200, which zbar finds.
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		return "", err
	}
	return result.GetText(), nil
}

// DecodePNG is Decode of a file.
func DecodePNG(file io.Reader) (string, error) {
	picture, err := png.Decode(file)
	if err != nil {
		return "", err
	}
	return Decode(picture)
}
