package qr

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"image/png"
	"io"
	"strings"
)

// indexName is the file of an archive that says which picture is whose.
const indexName = "links.csv"

// An Archive is a zip with one picture a link and, as links.csv, a list of them. The zip's directory stands at its end and is
// held until then, some 500 bytes a link; pictures are not.
type Archive struct {
	config  Config
	zip     *zip.Writer
	names   map[string]bool // in lower case: on many file systems names that differ in case only are one
	encoder png.Encoder
	picture bytes.Buffer
	index   bytes.Buffer
	list    *csv.Writer
}

// NewArchive begins a zip that is written to w.
func NewArchive(w io.Writer, c Config) (*Archive, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	a := &Archive{config: c, zip: zip.NewWriter(w), names: map[string]bool{}}
	a.encoder = png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &oneBuffer{}}
	a.list = csv.NewWriter(&a.index)
	return a, a.list.Write([]string{"link", "short_url", "file"})
}

// A oneBuffer keeps what an encoder needs from one picture to the next: making it takes longer than a picture.
type oneBuffer struct{ kept *png.EncoderBuffer }

// Get gives the buffer away.
func (b *oneBuffer) Get() (kept *png.EncoderBuffer) {
	kept, b.kept = b.kept, nil
	return kept
}

// Put takes it back.
func (b *oneBuffer) Put(buffer *png.EncoderBuffer) { b.kept = buffer }

// Add draws one link. One without an address, its key being retired, is only listed.
func (a *Archive) Add(link, address string) error {
	if address == "" {
		return a.list.Write([]string{link, "", ""})
	}
	a.picture.Reset()
	if err := a.config.draw(&a.picture, address, &a.encoder); err != nil {
		return fmt.Errorf("link %q: %w", link, err)
	}
	name := a.name(link)
	method := zip.Deflate
	if a.config.Format == "png" {
		method = zip.Store // is compressed already
	}
	file, err := a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err != nil {
		return err
	}
	if _, err := file.Write(a.picture.Bytes()); err != nil {
		return err
	}
	return a.list.Write([]string{link, address, name})
}

// Close ends the zip, not the writer beneath.
func (a *Archive) Close() error {
	a.list.Flush()
	file, err := a.zip.Create(indexName)
	if err != nil {
		return err
	}
	if _, err := file.Write(a.index.Bytes()); err != nil {
		return err
	}
	return a.zip.Close()
}

// name is that of a link's picture, like no other in the zip on any file system. A link's key has letters, digits, dots, dashes
// and underscores only and begins with one of the first two, so no name leads out of the directory it is unpacked in.
func (a *Archive) name(link string) string {
	stem := link
	if device(link) {
		stem += "_"
	}
	name := stem + "." + a.config.Format
	for n := 2; a.names[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s_%d.%s", stem, n, a.config.Format)
	}
	a.names[strings.ToLower(name)] = true
	return name
}

// device reports whether Windows would take a file's name for a device, whatever its ending.
func device(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	port := strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")
	return port && len(stem) == 4 && stem[3] >= '0' && stem[3] <= '9'
}
