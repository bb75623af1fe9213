package chtest

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// memory is a file system in memory that every Linux has. Tests make and drop thousands of small files a second; there it takes a
	// third of the time that a disk takes.
	memory = "/dev/shm"
	// memoryNeeded is the room in bytes that it must have; all tests together need much less. Containers are often given 64 MB.
	memoryNeeded = 4 << 30

	// dirs are the names of the engines' directories.
	dirs = "carom-chtest-*"
	// youth is how old a directory is at least that counts as left behind: one that is younger may be about to be locked.
	youth = time.Minute
)

// makeDir makes the directory of an engine: in memory where there is room, otherwise with other temporary files. It is open, and
// locked until it is closed or the process ends.
func makeDir() (*os.File, error) {
	place := os.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(memory, &fs); err == nil && fs.Bavail*uint64(fs.Bsize) >= memoryNeeded {
		place = memory
	}
	removeLeft(place)
	path, err := os.MkdirTemp(place, dirs)
	if err != nil {
		return nil, err
	}
	return lock(path)
}

// lock opens a directory unless another process has it.
func lock(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// removeLeft removes the directories of test processes that were killed. What cannot be removed is somebody else's.
func removeLeft(place string) {
	left, _ := filepath.Glob(filepath.Join(place, dirs)) // the pattern is well formed
	for _, path := range left {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < youth {
			continue
		}
		if dir, err := lock(path); err == nil {
			_ = os.RemoveAll(path)
			dir.Close()
		}
	}
}
