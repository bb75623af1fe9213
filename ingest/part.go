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

func newBatchNamer() *batchNamer {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return &batchNamer{spool: hex.EncodeToString(id[:])}
}

// begin readies p for rows of a new batch.
func (n *batchNamer) begin(p *part, week int64) {
	n.last++
	p.rows.data().clear()
	clear(p.hours)
	p.week, p.number, p.name, p.digest, p.delivered = week, n.last, fmt.Sprintf("%s-%d", n.spool, n.last), 0, false
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
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], p.digest)
	return p.name + "-" + hex.EncodeToString(sum[:])
}
