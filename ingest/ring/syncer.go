package ring

import (
	"fmt"
	"sync/atomic"
	"time"
)

// syncAll is the syncer. Twice in an interval, so that a sync that begins late and takes its time ends within it.
func (fs *files) syncAll() {
	tick := time.NewTicker(max(fs.config.SyncEvery/2, 1))
	defer tick.Stop()
	for {
		select {
		case <-fs.stop:
			return
		case <-tick.C:
			fs.syncDirty()
		}
	}
}

// A dirtyFile is one to be synced.
type dirtyFile struct {
	*file
	tail     *atomic.Uint64 // of the segment that used it when it was found so
	reserved uint64         // bytes
}

// syncDirty writes what moved lately to the disk. A page that the disk refuses stays dirty and is tried again.
func (fs *files) syncDirty() {
	fs.mu.Lock()
	var dirty []dirtyFile
	for f := range fs.inUse {
		if tail, reserved, ok := f.dirty(); ok {
			dirty = append(dirty, dirtyFile{f, tail, reserved})
		}
	}
	fs.mu.Unlock()
	for _, d := range dirty {
		if err := d.sync(d.tail, d.reserved); err != nil {
			fs.mu.Lock()
			fs.failure = fmt.Errorf("sync a segment: %w", err)
			fs.mu.Unlock()
		}
	}
	fs.syncCounters()
}
