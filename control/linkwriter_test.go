package control_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"carom/control"
)

// exported is a line of the export as a reader of Parquet declares it.
type exported struct {
	Link       string     `parquet:"link"`
	ShortURL   string     `parquet:"short_url"`
	Brand      string     `parquet:"brand"`
	Campaign   string     `parquet:"campaign"`
	Influencer string     `parquet:"influencer"`
	Domain     string     `parquet:"domain"`
	Code       string     `parquet:"code"`
	Slug       string     `parquet:"slug"`
	Enabled    bool       `parquet:"enabled"`
	Expires    *time.Time `parquet:"expires,optional,timestamp(millisecond)"`
	State      string     `parquet:"state"`
}

func TestExportAsParquet(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	var file bytes.Buffer
	c := connect(t, w.serve(), w.token(control.Analyst))
	if err := c.Export(t.Context(), control.LinkFilter{}, "parquet", &file); err != nil {
		t.Fatal(err)
	}
	got, err := parquet.Read[exported](bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var want []exported
	err = w.EachLink(t.Context(), control.LocalScope(), control.LinkFilter{}, func(l control.Link) error {
		want = append(want, exported(l))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 4 {
		t.Errorf("%d lines (-links +read):\n%s", len(got), diff)
	}

	// ClickHouse has a reader of its own.
	read := one[string](w, fmt.Sprintf(`SELECT concat(any(toTypeName(enabled)), ', ', any(toTypeName(expires)), ', ', toString(max(expires)), ', ',
		toString(count())) FROM format(Parquet, unhex('%x')) WHERE brand = 'acme' AND state = 'live'`, file.Bytes()))
	if want := "Bool, Nullable(DateTime64(3, 'UTC')), 2030-01-01 00:00:00.000, 2"; read != want {
		t.Errorf("ClickHouse reads %q, want %q", read, want)
	}
}
