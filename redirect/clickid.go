package redirect

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// A click id is one AES-128 block in 22 base64url characters (132 bits, the last four zero). Decrypted, big endian:
//
//	 127      98 97                 57 56    47 46       32 31          0
//	+-----------+---------------------+--------+-----------+-------------+
//	|   link    | ms since 2024-01-01 |  node  | sequence  |    check    |
//	+-----------+---------------------+--------+-----------+-------------+
//	   30 bit           41 bit          10 bit    15 bit       32 bit
//
// check is the constant clickIDCheck: a block cipher spreads every bit, so a block that nobody with the key made
// shows it with probability 2^-32. (ms, node, sequence) never repeats, so neither does an id.
const (
	// ClickIDLen is the length of a click id as text.
	ClickIDLen = 22
	// MaxNode is the highest node number: 10 bits.
	MaxNode = 1<<10 - 1

	clickIDCheck   = 0x4341524f // "CARO"
	clickMillisMax = 1<<41 - 1
	clickSeqBits   = 15

	// clickClockReserve is what a clickClock keeps free at the end of time, in milliseconds (49 days): where the wall
	// clock is past the last one, sequences run on into it.
	clickClockReserve = 1 << 32
)

// clickEpoch is 2024-01-01T00:00:00Z in Unix milliseconds, where a click id's time begins; it ends in 2093.
const clickEpoch = 1704067200000

// ErrClickID is returned for a text that no key at hand made into a click id.
var ErrClickID = errors.New("not a click id of this cluster")

var clickIDText = base64.RawURLEncoding.Strict()

// A Click identifies one click: what a click id holds.
type Click struct {
	Link     uint32 // number of the link, at most MaxLink
	Millis   int64  // Unix milliseconds, not before 2024
	Node     uint16 // at most MaxNode
	Sequence uint16 // 15 bits, per node and millisecond
}

// Time is the moment of the click, UTC.
func (c Click) Time() time.Time { return time.UnixMilli(c.Millis).UTC() }

// A ClickIDKey turns clicks into ids and back.
type ClickIDKey struct{ block cipher.Block }

// NewClickIDKey takes the cluster's 16-byte key.
func NewClickIDKey(key []byte) (ClickIDKey, error) {
	if len(key) != 16 {
		return ClickIDKey{}, fmt.Errorf("click-id key of %d bytes: it must have 16", len(key))
	}
	b, err := aes.NewCipher(key)
	return ClickIDKey{b}, err
}

// Seal writes the click's 16-byte block to dst, which must not be on the caller's stack if allocation matters:
// the cipher is called through an interface.
func (k ClickIDKey) Seal(dst *[16]byte, c Click) {
	ms := uint64(c.Millis-clickEpoch) & clickMillisMax
	binary.BigEndian.PutUint64(dst[:8], uint64(c.Link&MaxLink)<<34|ms>>7)
	binary.BigEndian.PutUint64(dst[8:], ms<<57|uint64(c.Node&MaxNode)<<47|uint64(c.Sequence&(1<<clickSeqBits-1))<<32|clickIDCheck)
	k.block.Encrypt(dst[:], dst[:])
}

// Open reverses Seal. It reports false where the block was not sealed with k.
func (k ClickIDKey) Open(block [16]byte) (Click, bool) {
	k.block.Decrypt(block[:], block[:])
	hi, lo := binary.BigEndian.Uint64(block[:8]), binary.BigEndian.Uint64(block[8:])
	if uint32(lo) != clickIDCheck {
		return Click{}, false
	}
	return Click{
		Link:     uint32(hi >> 34),
		Millis:   int64((hi<<7|lo>>57)&clickMillisMax) + clickEpoch,
		Node:     uint16(lo>>47) & MaxNode,
		Sequence: uint16(lo>>32) & (1<<clickSeqBits - 1),
	}, true
}

// AppendClickID appends a sealed block as text.
func AppendClickID(dst []byte, block *[16]byte) []byte {
	return clickIDText.AppendEncode(dst, block[:])
}

// DecodeClickID reads the text of a click id back into its sealed block. One block has one spelling:
// another length, another alphabet or a spare bit that is set is ErrClickID.
func DecodeClickID(s string) (block [16]byte, err error) {
	if len(s) != ClickIDLen {
		return block, fmt.Errorf("click id of %d characters, %d expected: %w", len(s), ClickIDLen, ErrClickID)
	}
	if n, err := clickIDText.Decode(block[:], []byte(s)); err != nil || n != len(block) {
		return block, fmt.Errorf("click id %q is not base64url: %w", s, ErrClickID)
	}
	return block, nil
}

// A clickClock hands out (millisecond, sequence) pairs that never repeat on a node and never go back.
// When the wall clock stands still, goes backwards, or more than 2^15 clicks fall into one millisecond, it runs ahead of it.
type clickClock struct {
	last atomic.Uint64 // ms since clickEpoch << 15 | sequence; every producer moves it by compare-and-swap
}

// next takes the wall clock in Unix milliseconds and returns the time and sequence of one click.
func (c *clickClock) next(unixMillis int64) (millis int64, sequence uint16) {
	now := uint64(min(max(unixMillis-clickEpoch, 0), clickMillisMax-clickClockReserve)) << clickSeqBits
	for {
		last := c.last.Load()
		next := max(now, last+1)
		if c.last.CompareAndSwap(last, next) {
			return int64(next>>clickSeqBits) + clickEpoch, uint16(next & (1<<clickSeqBits - 1))
		}
	}
}

// raise makes the clock hand out only moments after unixMillis, also where that is past what the wall clock may say.
func (c *clickClock) raise(unixMillis int64) {
	to := uint64(min(max(unixMillis+1-clickEpoch, 0), clickMillisMax)) << clickSeqBits
	for last := c.last.Load(); last < to && !c.last.CompareAndSwap(last, to); {
		last = c.last.Load()
	}
}

// ahead is how far what was handed out last is ahead of a moment; 0 where it is not.
func (c *clickClock) ahead(now time.Time) time.Duration {
	last := int64(c.last.Load()>>clickSeqBits) + clickEpoch
	return time.Duration(max(last-now.UnixMilli(), 0)) * time.Millisecond
}

// mend takes the clock back to now where it is more than clockFar ahead: an earlier process gave out ids under a broken clock, such as
// one in 2106, and without this all later clicks would be of that time for ever. Ids stay different, as what was handed out before
// that is older than now. What was handed out under the broken clock comes again in ten years at the earliest, when no row of
// its links' clicks of today is kept.
func (c *clickClock) mend(now time.Time) {
	limit := uint64(max(now.Add(clockFar).UnixMilli()-clickEpoch, 0)) << clickSeqBits
	to := uint64(max(now.UnixMilli()-clickEpoch, 0)) << clickSeqBits
	for last := c.last.Load(); last > limit && !c.last.CompareAndSwap(last, to); {
		last = c.last.Load()
	}
}
