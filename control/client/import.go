package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"carom/control"
	"carom/control/sheet"
)

// Import sends a part of a CSV file: the header line, then the lines from firstLine on.
func (c *Client) Import(ctx context.Context, kind string, firstLine int, part []byte) (control.Result, error) {
	query := url.Values{"first_line": {strconv.Itoa(firstLine)}}
	var result control.Result
	err := c.call(ctx, http.MethodPost, "/import/"+url.PathEscape(kind), query, "text/csv", part, &result)
	return result, err
}

// A Progress says how far an import has come.
type Progress struct {
	Lines    int            // dealt with
	Bytes    int64          // of the file
	Rejected []sheet.Reject // since the last progress, in the order of their lines
}

// ImportFile sends a whole CSV file in parts. Its header is checked first: where it is wrong nothing is sent and the error is
// ErrHeader. After another error the Result counts what was imported before it; sending the file again does the rest. An error
// of progress ends the import, too. Only progress is told of every reject: a Result lists the first.
func (c *Client) ImportFile(ctx context.Context, kind string, file io.Reader, progress func(Progress) error) (control.Result, error) {
	var result control.Result
	layout, err := control.Layout(kind)
	if err != nil {
		return result, err
	}
	in, err := sheet.NewCutter(file, layout, control.ChunkRows)
	if err != nil {
		return result, err
	}
	var done Progress
	for {
		part, err := in.Next()
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
		var answer control.Result
		if part.Records > 0 {
			if answer, err = c.Import(ctx, kind, part.FirstLine, part.CSV); err != nil {
				return result, fmt.Errorf("import %s from line %d on: %w", kind, part.FirstLine, err)
			}
			in.Accept(part, answer.Rejected)
		}
		answer.Reject(part.Repeats...)
		slices.SortStableFunc(answer.Rejected, sheet.ByLine)
		result.Add(answer)
		done.Lines += part.Records + len(part.Repeats)
		done.Bytes, done.Rejected = in.Offset(), answer.Rejected
		if err := progress(done); err != nil {
			return result, err
		}
	}
}
