package geo

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Reasons to refuse a file.
var (
	ErrCorrupt = errors.New("corrupt database")
	ErrEmpty   = errors.New("database knows no network")
	ErrType    = errors.New("database type not known")
	ErrShrunk  = errors.New("database has shrunk")
)

// read flattens a MaxMind DB file for the use that kind names. It keeps nothing of raw. It decodes every record that
// a network points to, so it finds what is broken in them; Reader.Verify would find more, but takes seconds and calls
// ip-location-db's files, which have no description, invalid. Time and memory are linear in len(raw), whatever raw
// holds: see within.
func read(raw []byte, kind Kind) (*table, error) {
	reader, err := maxminddb.OpenBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	decode, err := decoderFor(reader.Metadata.DatabaseType, kind)
	if err != nil {
		return nil, err
	}
	f := flattener{reader: reader, decode: decode, byOffset: map[uintptr]uint32{}, byPlace: map[Place]uint32{}}
	f.places = append(f.places, Place{})
	f.byPlace[Place{}] = nowhere
	f.built = reader.Metadata.BuildTime()
	if err := f.flatten(); err != nil {
		return nil, err
	}
	if f.networks == 0 {
		return nil, fmt.Errorf("%w for %s: type %q", ErrEmpty, kind, reader.Metadata.DatabaseType)
	}
	flat := f.table // a copy, so that the table does not keep the flattener, its reader and raw alive
	return &flat, nil
}

// flattener is a table in the making.
type flattener struct {
	table
	reader   *maxminddb.Reader
	decode   decoder
	byOffset map[uintptr]uint32 // records decoded so far, by where they lie in the file
	byPlace  map[Place]uint32   // places made so far: different records often say the same
}

func (f *flattener) flatten() error {
	for result, err := range f.networks4() {
		if err != nil {
			return err
		}
		place, err := f.place(result)
		if err != nil {
			return err
		}
		var start addr4
		if addr := result.Prefix().Addr(); addr.Is4() { // else one network covers all of IPv4 and more
			start = addr4Of(addr)
		}
		if err := f.v4.add(start, place); err != nil {
			return err
		}
	}
	for result, err := range f.networks6() {
		if err != nil {
			return err
		}
		network := result.Prefix()
		if carried(network.Addr(), network.Bits()) {
			continue
		}
		place, err := f.place(result)
		if err != nil {
			return err
		}
		start := network.Addr()
		if start.Less(unicast.Addr()) { // one network covers all of unicast and more
			start = unicast.Addr()
		}
		if err := f.v6.add(addr6Of(start), place); err != nil {
			return err
		}
	}
	f.v4.seal()
	f.v6.seal()
	return nil
}

func (f *flattener) networks4() iter.Seq2[maxminddb.Result, error] {
	return f.within(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
}

func (f *flattener) networks6() iter.Seq2[maxminddb.Result, error] {
	if f.reader.Metadata.IPVersion == 4 {
		return func(func(maxminddb.Result, error) bool) {}
	}
	return f.within(unicast)
}

// within yields the networks of prefix in address order, with those that have no data, so that they cover it without a
// gap. A tree of n nodes has n+1 leaves, and each carrier repeats at most all of them; whatever yields more
// has its nodes shared, and might go on for 2^128 networks.
func (f *flattener) within(prefix netip.Prefix) iter.Seq2[maxminddb.Result, error] {
	return func(yield func(maxminddb.Result, error) bool) {
		left := (1 + uint(len(carriers))) * (f.reader.Metadata.NodeCount + 1)
		for result := range f.reader.NetworksWithin(prefix,
			maxminddb.IncludeNetworksWithoutData(), maxminddb.IncludeAliasedNetworks()) {
			err := result.Err()
			if err != nil {
				err = fmt.Errorf("%w: %w", ErrCorrupt, err)
			} else if left == 0 {
				err = fmt.Errorf("%w: search tree shares its nodes", ErrCorrupt)
			}
			left--
			if !yield(result, err) || err != nil {
				return
			}
		}
	}
}

// place is the index of the Place that result's record says.
func (f *flattener) place(result maxminddb.Result) (uint32, error) {
	if !result.Found() {
		return nowhere, nil
	}
	index, known := f.byOffset[result.Offset()]
	if !known {
		place, err := f.decode(result)
		if err != nil {
			return nowhere, fmt.Errorf("%w: record of %s: %w", ErrCorrupt, result.Prefix(), err)
		}
		if index, known = f.byPlace[place]; !known {
			index = uint32(len(f.places))
			f.places = append(f.places, place)
			f.byPlace[place] = index
		}
		f.byOffset[result.Offset()] = index
	}
	if index != nowhere {
		f.networks++
	}
	return index, nil
}
