package pages

import (
	"runtime"
	"sync/atomic"

	"carom/ingest/huge"
)

// A chunk owns memory of package huge, which is given back when nothing refers to the chunk any more.
type chunk struct {
	memory []byte
}

// newChunk takes memory over. zombie counts bytes that were released and are still there.
func newChunk(memory []byte, zombie *atomic.Int64) *chunk {
	c := &chunk{memory}
	runtime.AddCleanup(c, func(memory []byte) {
		huge.Free(memory)
		zombie.Add(-int64(len(memory)))
	}, memory)
	return c
}
