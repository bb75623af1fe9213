package ingest

import (
	"encoding/binary"
	"errors"

	"carom/ingest/ring"
)

// kind is the first byte of a record.
type kind byte

const (
	kindClick      kind = 1
	kindConversion kind = 2
)

// Longest pieces of a request that a click keeps, in bytes; what is longer is cut.
const (
	maxQuery    = 4096 // of the Location sent: 2 KiB of destination and what the request adds
	maxAgent    = 512
	maxReferrer = 256 // only its host is stored
	maxLanguage = 35  // BCP 47 suggests buffers of that size; only the primary subtag is stored
	maxHost     = 253
	maxSlug     = 64
)

// A Click is what a redirect knows about the request it answered. Its slices may alias the request: Put copies
// them, and this file is the only place where request bytes are copied.
type Click struct {
	Millis     int64    // Unix milliseconds, the time inside ID
	ID         [16]byte // the click id's block
	Addr       [16]byte // client address, IPv4 mapped; leaves the ring only as a country and a prefix
	Visitor    uint64   // daily-keyed hash
	AgentHash  uint64   // xxh64 of Agent as the request had it
	Link       uint32
	Brand      uint32
	Campaign   uint32
	Influencer uint32
	Reasons    Reasons // those the edge itself sees: prefetch, head, expired, disabled
	Tier       Tier
	Format     Format

	Host     []byte // canonical
	Slug     []byte // empty for a signed code
	Query    []byte // of the location the link leads to, without the click id: UTM values and sub ids as sent
	Agent    []byte
	Referrer []byte
	Language []byte // Accept-Language
}

// A click in the ring, little endian, pieces in the order of the lengths:
//
//	 0    1    2      3  4         8        16    32     48        56          64
//	+----+----+------+--+---------+--------+-----+------+---------+-----------+
//	| 1  |tier|format| 0| reasons | millis | id  | addr | visitor |agent hash |
//	+----+----+------+--+---------+--------+-----+------+---------+-----------+
//	 64     68      72         76           80     82      84         86  87   88        90
//	+------+-------+----------+------------+------+-------+----------+---+----+----------+--------
//	| link | brand | campaign | influencer | query| agent | referrer |host|slug| language | pieces
//	+------+-------+----------+------------+------+-------+----------+---+----+----------+--------
const clickFixed = 90

// Put copies c into the ring. It reports false when the ring has no room; the ring counts that.
func (c *Click) Put(r *ring.Ring, lane uint64) bool {
	query, agent := cut(c.Query, maxQuery), cut(c.Agent, maxAgent)
	referrer, language := cut(c.Referrer, maxReferrer), cut(c.Language, maxLanguage)
	host, slug := cut(c.Host, maxHost), cut(c.Slug, maxSlug)
	slot, ok := r.Reserve(lane, clickFixed+len(query)+len(agent)+len(referrer)+len(language)+len(host)+len(slug))
	if !ok {
		return false
	}
	b := slot.Data
	le := binary.LittleEndian
	b[0], b[1], b[2], b[3] = byte(kindClick), byte(c.Tier), byte(c.Format), 0
	le.PutUint32(b[4:], uint32(c.Reasons))
	le.PutUint64(b[8:], uint64(c.Millis))
	copy(b[16:32], c.ID[:])
	copy(b[32:48], c.Addr[:])
	le.PutUint64(b[48:], c.Visitor)
	le.PutUint64(b[56:], c.AgentHash)
	le.PutUint32(b[64:], c.Link)
	le.PutUint32(b[68:], c.Brand)
	le.PutUint32(b[72:], c.Campaign)
	le.PutUint32(b[76:], c.Influencer)
	le.PutUint16(b[80:], uint16(len(query)))
	le.PutUint16(b[82:], uint16(len(agent)))
	le.PutUint16(b[84:], uint16(len(referrer)))
	b[86], b[87] = byte(len(host)), byte(len(slug))
	le.PutUint16(b[88:], uint16(len(language)))
	n := clickFixed
	n += copy(b[n:], query)
	n += copy(b[n:], agent)
	n += copy(b[n:], referrer)
	n += copy(b[n:], host)
	n += copy(b[n:], slug)
	copy(b[n:], language)
	slot.Commit()
	return true
}

func cut(b []byte, longest int) []byte { return b[:min(len(b), longest)] }

// errRecord is a record that no Put wrote.
var errRecord = errors.New("record does not parse")

// parseClick reads a record into c, whose slices then alias it.
func parseClick(b []byte, c *Click) error {
	if len(b) < clickFixed || kind(b[0]) != kindClick {
		return errRecord
	}
	le := binary.LittleEndian
	query, agent, referrer := int(le.Uint16(b[80:])), int(le.Uint16(b[82:])), int(le.Uint16(b[84:]))
	host, slug, language := int(b[86]), int(b[87]), int(le.Uint16(b[88:]))
	if len(b) != clickFixed+query+agent+referrer+host+slug+language {
		return errRecord
	}
	c.Tier, c.Format = Tier(b[1]), Format(b[2])
	c.Reasons = Reasons(le.Uint32(b[4:]))
	c.Millis = int64(le.Uint64(b[8:]))
	c.ID, c.Addr = [16]byte(b[16:]), [16]byte(b[32:])
	c.Visitor, c.AgentHash = le.Uint64(b[48:]), le.Uint64(b[56:])
	c.Link, c.Brand = le.Uint32(b[64:]), le.Uint32(b[68:])
	c.Campaign, c.Influencer = le.Uint32(b[72:]), le.Uint32(b[76:])
	rest := b[clickFixed:]
	take := func(n int) []byte {
		piece := rest[:n:n]
		rest = rest[n:]
		return piece
	}
	c.Query, c.Agent, c.Referrer = take(query), take(agent), take(referrer)
	c.Host, c.Slug, c.Language = take(host), take(slug), take(language)
	return nil
}
