package main

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"strconv"

	"carom/control/sheet"
	"carom/report"
)

// A rejectsFile says why lines of an import were refused, written as they are told of. It takes the place of what an earlier
// import of the file had to say, also where nothing is refused now.
type rejectsFile struct {
	path  string
	file  *os.File // nil until there is something to say
	table *csv.Writer
}

func (r *rejectsFile) add(rejects []sheet.Reject) error {
	if len(rejects) == 0 {
		return nil
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	for _, reject := range rejects {
		line := []string{strconv.Itoa(reject.Line), reject.Column, report.Disarm(reject.Reason), report.Disarm(reject.Value)}
		if err := r.table.Write(line); err != nil {
			return err
		}
	}
	return nil
}

func (r *rejectsFile) open() (err error) {
	if r.file, err = os.Create(r.path); err != nil {
		return err
	}
	r.table = csv.NewWriter(r.file)
	return r.table.Write([]string{"line", "column", "reason", "value"})
}

func (r *rejectsFile) close() error {
	if r.file != nil {
		r.table.Flush()
		return errors.Join(r.table.Error(), r.file.Close())
	}
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
