package geo

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"time"
)

// table is one database, flattened. It never changes once built, so any number of readers may hold it; the garbage
// collector frees it when the last of them is done.
type table struct {
	v4       ranges[addr4]
	v6       ranges[addr6]
	places   []Place   // places[nowhere] is the empty one
	networks int       // networks with data, as the file had them
	built    time.Time // when the publisher made the file
}

// nowhere is the index of the Place of addresses that the database does not know.
const nowhere = 0

// unicast holds the IPv6 addresses that are located: the global ones of RFC 4291, section 2.4.
var unicast = netip.MustParsePrefix("2000::/3")

// carriers are the parts of unicast whose addresses carry an IPv4 address: 6to4 (RFC 3056) and Teredo (RFC 4380).
// Both are given up; files that know them repeat their IPv4 tree there, which would double the table.
var carriers = [...]netip.Prefix{netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32")}

// carried reports whether the network of that many bits which starts at addr lies inside a carrier.
func carried(addr netip.Addr, bits int) bool {
	for _, carrier := range carriers {
		if bits >= carrier.Bits() && carrier.Contains(addr) {
			return true
		}
	}
	return false
}

func (t *table) find(addr netip.Addr) *Place {
	switch {
	case addr.Is4():
		return &t.places[find4(&t.v4, addr4Of(addr))]
	case unicast.Contains(addr) && !carried(addr, 128):
		return &t.places[find6(&t.v6, addr6Of(addr))]
	}
	return &t.places[nowhere]
}

// An address is an integer of 32 or 128 bits. Buckets are runs of neighbouring addresses, numbered in address order,
// small enough for most lookups to touch one or two cache lines.
type address[A any] interface {
	bucket() uint
	less(A) bool
}

const buckets = 1 << 16

type addr4 uint32

func addr4Of(addr netip.Addr) addr4 {
	b := addr.As4()
	return addr4(binary.BigEndian.Uint32(b[:]))
}

func (a addr4) bucket() uint      { return uint(a >> 16) }
func (a addr4) less(b addr4) bool { return a < b }

type addr6 struct{ hi, lo uint64 }

func addr6Of(addr netip.Addr) addr6 {
	b := addr.As16()
	return addr6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// bucket is told by the 16 bits after the three that unicast fixes.
func (a addr6) bucket() uint      { return uint(a.hi>>(64-3-16)) % buckets }
func (a addr6) less(b addr6) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// ranges maps every address of one family to the index of its Place.
type ranges[A address[A]] struct {
	// starts holds the first address of each range, ascending; a range ends where the next one starts.
	starts []A
	places []uint32 // parallel to starts
	index  []bucket // one more than buckets
}

// A bucket says where to search. In the country database two buckets of IPv4 addresses in three lie inside one range, and then
// nothing else is looked at.
type bucket struct {
	first uint32 // of the ranges that start in this bucket or later
	place uint32 // before that range
}

// add appends the range that starts at a and ends where the next one added starts.
func (r *ranges[A]) add(a A, place uint32) error {
	if n := len(r.starts); n > 0 {
		if last := r.starts[n-1]; !last.less(a) {
			return fmt.Errorf("%w: networks out of order", ErrCorrupt)
		}
		if r.places[n-1] == place {
			return nil
		}
	}
	r.starts = append(r.starts, a)
	r.places = append(r.places, place)
	return nil
}

// seal makes the ranges ready for find. From then on nothing is added.
func (r *ranges[A]) seal() {
	r.starts, r.places = slices.Clip(r.starts), slices.Clip(r.places)
	r.index = make([]bucket, buckets+1)
	next, place := 0, uint32(nowhere)
	for b := range r.index {
		r.index[b] = bucket{uint32(next), place}
		for next < len(r.starts) && r.starts[next].bucket() == uint(b) {
			place = r.places[next]
			next++
		}
	}
}

// place is that of addresses in a bucket before or within the n-th range that starts in it.
func (r *ranges[A]) place(bucket uint, n int) uint32 {
	if n == 0 {
		return r.index[bucket].place
	}
	return r.places[int(r.index[bucket].first)+n-1]
}

// in returns where the ranges of a bucket start.
func (r *ranges[A]) in(bucket uint) []A {
	return r.starts[r.index[bucket].first:r.index[bucket+1].first]
}

// find4 and find6 are the place of the last range that starts at or before a. They are two because a method of a type
// parameter is called through a table, which takes longer than the search.
func find4(r *ranges[addr4], a addr4) uint32 {
	starts := r.in(a.bucket())
	return r.place(a.bucket(), sort.Search(len(starts), func(i int) bool { return a < starts[i] }))
}

func find6(r *ranges[addr6], a addr6) uint32 {
	starts := r.in(a.bucket())
	return r.place(a.bucket(), sort.Search(len(starts), func(i int) bool { return a.less(starts[i]) }))
}
