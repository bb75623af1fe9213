package ingest

import (
	"math"
	"runtime"
	"time"
	"unsafe"

	"carom/ingest/huge"
)

// duplicates remembers which visitor clicked which link lately. It is the node's own view, in the order of flushing;
// another node's clicks are counted as unique visitors by ClickHouse, not as duplicates here.
type duplicates struct {
	window int64 // seconds: a repeat within it is a duplicate
	sets   []sightings
}

// sightings share some bits of their hash. They fill a cache line, so that a look takes one.
type sightings [8]sighting

// A sighting is a visitor on a link.
type sighting struct {
	who  uint32 // other bits of the hash: in a set that is full, one new visitor in 500 million is taken for another
	when uint32 // Unix seconds of the last click; 0 = never
}

// sightingSetBits makes room for a million sightings in 8 MiB. Of a quarter million within the window 0.1 % find more than
// seven others in their set and the oldest is forgotten; of half a million 4 %.
const sightingSetBits = 17

func newDuplicates(window time.Duration) *duplicates {
	memory := huge.Bytes(int(unsafe.Sizeof(sightings{})) << sightingSetBits)
	d := &duplicates{
		window: int64(window / time.Second),
		sets:   unsafe.Slice((*sightings)(unsafe.Pointer(unsafe.SliceData(memory))), 1<<sightingSetBits),
	}
	runtime.AddCleanup(d, huge.Free, memory)
	return d
}

// repeat reports whether the visitor clicked the link within the window before now, Unix milliseconds, and remembers
// this click. It is asked of valid clicks alone: what a browser fetches ahead must not make a repeat of the tap that follows.
func (d *duplicates) repeat(visitor uint64, link uint32, now int64) bool {
	hash := visitor ^ uint64(link)*0x9e3779b97f4a7c15 // a visitor is a keyed hash: nobody can aim at a set
	set := &d.sets[hash>>(64-sightingSetBits)]
	who, seconds := uint32(hash), now/1000
	oldest := uint64(math.MaxUint64) // when, and in the lowest bits where
	for i, s := range set {
		if s.who == who {
			set[i].when = uint32(seconds)
			return seconds-int64(s.when) <= d.window
		}
		oldest = min(oldest, uint64(s.when)*uint64(len(set))+uint64(i))
	}
	set[oldest%uint64(len(set))] = sighting{who, uint32(seconds)}
	return false
}
