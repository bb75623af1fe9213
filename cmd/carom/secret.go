package main

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"carom/redirect"
)

// secretFile is in the data directory of an up and seals the keys table.
const secretFile = "cluster.secret"

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

// makeSecret reads the cluster secret, or makes one that only the owner can read.
func makeSecret(path string) ([]byte, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, redirect.MinClusterSecret)
		_, _ = rand.Read(raw) // never fails, see crypto/rand
		if err := writeOwn(path, base64.RawStdEncoding.EncodeToString(raw)+"\n"); err != nil {
			return nil, fmt.Errorf("make the cluster secret: %w", err)
		}
	}
	return readSecret(path)
}
