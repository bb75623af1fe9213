package redirect

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/dchest/siphash"
)

const secondsPerDay = 24 * 3600

// dayOf numbers the UTC day of a moment in Unix seconds.
func dayOf(unix int64) int64 { return unix / secondsPerDay }

// visitorKey is the cluster's visitor key of one day.
type visitorKey struct {
	day    int64
	secret []byte
}

// turned is the key of a later day; the same one for a day that is not, or too far away to be believed.
func (k visitorKey) turned(day int64) visitorKey {
	if day-k.day > maxRatchet {
		return k
	}
	for k.day < day {
		k = visitorKey{k.day + 1, NextVisitorKey(k.secret)}
	}
	return k
}

// A visitorHasher turns an address and an agent into the day's visitor hash. The key of a day is derived from the day
// before and replaces it: nobody can compute yesterday's hashes again from what a node holds.
type visitorHasher struct {
	today atomic.Pointer[sipDay] // replaced when the day changes, by whichever handler sees it first
}

type sipDay struct {
	visitorKey
	k0, k1 uint64
}

func newSIPDay(k visitorKey) *sipDay {
	sip := deriveSIPKey(k.secret, "carom visitor v1", "")
	return &sipDay{visitorKey: k, k0: sip[0], k1: sip[1]}
}

// set installs a key that the table brought, unless the hasher is already past its day.
func (h *visitorHasher) set(k visitorKey) {
	if old := h.today.Load(); len(k.secret) > 0 && (old == nil || k.day > old.day) {
		h.today.Store(newSIPDay(k))
	}
}

// maxRatchet bounds how many days a key is carried forward at once, about ten years: a clock that jumps further keeps the
// key it has.
const maxRatchet = 3660

// hash is the visitor on the UTC day of a moment in Unix seconds. A click that straggles in from the day before gets
// today's key. The hash of the same visitor differs from day to day and between clusters.
func (h *visitorHasher) hash(unix int64, addr *[16]byte, agentHash uint64) uint64 {
	key := h.today.Load()
	if day := dayOf(unix); day > key.day && day-key.day <= maxRatchet {
		key = h.advance(key, day)
	}
	var msg [24]byte
	copy(msg[:16], addr[:])
	binary.LittleEndian.PutUint64(msg[16:], agentHash)
	return siphash.Hash(key.k0, key.k1, msg[:])
}

// advance derives the key of a later day and erases the older one.
func (h *visitorHasher) advance(old *sipDay, day int64) *sipDay {
	next := newSIPDay(old.turned(day))
	h.today.CompareAndSwap(old, next)
	return next
}
