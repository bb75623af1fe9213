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
			if fs.startWriting() {
				time.Sleep(fs.config.SyncEvery / 40) // 5 ms, in which a disk writes some megabytes
			}
			fs.syncDirty()
		}
	}
}

// startWriting has the system begin to write what moved since the last sync, and reports whether anything did. The sync that follows
// then waits for little: while it waits, it keeps one of the processors of the Go runtime, which on a node of one core is the redirects'.
func (fs *files) startWriting() bool {
	var moved []dirtyFile
	fs.mu.Lock()
	for f := range fs.moving {
		if tail, reserved := f.reserved(); tail != nil && reserved != f.seen {
			moved = append(moved, dirtyFile{f, tail, reserved})
		}
	}
	fs.mu.Unlock()
	for _, d := range moved {
		d.startWriting(d.reserved)
	}
	return len(moved) > 0
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
	for f := range fs.moving {
		tail, reserved, ok := f.dirty()
		switch {
		case ok:
			dirty = append(dirty, dirtyFile{f, tail, reserved})
		case tail != nil && tail.Load()&(tailOne-1) > reserved: // full: an hour without ClickHouse leaves thousands
			delete(fs.moving, f)
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
