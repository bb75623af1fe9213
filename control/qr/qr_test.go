package qr_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"carom/control/qr"
	"carom/control/qr/qrtest"
)

// usual is what a code on a screen is drawn with.
func usual() qr.Config { return qr.Config{Format: "png", Size: 512, Level: "M"} }

// read decodes a picture that must be readable.
func read(t testing.TB, picture image.Image) string {
	t.Helper()
	text, err := qrtest.Decode(picture)
	if err != nil {
		t.Fatalf("not readable: %v", err)
	}
	return text
}

// paint draws what an SVG of ours says, scale pixels a module.
func paint(t testing.TB, text []byte, scale int) image.Image {
	t.Helper()
	var svg struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(text, &svg); err != nil || len(svg.Paths) != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	var side int
	if _, err := fmt.Sscanf(svg.ViewBox, "0 0 %d", &side); err != nil {
		t.Fatal(err)
	}
	picture := image.NewGray(image.Rect(0, 0, side*scale, side*scale))
	fill := func(x, y, w, h int, c color.Gray) {
		for j := range h * scale {
			for i := range w * scale {
				picture.SetGray(x*scale+i, y*scale+j, c)
			}
		}
	}
	if want := fmt.Sprintf("M0 0h%dv%dH0z", side, side); svg.Paths[0].D != want {
		t.Fatalf("background %q, want %q", svg.Paths[0].D, want)
	}
	fill(0, 0, side, side, color.Gray{255})
	runs := regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(svg.Paths[1].D, -1)
	drawn := 0
	for _, run := range runs {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(run[i+1])
		}
		if n[2] != n[3] {
			t.Fatalf("the run %q does not close", run[0])
		}
		fill(n[0], n[1], n[2], 1, color.Gray{0})
		drawn += len(run[0])
	}
	if drawn != len(svg.Paths[1].D) {
		t.Fatalf("path with more than runs: %s", svg.Paths[1].D)
	}
	return picture
}

func TestCodesReadAsTheirAddress(t *testing.T) {
	for _, address := range []string{
		"https://go.acme.example/00000LSHdeu",
		"https://go.acme.example/lena~a1B2c3",
		"HTTPS://GO.ACME.EXAMPLE/UPPER",
		"http://go.acme.localhost:8080/lena",
		"https://" + strings.Repeat("long-label.", 20) + "example/" + strings.Repeat("slug-", 12) + "~a1B2c3",
	} {
		for _, level := range []string{"L", "M", "Q", "H"} {
			for _, size := range []int{200, 512, 1001} {
				c := qr.Config{Format: "png", Size: size, Level: level}
				var file bytes.Buffer
				if err := c.Draw(&file, address); err != nil {
					t.Fatal(err)
				}
				picture, err := png.Decode(&file)
				if err != nil {
					t.Fatal(err)
				}
				if b := picture.Bounds(); b.Dx() != size || b.Dy() != size {
					t.Errorf("%d pixels asked for, %v drawn", size, b)
				}
				if got := read(t, picture); got != address {
					t.Errorf("level %s, %d pixels: %q reads as %q", level, size, address, got)
				}
			}
			c := qr.Config{Format: "svg", Size: 300, Level: level}
			var file bytes.Buffer
			if err := c.Draw(&file, address); err != nil {
				t.Fatal(err)
			}
			if got := read(t, paint(t, file.Bytes(), 3)); got != address {
				t.Errorf("level %s, SVG: %q reads as %q", level, address, got)
			}
		}
	}
}

func TestAnyShortURLReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := "https://" + rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\.example`).Draw(t, "host") + "/" +
			rapid.StringMatching(`[0-9A-Za-z]{11}|[a-z0-9][a-z0-9_-]{2,63}(~[0-9A-Za-z]{6})?`).Draw(t, "path")
		var file bytes.Buffer
		if err := usual().Draw(&file, address); err != nil {
			t.Fatal(err)
		}
		if got, err := qrtest.DecodePNG(&file); err != nil || got != address {
			t.Fatalf("%q reads as %q, %v", address, got, err)
		}
	})
}

// ISO/IEC 18004 asks for four light modules on each side.
func TestQuietZone(t *testing.T) {
	for _, size := range []int{37, 200, 333} {
		var file bytes.Buffer
		if err := (qr.Config{Format: "png", Size: size, Level: "M"}).Draw(&file, "https://go.acme.example/lena"); err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(&file)
		if err != nil {
			t.Fatal(err)
		}
		const modules = 29 + 2*4 // version 3
		quiet := 4 * (size / modules)
		inner := picture.Bounds().Inset(quiet)
		for y := range size {
			for x := range size {
				r, _, _, _ := picture.At(x, y).RGBA()
				if r == 0 && !image.Pt(x, y).In(inner) {
					t.Fatalf("%d pixels: dark at %d, %d, less than %d from the edge", size, x, y, quiet)
				}
			}
		}
	}
}

func TestPicturesThatCannotBeDrawn(t *testing.T) {
	const address = "https://go.acme.example/lena"
	for _, test := range []struct {
		why  string
		c    qr.Config
		want error
	}{
		{"another format", qr.Config{Format: "gif", Size: 300, Level: "M"}, qr.ErrFormat},
		{"another level", qr.Config{Format: "png", Size: 300, Level: "X"}, qr.ErrLevel},
		{"no pixels", qr.Config{Format: "svg", Size: 0, Level: "M"}, qr.ErrSize},
		{"too many pixels", qr.Config{Format: "png", Size: 8193, Level: "M"}, qr.ErrSize},
		{"fewer pixels than modules", qr.Config{Format: "png", Size: 36, Level: "M"}, qr.ErrSize},
	} {
		var file bytes.Buffer
		if err := test.c.Draw(&file, address); !errors.Is(err, test.want) || file.Len() > 0 {
			t.Errorf("%s: %v and %d bytes, want %v", test.why, err, file.Len(), test.want)
		}
	}
	if err := usual().Draw(&bytes.Buffer{}, strings.Repeat("x", 5000)); err == nil {
		t.Error("5000 bytes fit a QR code")
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, format := range []string{"png", "svg"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			c := usual()
			c.Format = format
			for b.Loop() {
				var file bytes.Buffer
				if err := c.Draw(&file, "https://go.acme.example/00000LSHdeu"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
