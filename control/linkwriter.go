package control

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// A linkWriter writes links in one format.
type linkWriter struct {
	contentType string
	begin, end  func() error
	write       func(Link) error
}

func newLinkWriter(format string, w io.Writer) linkWriter {
	switch format {
	case "jsonl":
		return newLinkLines(w)
	case "parquet":
		return newLinkParquet(w)
	}
	return newLinkTable(w)
}

// jsonLines is the media type of one JSON object a line.
const jsonLines = "application/jsonl"

func nothing() error { return nil }

func newLinkLines(w io.Writer) linkWriter {
	lines := json.NewEncoder(w)
	return linkWriter{jsonLines, nothing, nothing, func(l Link) error { return lines.Encode(l) }}
}

func newLinkTable(w io.Writer) linkWriter {
	table := csv.NewWriter(w)
	return linkWriter{
		contentType: "text/csv; charset=utf-8",
		begin: func() error {
			return table.Write([]string{
				"link", "short_url", "brand", "campaign", "influencer", "domain", "code", "slug", "enabled", "expires", "state",
			})
		},
		write: func(l Link) error { return table.Write(l.cells()) },
		end: func() error {
			table.Flush()
			return table.Error()
		},
	}
}

// cells are the columns of an export. All of them are made of characters that no spreadsheet takes for a formula.
func (l *Link) cells() []string {
	expires := ""
	if l.Expires != nil {
		expires = l.Expires.UTC().Format(time.RFC3339)
	}
	return []string{
		l.Link, l.ShortURL, l.Brand, l.Campaign, l.Influencer, l.Domain, l.Code, l.Slug, strconv.FormatBool(l.Enabled), expires, l.State,
	}
}

const (
	// parquetGroup is how many links are held until a row group is written: some 10 MB, and small enough for readers.
	parquetGroup = 50_000
	// parquetBatch is how many links are handed to the writer at a time.
	parquetBatch = 1_000
)

// A parquetLink is a Link as its Parquet columns. Words that many links share are kept once a row group.
type parquetLink struct {
	Link       string     `parquet:"link"`
	ShortURL   string     `parquet:"short_url"`
	Brand      string     `parquet:"brand,dict"`
	Campaign   string     `parquet:"campaign,dict"`
	Influencer string     `parquet:"influencer,dict"`
	Domain     string     `parquet:"domain,dict"`
	Code       string     `parquet:"code"`
	Slug       string     `parquet:"slug"`
	Enabled    bool       `parquet:"enabled"`
	Expires    *time.Time `parquet:"expires,optional,timestamp(millisecond)"`
	State      string     `parquet:"state,dict"`
}

func newLinkParquet(w io.Writer) linkWriter {
	file := parquet.NewGenericWriter[parquetLink](w, parquet.MaxRowsPerRowGroup(parquetGroup), parquet.Compression(&parquet.Snappy))
	batch := make([]parquetLink, 0, parquetBatch)
	flush := func() error {
		_, err := file.Write(batch)
		batch = batch[:0]
		return err
	}
	return linkWriter{
		contentType: "application/vnd.apache.parquet",
		begin:       nothing,
		write: func(l Link) error {
			batch = append(batch, parquetLink(l))
			if len(batch) < cap(batch) {
				return nil
			}
			return flush()
		},
		end: func() error {
			if err := flush(); err != nil {
				return err
			}
			return file.Close()
		},
	}
}
