package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"carom/control"
	"carom/control/linkcheck"
	"carom/report"
)

// A linkFinding is what a check says of one link.
type linkFinding struct {
	Brand       string            `json:"brand"`
	Link        string            `json:"link"`
	Verdict     linkcheck.Verdict `json:"verdict"`
	Status      int               `json:"status"` // 0 for no answer
	Reason      string            `json:"reason"`
	Destination string            `json:"destination"`
}

// findings writes what a check says of links, one by one.
type findings struct {
	begin, end func() error
	write      func(control.LinkDestination, linkcheck.Finding) error
}

func newFindings(format string, w io.Writer) findings {
	switch format {
	case "json":
		return jsonFindings(w)
	case "csv":
		table := csv.NewWriter(w)
		return rowFindings([]string{"brand", "link", "verdict", "status", "reason", "destination"}, func(row []string) error {
			for i := range row {
				row[i] = report.Disarm(row[i])
			}
			return table.Write(row)
		}, func() error {
			table.Flush()
			return table.Error()
		})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	return rowFindings([]string{"BRAND", "LINK", "VERDICT", "STATUS", "REASON", "DESTINATION"}, func(row []string) error {
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row[0], row[1], row[2], row[3], row[4], row[5])
		return err
	}, table.Flush)
}

// rowFindings are rows of text under a header.
func rowFindings(header []string, row func([]string) error, end func() error) findings {
	return findings{
		begin: func() error { return row(header) },
		write: func(d control.LinkDestination, f linkcheck.Finding) error {
			status := ""
			if f.Status != 0 {
				status = strconv.Itoa(f.Status)
			}
			return row([]string{d.Brand, d.Link, string(f.Verdict), status, f.Reason, d.Destination})
		},
		end: end,
	}
}

// jsonFindings are an array of objects.
func jsonFindings(w io.Writer) findings {
	between := "[\n"
	return findings{
		begin: func() error { return nil },
		write: func(d control.LinkDestination, f linkcheck.Finding) error {
			object, err := json.Marshal(linkFinding{d.Brand, d.Link, f.Verdict, f.Status, f.Reason, d.Destination})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%s%s", between, object)
			between = ",\n"
			return err
		},
		end: func() error {
			if between == "[\n" {
				_, err := fmt.Fprint(w, "[]\n")
				return err
			}
			_, err := fmt.Fprint(w, "\n]\n")
			return err
		},
	}
}
