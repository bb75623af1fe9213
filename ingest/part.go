package ingest

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// A part is a batch being filled or sent: rows of one table and one partition that go in one insert. Once it is frozen it
// never changes, so that it can be sent again under the same token until ClickHouse has said yes. A part that ClickHouse
// refuses is sent on in pieces, which are parts of their own.
type part struct {
	rows  rows // where records become rows; nil in a piece, and in what an earlier process froze
	week  int64
	hours map[int64]uint64 // rows by start of the hour, Unix seconds
	bytes int              // of its records
	most  int              // bytes of the records of the largest batch that rows has held

	number uint64 // of the batch in its spool, from 1, given when it is frozen
	name   string // batch_id of its rows
	frozen *block // rows as they are sent
	stamp  string // token of its first life
	life   int    // how often it got another token, as ClickHouse knew the one before and did not hold the rows
	before int64  // newest block of the table before the first attempt, blockUnknown where that says nothing

	whole    *part // what it is a piece of; itself where it is none
	from, to int   // its rows in whole

	doubtful  bool   // an attempt ended without an answer: the rows may be stored
	delivered bool   // acknowledged by ClickHouse
	suspect   bool   // one row, refused, and nothing shows yet that ClickHouse takes others
	refused   string // one row, set aside: ClickHouse's words
	noted     bool   // set aside, and in the quarantine
	recovered bool   // an earlier process sent it, and may have noted it
	strange   int    // answers in a row that this program does not know
}

// block is what is sent.
func (p *part) block() *block { return p.frozen }

// length is the number of its rows.
func (p *part) length() int { return p.to - p.from }

// open reports whether there is more to do for its rows.
func (p *part) open() bool { return !p.delivered && !p.noted }

// A table turns records of a ring into rows of one ClickHouse table.
type table interface {
	// newRows makes an empty block for the table's rows.
	newRows() rows
	// millis is the moment, Unix milliseconds, that decides the record's partition; errRecord where it has none.
	millis(record []byte) (int64, error)
}

// rows is a block being filled.
type rows interface {
	// append adds the record as a row, or leaves the block as it was.
	append(record []byte) error
	// data is the block itself.
	data() *block
}

// batchNamer names the batches of one spool: its identity, sixteen hex digits drawn at its birth, and a number. Numbers
// are given in the order of sending, pieces included: what node_ledger says of the batches up to one stays true.
type batchNamer struct {
	spool string
	last  uint64
}

// spoolIDLen is the length of an identity.
const spoolIDLen = 16

// newSpoolID draws an identity.
func newSpoolID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return hex.EncodeToString(id[:])
}

func (n *batchNamer) name(p *part) {
	n.last++
	p.number, p.name = n.last, fmt.Sprintf("%s-%d", n.spool, n.last)
}

// newPart makes an empty part for the table's rows.
func newPart(t table) *part { return &part{rows: t.newRows(), hours: map[int64]uint64{}} }

// begin readies p for rows of a new batch.
func (p *part) begin(week int64) {
	p.rows.data().clear()
	clear(p.hours)
	*p = part{rows: p.rows, hours: p.hours, week: week, most: p.most, whole: p}
}

// append adds a record of the given time, Unix milliseconds, as a row.
func (p *part) append(record []byte, millis int64) error {
	if err := p.rows.append(record); err != nil {
		return err
	}
	p.hours[hourOf(millis)]++
	p.to++
	p.bytes += len(record)
	p.most = max(p.most, p.bytes)
	return nil
}

// roomy reports whether the part has memory for much larger batches than this one.
func (p *part) roomy() bool { return outgrown(p.most, p.bytes) }

// outgrown reports whether memory that once held most bytes is several times what is needed now: a backlog that is over has left it.
func outgrown(most, needed int) bool { return most > 4*needed+1<<20 }

// token is the deduplication token: which batch, and what is in it. Two different batches never share one.
func (p *part) token() string {
	if p.life > 0 {
		return fmt.Sprintf("%s-%d", p.stamp, p.life)
	}
	return p.stamp
}

// stampOf makes the token of a batch with that content.
func stampOf(name string, digest uint64) string {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], digest)
	return name + "-" + hex.EncodeToString(sum[:])
}
