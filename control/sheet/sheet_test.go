package sheet

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
)

// A read is what one line of a file came to.
type read struct {
	line  int
	cells string
	bad   bool
}

// readAll reads a file as the importer does; ok is false where its header is refused.
func readAll(t *testing.T, file string, l Layout, firstLine int) (reads []read, ok bool) {
	t.Helper()
	in, err := Read(strings.NewReader(file), l, firstLine)
	if err != nil {
		return nil, false
	}
	for {
		rec, bad, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return reads, true
		case err != nil:
			t.Fatal(err)
		case bad != nil:
			reads = append(reads, read{bad.Line, "", true})
		default:
			reads = append(reads, read{rec.Line, fmt.Sprintf("%q", rec.cells), false})
		}
	}
}

// brands is the layout of the files that the tests read.
var brands = Layout{
	Kind: "brands", Columns: []string{"brand", "name", "currency", "timezone", "unsigned_pixel"},
	Required: []string{"brand", "name", "currency"}, Identity: []string{"brand"},
}

// csvSeeds are files with what spreadsheets and people do to CSV.
var csvSeeds = []string{
	"brand,name,currency\nacme,Acme,EUR\n",
	"\ufeff\"brand\",name,currency\r\nacme,\"A, \"\"B\"\"\",EUR\r\n\r\n\r\nb,\"two\r\nlines\",EUR",
	"brand,name,currency\nacme,Acme\na,b,c,d\nx,y\"z,EUR\nacme,again,EUR\n",
	"brand,name,currency\nacme,\"never closed,EUR\nb,B,EUR\n",
	"\n\nbrand,name,currency\n\nacme,Acme,EUR\n\nacme,Acme,EUR\n,,\n",
	"brand,name,currency\n\"a\"\"\",\"\",\"\"\n\xff\xfe,\x00,\t\n",
	"brand;name;currency\nacme;Acme;EUR\n",
	"",
}

// FuzzRecords feeds any bytes to the reader of import files: it ends, and each record has a line of its own, in order.
func FuzzRecords(f *testing.F) {
	for _, seed := range csvSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		reads, _ := readAll(t, file, brands, 2)
		last := 1
		for _, r := range reads {
			if r.line <= last {
				t.Errorf("line %d after line %d", r.line, last)
			}
			last = r.line
		}
	})
}

// FuzzCutter compares the parts that a client sends with the file as a whole: the same records, at the same lines, but for
// those that repeat a key.
func FuzzCutter(f *testing.F) {
	for _, seed := range csvSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		in, err := NewCutter(strings.NewReader(file), brands, 3)
		whole, ok := readAll(t, file, brands, 2)
		if err != nil || !ok {
			if (err == nil) != ok {
				t.Fatalf("the cutter says %v, the reader accepts: %v", err, ok)
			}
			return
		}
		var parts []read
		repeated := map[int]bool{}
		for {
			part, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got, ok := readAll(t, string(part.CSV), brands, part.FirstLine)
			if !ok {
				t.Fatalf("part %q has no header", part.CSV)
			}
			parts = append(parts, got...)
			in.Accept(part, nil)
			for _, r := range part.Repeats {
				repeated[r.Line] = true
			}
		}
		var want []read
		for _, r := range whole {
			if !repeated[r.line] {
				want = append(want, r)
			}
		}
		if fmt.Sprint(want) != fmt.Sprint(parts) {
			t.Errorf("parts  %v\nwhole  %v\nwithout repeats %v", parts, want, repeated)
		}
	})
}

func TestNearestColumn(t *testing.T) {
	for name, want := range map[string]string{
		"brnad": "brand", "Name": "name", "curency": "currency", "time_zone": "timezone", "unsignd_pixl": "unsigned_pixel",
	} {
		if got := Nearest(name, brands.Columns); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestLongColumnIsRefusedShort(t *testing.T) {
	for _, size := range []int{65, 1 << 20} {
		_, err := brands.readHeader([]string{"brand", strings.Repeat("x", size)}, nil)
		quoted := `"` + strings.Repeat("x", 64) + `…" of ` + strconv.Itoa(size) + " bytes"
		if !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), quoted) || len(err.Error()) > 1000 {
			t.Errorf("a name of %d bytes: error %.1000v", size, err)
		}
	}
}
