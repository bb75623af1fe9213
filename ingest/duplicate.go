package ingest

import "time"

// duplicates remembers which visitor clicked which link lately. It is the node's own view, in the order of flushing;
// another node's clicks are counted as unique visitors by ClickHouse, not as duplicates here.
type duplicates struct {
	window  int64 // milliseconds: a repeat within it is a duplicate
	limit   int   // entries of one generation; a fuller one ends early, which shortens the window, never memory
	began   int64 // Unix milliseconds of the current generation
	current map[uint64]int64
	before  map[uint64]int64
}

// duplicateLimit bounds a generation to about 10 MB.
const duplicateLimit = 250_000

func newDuplicates(window time.Duration) *duplicates {
	return &duplicates{
		window: window.Milliseconds(), limit: duplicateLimit,
		current: map[uint64]int64{}, before: map[uint64]int64{},
	}
}

// repeat reports whether the visitor clicked the link within the window before now, and remembers this click. It is
// asked of valid clicks alone: what a browser fetches ahead must not make a repeat of the tap that follows.
func (d *duplicates) repeat(visitor uint64, link uint32, now int64) bool {
	if now-d.began > d.window || len(d.current) >= d.limit {
		d.current, d.before = d.before, d.current
		clear(d.current)
		d.began = now
	}
	key := visitor ^ uint64(link)*0x9e3779b97f4a7c15
	last, known := d.current[key]
	if !known {
		last, known = d.before[key]
	}
	d.current[key] = now
	return known && now-last <= d.window
}
