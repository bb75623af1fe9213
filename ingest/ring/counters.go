package ring

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refusedFile holds the counters of refusals.
const refusedFile = "refused"

// counterLine is what one lane takes of the counter file.
const counterLine = 64

// soundCount tells a count of refusals from damage: no lane refuses more in a lifetime.
func soundCount(refusals uint64) bool { return refusals <= 1<<50 }

// mapCounters maps the file of refusal counters: one word for each possible lane, so that what a full spool refused is
// known after a kill.
func mapCounters(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("refusal counters: %w", err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, maxLanes*counterLine); err != nil {
		return nil, fmt.Errorf("preallocate %s: %w", path, err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, maxLanes*counterLine, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return b, nil
}

// resetCounters begins counters again that are damaged and returns how many were: counting on from such a number would make
// every sum with it nonsense for good.
func (fs *files) resetCounters() (damaged int) {
	for lane := range maxLanes {
		if n := fs.refusals(lane); !soundCount(n.Load()) {
			n.Store(0)
			damaged++
		}
	}
	return damaged
}

// refusals is the counter of a lane.
func (fs *files) refusals(lane int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&fs.counters[lane*counterLine]))
}

// syncCounters writes the counters to the disk where one has moved. One that the disk refuses is tried again next time.
func (fs *files) syncCounters() {
	sum := uint64(0)
	for lane := range fs.config.Lanes {
		sum += fs.refusals(lane).Load()
	}
	if sum != fs.counted && unix.Msync(fs.counters, unix.MS_SYNC) == nil {
		fs.counted = sum
	}
}
