package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// readSecret reads a secret file; a line end after it does not count.
func readSecret(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the cluster secret: %w", err)
	}
	return []byte(strings.TrimRight(string(b), "\r\n")), nil
}

// findSecret reads the cluster secret of a file that was named, or else of a data directory.
func findSecret(named, data string) ([]byte, error) {
	return readSecret(cmp.Or(named, filepath.Join(data, secretFile)))
}
