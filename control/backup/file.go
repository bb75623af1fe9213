package backup

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
)

// A File is a backup that is open for reading.
type File struct {
	Manifest
	manifest  []byte // its bytes, which are signed
	signature []byte // nil where it has none
	archive   *zip.Reader
	file      io.Closer
}

// maxManifest bounds a manifest in bytes; a real one has a few thousand.
const maxManifest = 1 << 20

// Open reads the manifest of a backup. The error wraps ErrDamaged or ErrNewer, or is that of opening the file.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open backup: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open backup: %w", err), file.Close())
	}
	f := &File{file: file}
	if err := f.read(file, info.Size()); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return f, nil
}

// Close ends reading.
func (f *File) Close() error { return f.file.Close() }

// read finds what is in an archive of size bytes.
func (f *File) read(r io.ReaderAt, size int64) (err error) {
	if f.archive, err = zip.NewReader(r, size); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if f.manifest, err = f.readAll(manifestName); err != nil {
		return err
	}
	if f.signature, err = f.readAll(signatureName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.parseManifest()
}

// open finds one file of the archive.
func (f *File) open(name string) (fs.File, error) {
	entry, err := f.archive.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: it has no %s: %w", ErrDamaged, name, err)
	}
	return entry, nil
}

// readAll reads a short file of the archive.
func (f *File) readAll(name string) ([]byte, error) {
	entry, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	content, err := io.ReadAll(io.LimitReader(entry, maxManifest))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return content, nil
}

func (f *File) parseManifest() error {
	if err := json.Unmarshal(f.manifest, &f.Manifest); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, manifestName, err)
	}
	switch {
	case f.Format > format:
		return fmt.Errorf("%w: its format is %d, this program reads up to %d", ErrNewer, f.Format, format)
	case f.Format < 1:
		return fmt.Errorf("%w: %s names no format", ErrDamaged, manifestName)
	}
	for _, t := range f.Tables {
		if _, known := tableNamed(t.Name); !known {
			return fmt.Errorf("%w: this program knows no table %q", ErrNewer, t.Name)
		}
	}
	return nil
}

// table is what the file has of a table.
func (f *File) table(name string) (t Table, held bool) {
	i := slices.IndexFunc(f.Tables, func(t Table) bool { return t.Name == name })
	if i < 0 {
		return t, false
	}
	return f.Tables[i], true
}

// Verify reads all of the file. It returns ErrDamaged unless each table is as the manifest says; who wrote it, Trust tells.
func (f *File) Verify() error {
	for _, t := range f.Tables {
		if err := f.verifyTable(t); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) verifyTable(t Table) error {
	entry, err := f.openTable(t)
	if err != nil {
		return err
	}
	defer entry.Close()
	if _, err := io.Copy(io.Discard, entry); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, t.file(), err)
	}
	return entry.whole()
}

// A tableEntry is the file of a table while it is read. Its sum is taken each time: others may write to a backup that was verified.
type tableEntry struct {
	fs.File
	table Table
	sum   hash.Hash
	read  counter
}

func (f *File) openTable(t Table) (*tableEntry, error) {
	entry, err := f.open(t.file())
	if err != nil {
		return nil, err
	}
	return &tableEntry{File: entry, table: t, sum: sha256.New()}, nil
}

func (e *tableEntry) Read(b []byte) (int, error) {
	n, err := e.File.Read(b)
	for _, w := range [...]io.Writer{e.sum, &e.read} {
		_, _ = w.Write(b[:n]) // neither fails
	}
	return n, err
}

// whole is ErrDamaged unless all that was read is what the manifest says.
func (e *tableEntry) whole() error {
	if e.read.bytes != e.table.Bytes || hex.EncodeToString(e.sum.Sum(nil)) != e.table.SHA256 {
		return fmt.Errorf("%w: the checksum of %s is not that of the manifest", ErrDamaged, e.table.file())
	}
	return nil
}

// maxRow is many times what the longest row takes, in bytes. A file of 1 MB can unpack to one row of 1 GB.
const maxRow = 8 << 20

// A rowReader ends a row that is too long.
type rowReader struct {
	io.Reader
	left int // bytes that may be read until the row has ended
}

func (r *rowReader) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, fmt.Errorf("it is longer than %d bytes", maxRow)
	}
	n, err := r.Reader.Read(b[:min(len(b), r.left)])
	r.left -= n
	return n, err
}

// each calls do with a pointer to each row of a table, a new one each time. It returns ErrDamaged, in the end, where they are not
// the rows that the manifest tells of.
func (f *File) each(t Table, row reflect.Type, do func(reflect.Value) error) error {
	entry, err := f.openTable(t)
	if err != nil {
		return err
	}
	defer entry.Close()
	bounded := &rowReader{Reader: entry}
	lines := json.NewDecoder(bounded)
	for n := uint64(1); ; n++ {
		value := reflect.New(row)
		bounded.left = maxRow
		err := lines.Decode(value.Interface())
		if errors.Is(err, io.EOF) && n == t.Rows+1 {
			return entry.whole()
		}
		if err != nil {
			return fmt.Errorf("%w: row %d of %s: %w", ErrDamaged, n, t.file(), err)
		}
		if err := do(value); err != nil {
			return err
		}
	}
}
