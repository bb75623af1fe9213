package pages

import (
	"iter"
	"math/bits"
	"slices"
)

// An Index finds numbers by a 64-bit hash of what they are known by. It is a hash table of buckets that grow one at a time
// (linear hashing, Litwin 1980): a bucket is an item of a View. A lookup reads one bucket, of 8 entries on average, so the
// hash must be keyed: then nobody can fill one bucket.
//
// An entry has 5 bytes, little endian: the number in the lower 30 bits, the upper 10 bits of its hash above it. Of 1024
// entries with another hash one looks like it; the caller compares what the number stands for.
type Index struct {
	buckets View
	n       uint32 // how many buckets
}

const (
	entryBytes    = 5
	perBucket     = 8 // entries on average
	numberBits    = 30
	fingerprintAt = 54 // the lowest bit of the fingerprint in a hash
)

// bucket is where a hash belongs among n buckets. Those above the highest power of two in n are split off the first ones.
func bucket(hash uint64, n uint32) uint32 {
	mask := uint32(1)<<bits.Len32(n) - 1
	if b := uint32(hash) & mask; b < n {
		return b
	}
	return uint32(hash) & (mask >> 1)
}

func entry(hash uint64, number uint32) uint64 {
	return hash>>fingerprintAt<<numberBits | uint64(number)
}

func appendEntry(dst []byte, e uint64) []byte {
	return append(dst, byte(e), byte(e>>8), byte(e>>16), byte(e>>24), byte(e>>32))
}

func entryAt(b []byte) uint64 {
	_ = b[4]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32
}

// Find begins a search for the numbers of a hash.
func (x *Index) Find(hash uint64) Candidates {
	if x.n == 0 {
		return Candidates{}
	}
	return Candidates{x.buckets.At(bucket(hash, x.n)), hash >> fingerprintAt}
}

// Candidates are the numbers that may have the hash that was looked for.
type Candidates struct {
	bucket      []byte
	fingerprint uint64
}

// Next returns a further number; false when there is none.
func (c *Candidates) Next() (number uint32, ok bool) {
	for len(c.bucket) >= entryBytes {
		e := entryAt(c.bucket)
		c.bucket = c.bucket[entryBytes:]
		if e>>numberBits == c.fingerprint {
			return uint32(e & (1<<numberBits - 1)), true
		}
	}
	return 0, false
}

// An IndexWriter changes an Index. It belongs to one goroutine.
type IndexWriter struct {
	buckets Writer
	n       uint32
	entries int
	hash    func(number uint32) uint64
	scratch []byte
}

// NewIndexWriter starts with an empty index. hash returns the hash that a number of the index was added under.
func NewIndexWriter(hash func(number uint32) uint64) *IndexWriter {
	return &IndexWriter{n: 1, hash: hash}
}

// Find begins a search for the numbers of a hash. It ends with the next change.
func (w *IndexWriter) Find(hash uint64) Candidates {
	return Candidates{w.buckets.At(bucket(hash, w.n)), hash >> fingerprintAt}
}

// Add adds a number under a hash.
func (w *IndexWriter) Add(hash uint64, number uint32) {
	b := bucket(hash, w.n)
	w.scratch = appendEntry(append(w.scratch[:0], w.buckets.At(b)...), entry(hash, number))
	w.buckets.Set(b, w.scratch)
	if w.entries++; w.entries > int(w.n)*perBucket {
		w.split()
	}
}

// Remove takes a number away that was added under a hash, and reports whether it was.
func (w *IndexWriter) Remove(hash uint64, number uint32) bool {
	b, e := bucket(hash, w.n), entry(hash, number)
	w.scratch = w.scratch[:0]
	old := w.buckets.At(b)
	for ; len(old) >= entryBytes; old = old[entryBytes:] {
		if entryAt(old) == e {
			w.scratch = append(w.scratch, old[entryBytes:]...)
			w.buckets.Set(b, w.scratch)
			w.entries--
			return true
		}
		w.scratch = append(w.scratch, old[:entryBytes]...)
	}
	return false
}

// split adds a bucket and moves there what belongs there, all of it from one other.
func (w *IndexWriter) split() {
	from := w.n - 1<<(bits.Len32(w.n)-1)
	w.n++
	var stay, move []byte
	for old := w.buckets.At(from); len(old) >= entryBytes; old = old[entryBytes:] {
		e := entryAt(old)
		if bucket(w.hash(uint32(e&(1<<numberBits-1))), w.n) == from {
			stay = append(stay, old[:entryBytes]...)
		} else {
			move = append(move, old[:entryBytes]...)
		}
	}
	w.buckets.Set(from, stay)
	w.buckets.Set(w.n-1, move)
}

// Bytes is how much memory the index takes.
func (w *IndexWriter) Bytes() int { return w.buckets.Bytes() }

// Freeze returns what the index holds.
func (w *IndexWriter) Freeze() Index { return Index{w.buckets.Freeze(), w.n} }

// maxFill is how many buckets Fill makes at most: what leaves room for an entry in 64 bits.
const maxFill = 1 << (64 - 8*entryBytes)

// Fill adds count numbers with their hashes to an empty index, each bucket at once.
func (w *IndexWriter) Fill(count int, all iter.Seq2[uint64, uint32]) {
	w.n = uint32(min(max(count/perBucket, 1), maxFill))
	entries := make([]uint64, 0, count) // behind their buckets
	for hash, number := range all {
		entries = append(entries, uint64(bucket(hash, w.n))<<(8*entryBytes)|entry(hash, number))
	}
	slices.Sort(entries)
	for len(entries) > 0 {
		b := entries[0] >> (8 * entryBytes)
		w.scratch = w.scratch[:0]
		for len(entries) > 0 && entries[0]>>(8*entryBytes) == b {
			w.scratch = appendEntry(w.scratch, entries[0])
			entries = entries[1:]
			w.entries++
		}
		w.buckets.Set(uint32(b), w.scratch)
	}
}
