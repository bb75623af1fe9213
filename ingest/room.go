package ingest

import (
	"log/slog"

	"golang.org/x/sys/unix"
)

// warnOfRoom tells at the start where the disk will be full before the budget of the spool is used up. held are bytes of the budget that
// are on the disk already.
func warnOfRoom(dir string, budget int, held uint64, log *slog.Logger) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return // the spool is open: that it cannot be measured harms nobody
	}
	if free := disk.Bavail * uint64(disk.Bsize); free+held < uint64(budget) {
		log.Warn("the disk has less room than the spool's budget: it is full first, and alerts that compare the two come too late",
			"directory", dir, "budget", budget, "used", held, "free", free, "advice", "make room, or lower --spool-budget")
	}
}
