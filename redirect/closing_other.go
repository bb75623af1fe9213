//go:build !linux

package redirect

import (
	"errors"
	"syscall"
)

func ignoreNewcomers(syscall.RawConn) error { return errors.ErrUnsupported }

func unaccepted(syscall.RawConn) (uint32, error) { return 0, errors.ErrUnsupported }
