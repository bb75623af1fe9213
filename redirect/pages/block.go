package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"carom/ingest/huge"
)

// Blocks are all pages of a View one behind the other, in pieces of a few MiB: what Load takes back. A block is valid until the
// next one is asked for.
func (v *View) Blocks() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var block []byte
		for _, r := range v.refs {
			if r == 0 {
				continue
			}
			page := v.memory[r.chunk()][r.offset()-pageHeader:]
			page = page[:binary.LittleEndian.Uint32(page[4:])]
			if len(block) > 0 && len(block)+len(page) > maxChunk {
				if !yield(block) {
					return
				}
				block = block[:0]
			}
			block = append(block, page...)
		}
		if len(block) > 0 {
			yield(block)
		}
	}
}

// ErrBlock is wrapped when Load is given what Blocks cannot have made.
var ErrBlock = errors.New("not a block of pages")

// MaxBlock is above the length in bytes of every block.
const MaxBlock = maxChunk + pageHeader + perPage*(spilled+maxLength+MaxItem)

// Load adds the pages of a block of size bytes, which read fills in. The blocks of a View come in their order, before anything
// is set. each looks at every item; its error ends the load. After an error the writer must not be used.
func (w *Writer) Load(size int, read func(block []byte) error, each func(number uint32, item []byte) error) error {
	block := huge.Bytes(size)
	id := w.add(block)
	if err := read(block); err != nil {
		return err
	}
	for at := 0; at < size; {
		n, err := w.loadPage(id, at, each)
		if err != nil {
			return err
		}
		at += n
	}
	w.fill[id], w.live[id] = size, size
	w.total += size
	w.inUse += size
	w.open = id
	return nil
}

// loadPage adds the page at an offset of a chunk and returns its size.
func (w *Writer) loadPage(id, at int, each func(number uint32, item []byte) error) (size int, err error) {
	bad := func(why string) (int, error) { return 0, fmt.Errorf("%w: %s at byte %d", ErrBlock, why, at) }
	b := w.view.memory[id][at:]
	if len(b) < pageHeader {
		return bad("part of a page")
	}
	le := binary.LittleEndian
	page, length, stride := le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
	if length < pageHeader || uint64(length) > uint64(len(b)) || !possible(b[pageHeader:length], stride) {
		return bad("impossible sizes of a page")
	}
	if uint64(page) < uint64(len(w.view.refs)) || page >= 1<<32/perPage {
		return bad("a page out of order")
	}
	slots := b[pageHeader:length]
	held := false
	for i := range perPage {
		item, ok := checkItem(slots, i, int(stride))
		if !ok {
			return bad("an item that leads out of its page")
		}
		if len(item) > 0 {
			held = true
			if err := each(page*perPage+uint32(i), item); err != nil {
				return 0, err
			}
		}
	}
	if !held {
		return bad("an empty page")
	}
	for uint64(page) > uint64(len(w.view.refs)) {
		w.view.refs = append(w.view.refs, 0)
	}
	w.view.refs = append(w.view.refs, newRef(id, int(stride), at+pageHeader))
	return int(length), nil
}

// possible reports whether a page may have such a stride and, behind its header, these bytes.
func possible(slots []byte, stride uint32) bool {
	if stride == 0 {
		return len(slots) >= offsetsEnd
	}
	return stride >= 2 && stride < spilled && len(slots) >= perPage*int(stride)
}

// checkItem returns item i of a page; false where it does not lie in it.
func checkItem(slots []byte, i, stride int) (item []byte, ok bool) {
	if stride == 0 {
		from, to := binary.LittleEndian.Uint16(slots[i*offsetBytes:]), binary.LittleEndian.Uint16(slots[(i+1)*offsetBytes:])
		if from < offsetsEnd || from > to || int(to) > len(slots) {
			return nil, false
		}
		return slots[from:to], true
	}
	slot := slots[i*stride : (i+1)*stride]
	n := int(slot[0])
	if n != spilled {
		return slot[1:min(1+n, stride)], n < stride
	}
	if stride < minSpillStride {
		return nil, false
	}
	from := uint64(spilledAt(slot))
	if from < uint64(perPage*stride) || from > uint64(len(slots)) {
		return nil, false
	}
	length, read := binary.Uvarint(slots[from:])
	if read <= 0 || length == 0 || length > uint64(len(slots))-from-uint64(read) {
		return nil, false
	}
	return slots[from+uint64(read):][:length], true
}
