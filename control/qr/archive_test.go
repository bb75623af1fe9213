package qr_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"image/png"
	"io"
	"io/fs"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carom/control/qr"
)

func TestArchive(t *testing.T) {
	var file bytes.Buffer
	a, err := qr.NewArchive(&file, usual())
	if err != nil {
		t.Fatal(err)
	}
	links := [][2]string{
		{"lena", "https://go.acme.example/lena"},
		{"LENA", "https://go.acme.example/00000LSHdeu"}, // one file with lena on many file systems
		{"lena_2", "https://go.acme.example/lena-2"},    // whose name the one before has taken
		{"nul.1", "https://go.acme.example/nul"},        // a device on Windows
		{"COM7", "https://go.acme.example/com"},
		{"computer", "https://go.acme.example/computer"},
		{"links.csv", "https://go.acme.example/list"},
		{"retired", ""},
	}
	for _, l := range links {
		if err := a.Add(l[0], l[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"link", "short_url", "file"},
		{"lena", "https://go.acme.example/lena", "lena.png"},
		{"LENA", "https://go.acme.example/00000LSHdeu", "LENA_2.png"},
		{"lena_2", "https://go.acme.example/lena-2", "lena_2_2.png"},
		{"nul.1", "https://go.acme.example/nul", "nul.1_.png"},
		{"COM7", "https://go.acme.example/com", "COM7_.png"},
		{"computer", "https://go.acme.example/computer", "computer.png"},
		{"links.csv", "https://go.acme.example/list", "links.csv.png"},
		{"retired", "", ""},
	}
	index := open(t, got, "links.csv")
	defer index.Close()
	list, err := csv.NewReader(index).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("links.csv (-want +got):\n%s", diff)
	}
	if len(got.File) != len(links) { // one link has no picture, and there is the list
		t.Errorf("%d files in the zip, want %d", len(got.File), len(links))
	}
	for _, line := range list[1:] {
		if line[2] == "" {
			continue
		}
		picture, err := png.Decode(open(t, got, line[2]))
		if err != nil {
			t.Fatal(err)
		}
		if address := read(t, picture); address != line[1] {
			t.Errorf("%s reads as %s, want %s", line[2], address, line[1])
		}
	}
}

func open(t *testing.T, archive *zip.Reader, name string) fs.File {
	t.Helper()
	file, err := archive.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestArchiveOfPicturesThatCannotBeDrawn(t *testing.T) {
	if _, err := qr.NewArchive(&bytes.Buffer{}, qr.Config{Format: "gif", Size: 300, Level: "M"}); !errors.Is(err, qr.ErrFormat) {
		t.Errorf("another format: %v", err)
	}
	a, err := qr.NewArchive(&bytes.Buffer{}, qr.Config{Format: "png", Size: 30, Level: "M"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add("lena", "https://go.acme.example/lena"); !errors.Is(err, qr.ErrSize) {
		t.Errorf("too few pixels: %v", err)
	}
}

func BenchmarkArchive(b *testing.B) {
	a, err := qr.NewArchive(io.Discard, usual())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := a.Add(strconv.Itoa(n), "https://go.acme.example/00000LSHdeu"); err != nil {
			b.Fatal(err)
		}
	}
}
