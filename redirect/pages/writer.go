package pages

import (
	"encoding/binary"
	"iter"
	"maps"
	"math/bits"
	"runtime"
	"slices"
	"sync/atomic"

	"carom/ingest/huge"
)

// A Writer holds items and changes them. It belongs to one goroutine. The zero Writer is empty and ready for use.
//
// Changes are collected and then merged into copies of their pages, in the order of their numbers. Pages are written one
// behind the other into chunks of memory, like a log; what is left behind is reclaimed chunk by chunk, so that memory never
// holds a second copy of everything.
type Writer struct {
	view   View
	lent   bool  // the view's slices belong to a frozen View too: to be cloned before a change
	fill   []int // by chunk: bytes written
	live   []int // by chunk: bytes of pages that are in use
	open   int   // chunk that is written to, if there is any
	total  int   // sum of fill
	inUse  int   // sum of live
	edits  map[uint32]span
	log    []byte        // new items of edits
	zombie *atomic.Int64 // bytes that were released and that the collector has not yet found unreachable; cleanups write
}

// span is a piece of Writer.log.
type span struct{ from, to uint32 }

const (
	maxChunk = 4 << 20 // two huge pages: what is copied at once to reclaim memory
	minChunk = 64 << 10
	maxLog   = 8 << 20 // bytes of changes that are collected before they are merged

	maxZombie = 16 << 20 // bytes that may wait for the collector whatever the size of the table
)

// At returns the item of a number, empty where there is none. It is valid until the next call of Set or Freeze.
func (w *Writer) At(number uint32) []byte {
	if s, edited := w.edits[number]; edited {
		return w.log[s.from:s.to]
	}
	return w.view.At(number)
}

// Set gives a number an item of at most MaxItem bytes, which is copied; an empty one takes the number's item away.
func (w *Writer) Set(number uint32, item []byte) {
	if len(w.log) > maxLog {
		w.merge()
	}
	if w.edits == nil {
		w.edits = map[uint32]span{}
	}
	from := len(w.log)
	w.log = append(w.log, item...)
	w.edits[number] = span{uint32(from), uint32(len(w.log))}
}

// All yields all items by number, from the highest number to the lowest. Nothing may be set meanwhile.
func (w *Writer) All() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		w.merge()
		for p := len(w.view.refs) - 1; p >= 0; p-- {
			if w.view.refs[p] == 0 {
				continue
			}
			for i := perPage - 1; i >= 0; i-- {
				number := uint32(p*perPage + i)
				if item := w.view.At(number); len(item) > 0 && !yield(number, item) {
					return
				}
			}
		}
	}
}

// Bytes is how much memory the items take, changes that are not merged yet left out.
func (w *Writer) Bytes() int { return w.total }

// Freeze returns what the writer holds.
func (w *Writer) Freeze() View {
	w.merge()
	w.log, w.edits = nil, nil // large after the first load, small after any other
	w.reclaim()
	// The collector knows nothing of this memory, so nothing makes it run when much of it waits to be given back.
	if w.zombie != nil && int(w.zombie.Load()) > w.inUse/4+maxZombie {
		runtime.GC()
	}
	w.lent = true
	return w.view
}

// merge writes anew the pages that have changes.
func (w *Writer) merge() {
	if len(w.edits) == 0 {
		return
	}
	w.own()
	numbers := slices.Sorted(maps.Keys(w.edits))
	for len(numbers) > 0 {
		page := numbers[0] / perPage
		var it items
		for i := range it {
			it[i] = w.view.At(page*perPage + uint32(i))
		}
		for len(numbers) > 0 && numbers[0]/perPage == page {
			s := w.edits[numbers[0]]
			it[numbers[0]%perPage] = w.log[s.from:s.to]
			numbers = numbers[1:]
		}
		w.put(page, &it)
	}
	clear(w.edits)
	w.log = w.log[:0]
}

// own makes the view's slices the writer's again.
func (w *Writer) own() {
	if w.lent {
		w.view = View{slices.Clone(w.view.refs), slices.Clone(w.view.memory), slices.Clone(w.view.chunks)}
		w.lent = false
	}
}

// put replaces a page.
func (w *Writer) put(page uint32, it *items) {
	for uint64(page) >= uint64(len(w.view.refs)) {
		w.view.refs = append(w.view.refs, 0)
	}
	next := ref(0)
	if stride, size := it.layout(); size > 0 {
		id, at := w.room(size)
		it.write(w.view.memory[id][at:at+size], page, stride)
		next = newRef(id, stride, at+pageHeader)
	}
	old := w.view.refs[page]
	w.view.refs[page] = next
	if old != 0 {
		w.abandon(old)
	}
}

// room finds size zeroed bytes: where they are in which chunk.
func (w *Writer) room(size int) (id, at int) {
	if len(w.view.memory) == 0 || w.view.memory[w.open] == nil || w.fill[w.open]+size > len(w.view.memory[w.open]) {
		w.open = w.add(huge.Bytes(max(size, w.chunkBytes())))
	}
	at = w.fill[w.open]
	w.fill[w.open] += size
	w.live[w.open] += size
	w.total += size
	w.inUse += size
	return w.open, at
}

// chunkBytes is how large the next chunk is: an eighth of what is in use, so that little lies idle, in sizes that huge pages fill.
func (w *Writer) chunkBytes() int {
	return 1 << bits.Len(uint(min(max(w.inUse/8, minChunk), maxChunk)-1))
}

// add takes memory of package huge over as a chunk.
func (w *Writer) add(memory []byte) (id int) {
	if w.zombie == nil {
		w.zombie = new(atomic.Int64) // on its own: a cleanup that referred to the writer would keep the chunk
	}
	id = slices.IndexFunc(w.view.memory, func(b []byte) bool { return b == nil })
	if id < 0 {
		id = len(w.view.memory)
		w.view.memory, w.view.chunks = append(w.view.memory, nil), append(w.view.chunks, nil)
		w.fill, w.live = append(w.fill, 0), append(w.live, 0)
	}
	w.view.memory[id], w.view.chunks[id] = memory, newChunk(memory, w.zombie)
	w.fill[id], w.live[id] = 0, 0
	return id
}

// abandon notes that a page is not in use any more, and releases its chunk with the last one.
func (w *Writer) abandon(r ref) {
	id := r.chunk()
	size := int(binary.LittleEndian.Uint32(w.view.memory[id][r.offset()-pageHeader+4:]))
	w.live[id] -= size
	w.inUse -= size
	if w.live[id] == 0 && id != w.open {
		w.release(id)
	}
}

func (w *Writer) release(id int) {
	w.zombie.Add(int64(len(w.view.memory[id])))
	w.total -= w.fill[id]
	w.view.memory[id], w.view.chunks[id] = nil, nil
	w.fill[id], w.live[id] = 0, 0
}

// reclaim moves pages out of the chunks with the fewest in use while more than a fifth of the memory holds none.
func (w *Writer) reclaim() {
	for w.total > w.inUse+w.inUse/4+minChunk {
		victim, least := -1, 1.0
		for id, b := range w.view.memory {
			if b == nil || id == w.open {
				continue
			}
			if share := float64(w.live[id]) / float64(w.fill[id]); share < least {
				victim, least = id, share
			}
		}
		if victim < 0 {
			return
		}
		w.own()
		w.evacuate(victim)
	}
}

// evacuate copies what is in use of a chunk elsewhere; with its last page the chunk is released.
func (w *Writer) evacuate(id int) {
	memory, owner := w.view.memory[id], w.view.chunks[id]
	defer runtime.KeepAlive(owner)
	for at, end := 0, w.fill[id]; at < end; {
		page := binary.LittleEndian.Uint32(memory[at:])
		size := int(binary.LittleEndian.Uint32(memory[at+4:]))
		r := w.view.refs[page]
		if r != 0 && r == newRef(id, r.stride(), at+pageHeader) {
			newID, newAt := w.room(size)
			copy(w.view.memory[newID][newAt:newAt+size], memory[at:at+size])
			w.view.refs[page] = newRef(newID, r.stride(), newAt+pageHeader)
			w.abandon(r)
		}
		at += size
	}
}
