package ingest

// setCache is a cache of a fixed size. A hash selects a set of a few entries, kept in the order of their use; a new one
// takes the place of the one that was used longest ago. Hashes of different keys may meet, by chance or because a
// client looked for two that do, so the values must tell whose they are, and the caller checks.
//
// It is for one goroutine.
type setCache[V any] struct {
	sets [][ways]entry[V] // a power of two of them
}

// ways is the entries in a set. In a cache of which keys would fill a quarter, 9 % of them share a set with more keys
// than it holds where sets have two entries, 2 % where they have four.
const ways = 4

type entry[V any] struct {
	hash  uint64 // with its lowest bit set; 0 = free
	value V
}

// newSetCache makes a cache of at least that many entries.
func newSetCache[V any](entries int) setCache[V] {
	sets := 1
	for ways*sets < entries {
		sets *= 2
	}
	return setCache[V]{sets: make([][ways]entry[V], sets)}
}

// get is the value put last under that hash, or the zero value.
func (c *setCache[V]) get(hash uint64) (value V) {
	set := c.set(hash)
	for i := range set {
		if found := set[i]; found.hash == hash|1 {
			copy(set[1:i+1], set[:i])
			set[0] = found
			return found.value
		}
	}
	return value
}

// put stores what get did not find.
func (c *setCache[V]) put(hash uint64, value V) {
	set := c.set(hash)
	copy(set[1:], set[:])
	set[0] = entry[V]{hash | 1, value}
}

func (c *setCache[V]) set(hash uint64) *[ways]entry[V] { return &c.sets[hash>>1&uint64(len(c.sets)-1)] }
