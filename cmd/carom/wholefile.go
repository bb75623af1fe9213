package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"carom/ingest/ring"
)

// writeWhole gives write a file, with the permissions of mode, that takes its name only when write has succeeded.
func writeWhole(path string, mode fs.FileMode, write func(io.Writer) error) error {
	file, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync() // the name must not outlive a power loss without its bytes
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		os.Remove(file.Name())
		return err
	}
	return os.Rename(file.Name(), path)
}

// writeOwn writes a file that only its owner can read, all of it or nothing, and returns when a power loss cannot undo it: without the
// cluster secret no key could be opened any more.
func writeOwn(path, text string) error {
	err := writeWhole(path, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		return err
	}
	return ring.SyncDir(filepath.Dir(path))
}
