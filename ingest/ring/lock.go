package ring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LockFile is the file of a directory that Lock locks.
const LockFile = "lock"

// lockPatience is the longest pause between two attempts to take a lock.
const lockPatience = 64 * time.Millisecond

// ErrInUse is a directory that another process works in.
var ErrInUse = errors.New("directory is in use by another process")

// ErrMoved is a directory that is not any more where it was locked.
var ErrMoved = errors.New("directory was moved or removed while it was in use")

// Held fails with ErrMoved unless dir is still the directory that lock was taken in: nothing may be written there by its path then, as
// another process may have it.
func Held(lock *os.File, dir string) error {
	own, err := lock.Stat()
	if err != nil {
		return fmt.Errorf("look at the lock of %s: %w", dir, err)
	}
	there, err := os.Stat(filepath.Join(dir, LockFile))
	if err == nil && os.SameFile(own, there) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look whether %s is still held: %w", dir, err)
	}
	if own.Sys().(*syscall.Stat_t).Nlink == 0 {
		return fmt.Errorf("%w: %s is gone, and what it held", ErrMoved, dir)
	}
	return fmt.Errorf("%w: %s is not there any more, or another one is; move it back, or end this process and deliver it from where it is now", ErrMoved, dir)
}

// Lock takes a directory for this process, making it when missing, until the returned file is closed or the
// process ends. It fails with ErrInUse.
func Lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for wait := time.Millisecond; errors.Is(err, unix.EWOULDBLOCK) && wait < lockPatience; wait *= 2 {
		time.Sleep(wait) // perhaps somebody only looks, see InUse
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s; end that process or choose another directory", ErrInUse, dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}
