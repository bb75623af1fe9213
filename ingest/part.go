package ingest

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// A part is a batch being filled or sent: rows of one table and one partition that go in one insert. Once sending
// has begun it never changes, so that it can be sent again under the same token until ClickHouse has said yes.
type part struct {
	rows   rows
	week   int64
	number uint64 // of the batch in its spool, from 1
	name   string // batch_id of its rows
	digest uint64 // over its records, in order

	hours     map[int64]uint64 // rows by start of the hour, Unix seconds
	delivered bool             // acknowledged by ClickHouse

	frozen   *block // rows as they are kept in the spool and sent; nil without a spool
	kept     string // token of a part that an earlier process froze; empty for others
	life     int    // goes up when ClickHouse knows the token and not the rows, for another token
	before   int64  // newest block of the table before the first attempt, blockUnknown where it cannot be asked
	doubtful bool   // an attempt ended without an answer: the rows may be stored
}

// block is what is sent.
func (p *part) block() *block {
	if p.frozen != nil {
		return p.frozen
	}
	return p.rows.data()
}

// A table turns records of a ring into rows of one ClickHouse table.
type table interface {
	// newRows makes an empty block for the table's rows.
	newRows() rows
	// millis is the moment, Unix milliseconds, that decides the record's partition; errRecord where it has none.
	millis(record []byte) (int64, error)
}

// rows is a block being filled.
type rows interface {
	// append adds the record as a row of the named batch, or leaves the block as it was.
	append(record []byte, batch string) error
	// data is the block itself.
	data() *block
}

// batchNamer names the batches of one spool: its identity, sixteen hex digits drawn at its birth, and a number.
type batchNamer struct {
	spool string
	last  uint64
}

// newSpoolID draws an identity.
func newSpoolID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return hex.EncodeToString(id[:])
}

// begin readies p for rows of a new batch.
func (n *batchNamer) begin(p *part, week int64) {
	n.last++
	p.rows.data().clear()
	clear(p.hours)
	*p = part{rows: p.rows, hours: p.hours, week: week, number: n.last, name: fmt.Sprintf("%s-%d", n.spool, n.last)}
}

// append adds a record of the given time, Unix milliseconds, as a row and to the digest.
func (p *part) append(record []byte, millis int64) error {
	if err := p.rows.append(record, p.name); err != nil {
		return err
	}
	p.digest = bits.RotateLeft64(p.digest, 5)*0x9e3779b97f4a7c15 ^ xxhash.Sum64(record)
	p.hours[hourOf(millis)]++
	return nil
}

// token is the deduplication token: which batch, and what is in it. Two different batches never share one.
func (p *part) token() string {
	token := p.kept
	if token == "" {
		token = p.name + "-" + p.sum()
	}
	if p.life > 0 {
		token += fmt.Sprintf("-%d", p.life)
	}
	return token
}

func (p *part) sum() string {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], p.digest)
	return hex.EncodeToString(sum[:])
}
