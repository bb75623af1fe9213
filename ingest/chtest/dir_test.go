package chtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOnlyWhatIsLeftIsRemoved: what a killed process has left goes, what a process has or is about to have stays.
func TestOnlyWhatIsLeftIsRemoved(t *testing.T) {
	place := t.TempDir()
	old := time.Now().Add(-2 * youth)
	for _, c := range []struct {
		name         string
		locked, old  bool
		stays, other bool
	}{
		{name: "left", old: true},
		{name: "used", old: true, locked: true, stays: true},
		{name: "young", stays: true},
		{name: "other", old: true, other: true, stays: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(place, strings.Replace(dirs, "*", c.name, 1))
			if c.other {
				path = filepath.Join(place, c.name)
			}
			if err := os.MkdirAll(filepath.Join(path, "store"), 0o700); err != nil {
				t.Fatal(err)
			}
			if c.locked {
				dir, err := lock(path)
				if err != nil {
					t.Fatal(err)
				}
				defer dir.Close()
			}
			if c.old {
				if err := os.Chtimes(path, old, old); err != nil {
					t.Fatal(err)
				}
			}
			removeLeft(place)
			if _, err := os.Stat(path); (err == nil) != c.stays {
				t.Errorf("stays: %v, want %v", err == nil, c.stays)
			}
		})
	}
}
