package redirect

import (
	"fmt"
	"syscall"
)

const (
	// minSpare is how many file descriptors are left to the rest of the process: admin, delivery, segments, geo.
	minSpare = 256
	// spareShare is the share of all descriptors, one in so many, that is left where that is more.
	spareShare = 8
	// minConns are allowed even where no descriptor can be spared: a server of none would be no server.
	minConns = 16
)

// connLimit is how many connections a process of at most nofile descriptors may hold when most are asked for.
func connLimit(most int, nofile uint64) int {
	spare := max(minSpare, nofile/spareShare)
	room := uint64(minConns)
	if nofile > spare+minConns {
		room = nofile - spare
	}
	return int(min(uint64(most), room))
}

// maxDescriptors is the process's limit of open files, RLIMIT_NOFILE.
func maxDescriptors() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	return limit.Cur, nil
}
