package faults

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
)

// Contents is everything of a directory that an onlooker could have changed.
func Contents(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprint(path, info.Size(), info.ModTime(), info.Mode()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
