package backup

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"carom/redirect"
)

// archive is a zip of files: name, content, name, content …
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		entry, err := w.Create(files[i])
		if err == nil {
			_, err = entry.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// opened reads a file of these bytes.
func opened(content []byte) (*File, error) {
	var f File
	return &f, f.read(bytes.NewReader(content), int64(len(content)))
}

// check reads and verifies a file of these bytes, and tells whether the cluster of a secret has written it.
func check(t testing.TB, content []byte, secret string) error {
	t.Helper()
	signer, err := NewSigner([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := redirect.NewSealer([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	f, err := opened(content)
	if err != nil {
		return err
	}
	return errors.Join(f.Verify(), f.Trust(signer, sealer))
}

// testSecret is the cluster secret of the tests here.
const testSecret = "a secret for tests, a secret for tests"

const (
	brandsLine  = `{"brand_id":1,"brand":"acme","version":3}` + "\n"
	brandsTable = `{"name":"brands","rows":1,"bytes":42,"sha256":"76c02feee36a7f4d4b7b0ba5bcd2bbbd1ee7b1f9d8cd9a1f9d31f9c6a1d5cb7e","columns":["brand_id","brand","version"]}`
)

func TestWhatIsNoBackup(t *testing.T) {
	manifest := func(text string) []byte { return archive(t, "brands.jsonl", brandsLine, manifestName, text) }
	for _, test := range []struct {
		why     string
		content []byte
		want    error
	}{
		{"nothing in it, and nobody has signed that", manifest(`{"format":1}`), ErrUnsigned},
		{"a later format", manifest(`{"format":2}`), ErrNewer},
		{"a table of a later program", manifest(`{"format":1,"tables":[{"name":"payouts"}]}`), ErrNewer},
		{"no manifest", archive(t, "brands.jsonl", brandsLine), ErrDamaged},
		{"a manifest that is none", manifest(`[1`), ErrDamaged},
		{"no format", manifest(`{}`), ErrDamaged},
		{"a table that is missing", manifest(`{"format":1,"tables":[{"name":"links"}]}`), ErrDamaged},
		{"other rows than were written", manifest(`{"format":1,"tables":[` + brandsTable + `]}`), ErrDamaged},
		{"not a zip", []byte("brands.jsonl"), ErrDamaged},
	} {
		if err := check(t, test.content, testSecret); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.why, err, test.want)
		}
	}
}

// A backup may lie where others write. Rows that change behind Verify are refused when they are read again, also in an archive that has
// no sums of its own: they are not signed.
func TestRowsThatChangeAfterVerifyAreRefused(t *testing.T) {
	write := func(brand string) []byte {
		line := `{"brand_id":1,"brand":"` + brand + `","version":3}` + "\n"
		table := fmt.Sprintf(`{"name":"brands","rows":1,"bytes":%d,"sha256":"%x","columns":["brand"]}`, len(line), sha256.Sum256([]byte(line)))
		return archiveWithoutSums(t, "brands.jsonl", line, manifestName, `{"format":1,"tables":[`+table+`]}`)
	}
	file := &changing{write("acme")}
	var f File
	if err := errors.Join(f.read(file, int64(len(file.content))), f.Verify()); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		brands, _ := f.table("brands")
		return f.each(brands, reflect.TypeFor[struct{ Brand string }](), func(reflect.Value) error { return nil })
	}
	if err := read(); err != nil {
		t.Errorf("rows as they were verified: %v", err)
	}
	file.content = write("evil")
	if err := read(); !errors.Is(err, ErrDamaged) {
		t.Errorf("other rows than were verified: %v, want ErrDamaged", err)
	}
}

// archiveWithoutSums is archive, with a checksum of 0, which means none.
func archiveWithoutSums(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		size := uint64(len(files[i+1]))
		entry, err := w.CreateRaw(&zip.FileHeader{Name: files[i], CompressedSize64: size, UncompressedSize64: size})
		if err == nil {
			_, err = io.WriteString(entry, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// changing is a file that others write to.
type changing struct{ content []byte }

func (c *changing) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(c.content).ReadAt(b, at)
}

// One row that unpacks to more than memory holds is not read to its end, though its sum is right.
func TestEndlessRow(t *testing.T) {
	row := `{"kind":"` + strings.Repeat("a", maxRow) + `"}`
	table := fmt.Sprintf(`{"name":"keys","rows":1,"bytes":%d,"sha256":"%x"}`, len(row), sha256.Sum256([]byte(row)))
	content := archive(t, "keys.jsonl", row, manifestName, `{"format":1,"tables":[`+table+`]}`)
	if err := check(t, content, testSecret); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a row of %d bytes: %v", len(row), err)
	}
}

// Whatever stands in a file, it is refused as no backup or as one that the cluster has not written.
func FuzzFile(f *testing.F) {
	f.Add(archive(f, "brands.jsonl", brandsLine, manifestName, `{"format":1,"tables":[`+brandsTable+`]}`))
	f.Add(archive(f, manifestName, `{"format":1,"tables":[{"name":"keys","rows":1}]}`, "keys.jsonl", `{"sealed":"AAAA"}`))
	f.Add(archive(f, manifestName, `{"format":7}`))
	f.Add(archive(f, manifestName, `{"format":1}`, signatureName, "00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		err := check(t, content, testSecret)
		for _, known := range [...]error{ErrDamaged, ErrNewer, ErrSecret, ErrUnsigned, ErrAltered} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Errorf("a file that nobody has signed: %v", err) // no input has a right signature
	})
}

// Bytes that are not text would come back as others: they are refused before a file is written.
func TestTextMustBeUTF8(t *testing.T) {
	type row struct {
		Name string `ch:"name"`
	}
	if err := checkText(reflect.ValueOf(row{"größe"})); err != nil {
		t.Error(err)
	}
	if err := checkText(reflect.ValueOf(row{"gr\xf6\xdfe"})); err == nil || !strings.Contains(err.Error(), "column name") {
		t.Errorf("bytes that are not UTF-8: %v", err)
	}
}
