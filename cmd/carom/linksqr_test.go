package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carom/control/qr/qrtest"
)

func TestLinksQRCommand(t *testing.T) {
	c := newControlled(t)
	c.importSamples()
	read, err := qrtest.DecodePNG(strings.NewReader(c.must("links", "qr", "boots-tom-video")))
	if err != nil || read != "https://go.acme.localhost/tom-boots" {
		t.Errorf("the code reads as %q, %v", read, err)
	}
	path := filepath.Join(c.dir, "tom.svg")
	c.must("links", "qr", "boots-tom-video", "--format", "svg", "--level", "H", "-o", path)
	if text, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(text, []byte("<svg ")) {
		t.Errorf("SVG: %v, %.40q", err, text)
	}

	for _, test := range []struct {
		why   string
		args  []string
		files int // pictures in the zip
	}{
		{"several links", []string{"boots-tom-video", "winter-nora-reel"}, 2},
		{"a campaign", []string{"--campaign", "cosy-winter"}, strings.Count(c.must("links", "list", "--campaign", "cosy-winter"), "\n") - 1},
	} {
		path := filepath.Join(c.dir, "qr.zip")
		c.must(append([]string{"links", "qr", "-o", path}, test.args...)...)
		archive, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		if got := len(archive.File) - 1; got != test.files {
			t.Errorf("%s: %d pictures, want %d", test.why, got, test.files)
		}
		list, err := archive.Open("links.csv")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range parseCSV(t, list)[1:] {
			file, err := archive.Open(line[2])
			if err != nil {
				t.Fatal(err)
			}
			if read, err := qrtest.DecodePNG(file); err != nil || read != line[1] {
				t.Errorf("%s reads as %q, want %s: %v", line[2], read, line[1], err)
			}
		}
	}

	for _, test := range []struct {
		why  string
		args []string
		code int
		says string
	}{
		{"nothing named", nil, exitUsage, "name links, or a campaign"},
		{"both named", []string{"boots-tom-video", "--campaign", "cosy-winter"}, exitUsage, "name links, or a campaign"},
		{"no such link", []string{"none"}, exitFailed, `link "none": not found`},
		{"no such campaign", []string{"--campaign", "none"}, exitFailed, `campaign "none": not found`},
		{"too many pixels", []string{"boots-tom-video", "--size", "100000"}, exitUsage, "not 100000"},
		{"too few", []string{"boots-tom-video", "--size", "30"}, exitFailed, "30 are too few for a code of"},
	} {
		path := filepath.Join(c.dir, "none.png")
		got := c.carom(append([]string{"links", "qr", "-o", path}, test.args...)...)
		if got.code != test.code || !strings.Contains(got.errOut, test.says) {
			t.Errorf("%s: %+v, want exit %d and %q", test.why, got, test.code, test.says)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: a file is left behind: %v", test.why, err)
		}
	}

	c.must("keys", "rotate", "--brand", "acme", "--kind", "code")
	c.must("keys", "retire", "--brand", "acme", "--kind", "code", "--key-id", "0", "--yes")
	if got := c.carom("links", "qr", "boots-lena-reel"); got.code != exitFailed || !strings.Contains(got.errOut, "it has no short URL: its key is retired") {
		t.Errorf("a link of a retired key: %+v", got)
	}
}
