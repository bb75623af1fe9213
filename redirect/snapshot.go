package redirect

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"carom/redirect/pages"
)

// A snapshot is all that a Builder holds, to be written while the builder goes on. SNAPSHOT.md draws its bytes.
type snapshot struct {
	taken     time.Time // when the table was known to be complete
	seen      map[string]uint64
	table     *Table
	brands    map[uint32]*Brand
	domains   map[uint32]DomainRow
	campaigns map[uint32]Campaign
	keys      map[keyPlace]KeyRow
	sums      []tableSum
}

// snapshot is what the last Table holds.
func (b *Builder) snapshot(taken time.Time, seen map[string]uint64) *snapshot {
	table := b.table
	return &snapshot{
		taken: taken, seen: maps.Clone(seen), table: &table, brands: maps.Clone(b.brands), domains: maps.Clone(b.domains),
		campaigns: maps.Clone(b.campaigns), keys: maps.Clone(b.keys),
		sums: slices.Clone(b.sums),
	}
}

// A description is the part of a snapshot that is text.
type description struct {
	Seen      map[string]uint64 `json:"seen"` // by reference table: highest version applied
	Brands    []*Brand          `json:"brands"`
	Domains   []DomainRow       `json:"domains"`
	Campaigns []Campaign        `json:"campaigns"`
	Keys      []sealedKey       `json:"keys"`
	Sums      []tableSum        `json:"sums"` // of links, by part; they save a start from adding up
}

// A sealedKey is a key as the keys table has it.
type sealedKey struct {
	Brand   uint32  `json:"brand"`
	Kind    KeyKind `json:"kind"`
	ID      string  `json:"id"`
	Active  bool    `json:"active"`
	Sealed  []byte  `json:"sealed"`
	Version uint64  `json:"version"`
}

const (
	snapshotHeader = 48
	blockHeader    = 16

	// The first version had no versions of objects and no sums in links, the second no pages with offsets and no flagShort; both are
	// read all the same.
	snapshotVersion = 3
)

var snapshotMagic = [8]byte{'c', 'a', 'r', 'o', 'm', 't', 'a', 'b'}

// The kinds of blocks, in their order.
const (
	blockGroups = iota + 1
	blockCreators
	blockLinks
	blockEnd // its 8 bytes are the xxh64 of the sums of all blocks before it
)

// errSnapshot is a snapshot that is not as it was written.
var errSnapshot = errors.New("snapshot is damaged")

// A snapshotHead is the beginning of a snapshot file.
type snapshotHead struct {
	version     uint32
	taken       time.Time
	known       uint64 // links, those that are gone included: the number never falls
	description uint64 // bytes
	sum         uint64 // of the description
}

func (h snapshotHead) bytes() []byte {
	le := binary.LittleEndian
	b := append([]byte(nil), snapshotMagic[:]...)
	b = le.AppendUint32(b, h.version)
	b = le.AppendUint32(b, uint32(h.description))
	b = le.AppendUint64(b, uint64(h.taken.UnixMilli()))
	b = le.AppendUint64(b, h.known)
	b = le.AppendUint64(b, h.sum)
	return le.AppendUint64(b, xxhash.Sum64(b))
}

func readSnapshotHead(r io.Reader) (h snapshotHead, err error) {
	b := make([]byte, snapshotHeader)
	if _, err := io.ReadFull(r, b); err != nil {
		return h, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	le := binary.LittleEndian
	if [8]byte(b) != snapshotMagic || le.Uint64(b[40:]) != xxhash.Sum64(b[:40]) {
		return h, fmt.Errorf("%w: its first bytes are not a snapshot's", errSnapshot)
	}
	if v := le.Uint32(b[8:]); v == 0 || v > snapshotVersion {
		return h, fmt.Errorf("%w: version %d, this program reads 1 to %d", errSnapshot, v, snapshotVersion)
	}
	return snapshotHead{le.Uint32(b[8:]), time.UnixMilli(int64(le.Uint64(b[16:]))), le.Uint64(b[24:]), uint64(le.Uint32(b[12:])), le.Uint64(b[32:])}, nil
}

// write writes a snapshot whose keys are sealed with sealer. now is the moment for whose day the visitor key is kept.
func (s *snapshot) write(w io.Writer, sealer *Sealer, now time.Time) error {
	text, err := json.Marshal(s.describe(sealer, now))
	if err != nil {
		return err
	}
	head := snapshotHead{snapshotVersion, s.taken, uint64(s.table.known), uint64(len(text)), xxhash.Sum64(text)}
	if _, err := w.Write(append(head.bytes(), text...)); err != nil {
		return err
	}
	sums := xxhash.New()
	block := func(kind uint32, b []byte) error {
		header := binary.LittleEndian.AppendUint32(nil, kind)
		header = binary.LittleEndian.AppendUint32(header, uint32(len(b)))
		header = binary.LittleEndian.AppendUint64(header, blockSum(header, b))
		_, _ = sums.Write(header[8:]) // never fails
		if _, err := w.Write(header); err != nil {
			return err
		}
		_, err := w.Write(b)
		return err
	}
	for i, view := range [...]*pages.View{&s.table.groups, &s.table.creators, &s.table.links} {
		for b := range view.Blocks() {
			if err := block(blockGroups+uint32(i), b); err != nil {
				return err
			}
		}
	}
	return block(blockEnd, binary.LittleEndian.AppendUint64(nil, sums.Sum64()))
}

func blockSum(header, b []byte) uint64 {
	sum := xxhash.New()
	_, _ = sum.Write(header) // never fails
	_, _ = sum.Write(b)
	return sum.Sum64()
}

func (s *snapshot) describe(sealer *Sealer, now time.Time) description {
	d := description{
		Seen: s.seen, Sums: s.sums, Brands: byNumber(s.brands), Domains: byNumber(s.domains), Campaigns: byNumber(s.campaigns),
	}
	seal := func(k KeyRow) {
		d.Keys = append(d.Keys, sealedKey{k.Brand, k.Kind, k.ID, k.Active, sealer.Seal(k.Kind, k.Brand, k.ID, k.Secret), k.Version})
	}
	for _, k := range s.keys {
		if k.Kind != KeyVisitor {
			seal(k)
		}
	}
	// Visitor keys of days gone by must not outlive their day, on no disk.
	if v := s.table.visitors; len(v.secret) > 0 {
		v = v.turned(dayOf(now.Unix()))
		seal(KeyRow{Kind: KeyVisitor, ID: time.Unix(v.day*secondsPerDay, 0).UTC().Format(time.DateOnly), Secret: v.secret, Active: true})
	}
	slices.SortFunc(d.Keys, func(a, b sealedKey) int {
		return cmp.Or(cmp.Compare(a.Brand, b.Brand), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return d
}

// byNumber are objects from the lowest number to the highest.
func byNumber[V any](objects map[uint32]V) (list []V) {
	for _, id := range slices.Sorted(maps.Keys(objects)) {
		list = append(list, objects[id])
	}
	return list
}

// A keyOpener opens what a Sealer has sealed.
type keyOpener interface {
	Open(kind KeyKind, brand uint32, id string, sealed []byte) (secret []byte, err error)
}

// readSnapshot makes a builder of a snapshot. Everything in it is checked: no file, however it came about, makes a table that
// cannot be read.
func readSnapshot(r io.Reader, keys keyOpener) (b *Builder, head snapshotHead, seen map[string]uint64, err error) {
	head, err = readSnapshotHead(r)
	if err != nil {
		return nil, head, nil, err
	}
	b = NewBuilder()
	if seen, err = b.readDescription(r, head, keys); err != nil {
		return nil, head, nil, err
	}
	slugs, err := b.readBlocks(r)
	if err != nil {
		return nil, head, nil, err
	}
	if uint64(b.table.known) != head.known {
		return nil, head, nil, fmt.Errorf("%w: %d links of %d", errSnapshot, b.table.known, head.known)
	}
	b.indexAll(slugs)
	for _, campaign := range b.campaigns {
		b.compileTemplate(campaign)
	}
	if head.version == 1 {
		for number, l := range b.links.All() {
			b.part(number >> partBits).add(b.linkHash(number, l))
		}
	}
	for _, p := range parents {
		if p.table == "influencers" || head.version == 1 {
			delete(seen, p.table) // whose versions are not in the snapshot: all of it is read again
		}
	}
	return b, head, seen, nil
}

func (b *Builder) readDescription(r io.Reader, head snapshotHead, keys keyOpener) (seen map[string]uint64, err error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(head.description)))
	if err != nil {
		return nil, err
	}
	if uint64(len(text)) != head.description || xxhash.Sum64(text) != head.sum {
		return nil, fmt.Errorf("%w: its description is not what was written", errSnapshot)
	}
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	for _, v := range d.Brands {
		if v == nil {
			return nil, fmt.Errorf("%w: a brand that is none", errSnapshot)
		}
		b.brands[v.ID] = v
	}
	for _, v := range d.Domains {
		b.domains[v.ID] = v
	}
	for _, v := range d.Campaigns {
		b.campaigns[v.ID] = v
	}
	for _, k := range d.Keys {
		secret, err := keys.Open(k.Kind, k.Brand, k.ID, k.Sealed)
		if err != nil {
			return nil, err
		}
		b.keys[keyPlace{k.Brand, k.Kind, k.ID}] = KeyRow{Brand: k.Brand, Kind: k.Kind, ID: k.ID, Secret: secret, Active: k.Active, Version: k.Version}
	}
	b.sums = d.Sums
	b.rehost = true
	if d.Seen == nil {
		d.Seen = map[string]uint64{}
	}
	return d.Seen, nil
}

// readBlocks reads groups, creators and links, in this order, up to the last block, and counts the links with a slug.
func (b *Builder) readBlocks(r io.Reader) (slugs int, err error) {
	loadLink := func(number uint32, item []byte) error {
		if err := b.loadLink(number, item); err != nil {
			return err
		}
		if l := link(item); !l.gone() && l[0]&flagSlug != 0 {
			slugs++
		}
		return nil
	}
	sums, last := xxhash.New(), uint32(blockGroups)
	for {
		header := make([]byte, blockHeader)
		if _, err := io.ReadFull(r, header); err != nil {
			return 0, fmt.Errorf("%w: %w", errSnapshot, err)
		}
		kind, size := binary.LittleEndian.Uint32(header), binary.LittleEndian.Uint32(header[4:])
		if kind < last || kind > blockEnd || size == 0 || size > pages.MaxBlock {
			return 0, fmt.Errorf("%w: a block of kind %d with %d bytes", errSnapshot, kind, size)
		}
		last = kind
		fill := func(block []byte) error {
			if _, err := io.ReadFull(r, block); err != nil {
				return fmt.Errorf("%w: %w", errSnapshot, err)
			}
			if blockSum(header[:8], block) != binary.LittleEndian.Uint64(header[8:]) {
				return fmt.Errorf("%w: the checksum of a block is wrong", errSnapshot)
			}
			return nil
		}
		switch kind {
		case blockGroups:
			err = b.groups.Load(int(size), fill, b.loadGroup)
		case blockCreators:
			err = b.creators.Load(int(size), fill, loadCreator)
		case blockLinks:
			err = b.links.Load(int(size), fill, loadLink)
		default:
			end := make([]byte, 8)
			if size != 8 {
				return 0, fmt.Errorf("%w: its end has %d bytes", errSnapshot, size)
			}
			if err := fill(end); err != nil {
				return 0, err
			}
			if binary.LittleEndian.Uint64(end) != sums.Sum64() {
				return 0, fmt.Errorf("%w: blocks are missing or of another snapshot", errSnapshot)
			}
			return slugs, nil
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errSnapshot, err)
		}
		_, _ = sums.Write(header[8:]) // never fails
	}
}

func (b *Builder) loadGroup(number uint32, item []byte) error {
	g := group(item)
	if !g.valid() || uint64(number) != uint64(len(b.groupOf))+1 {
		return fmt.Errorf("group %d is impossible", number)
	}
	b.groupOf[g.key()] = number
	return nil
}

func loadCreator(number uint32, item []byte) error {
	if !creator(item).valid() {
		return fmt.Errorf("creator %d is impossible", number)
	}
	return nil
}

func (b *Builder) loadLink(number uint32, item []byte) error {
	l := link(item)
	if number == 0 || number > MaxLink || !l.valid() || uint64(l.group()) > uint64(len(b.groupOf)) || l.group() == 0 {
		return fmt.Errorf("link %d is impossible", number)
	}
	b.table.known++
	if !l.gone() {
		b.table.count++
	}
	return nil
}

// indexAll finds slugs, of which there are so many, and coupons of links that were loaded.
func (b *Builder) indexAll(slugs int) {
	b.slugs.Fill(slugs, func(yield func(uint64, uint32) bool) {
		for number, l := range b.links.All() { // the newest link first: so each coupon is added once
			x := link(l).texts()
			if len(x.coupon) > 0 {
				b.addCoupon(number)
			}
			if len(x.slug) > 0 && !yield(b.slugHash(l), number) {
				return
			}
		}
	})
}
