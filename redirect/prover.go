package redirect

import (
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest/metric"
)

// A Proof says how far a table is known to be what ClickHouse holds.
type Proof struct {
	Complete bool      // all of it has been compared, and nothing differs
	Since    time.Time // every piece was found equal at this moment or later; zero until all have been looked at
	Checksum uint64    // of all links: nodes with the same one hold the same links
	Orphans  uint64    // rows of the table that ClickHouse has lost; they are served
}

// A prover goes through the table slice by slice and remembers what was proven. Its fields belong to the source's goroutine, but
// for the atomics, which it writes and anybody reads.
type prover struct {
	looked  time.Time            // when the last look began
	next    uint32               // first part of the next look
	whole   bool                 // every slice has been looked at
	proven  map[string]time.Time // by piece: when it was last equal, or else first looked at
	differs map[string]piece     // those that differed when last compared, after they had been read again

	complete atomic.Bool
	oldest   atomic.Int64 // Unix milliseconds of the oldest in proven; 0 until whole
	sum      atomic.Uint64
	orphans  atomic.Uint64
	found    atomic.Uint64 // pieces that were read again
}

func newProver(reg prometheus.Registerer) *prover {
	p := &prover{proven: map[string]time.Time{}, differs: map[string]piece{}}
	metric.Flag(reg, "carom_link_table_complete", "1 when all of the table has been compared with ClickHouse and nothing differs.",
		nil, p.complete.Load)
	metric.Gauge(reg, "carom_link_table_proof_age_seconds",
		"Time since the piece of the table that has waited longest was found equal to ClickHouse's; NaN before the first proof.",
		nil, func() float64 {
			if since := p.proof().Since; !since.IsZero() {
				return time.Since(since).Seconds()
			}
			return math.NaN()
		})
	metric.Gauge(reg, "carom_link_table_orphans", "Rows of the table that ClickHouse has lost; they are served as they were.",
		nil, func() float64 { return float64(p.orphans.Load()) })
	metric.Counter(reg, "carom_link_table_differences_total", "Pieces of the table that were not what ClickHouse holds and were read again.",
		nil, &p.found)
	return p
}

func (p *prover) proof() Proof {
	proof := Proof{Complete: p.complete.Load(), Checksum: p.sum.Load(), Orphans: p.orphans.Load()}
	if oldest := p.oldest.Load(); oldest != 0 {
		proof.Since = time.UnixMilli(oldest)
	}
	return proof
}

// begin chooses the links of the next look, of a table with so many parts.
func (p *prover) begin(now time.Time, parts uint32) slice {
	p.looked = now
	if p.next >= parts {
		p.next = 0
	}
	return slice{first: p.next, end: p.next + sliceParts, last: p.next+sliceParts >= parts}
}

// unread are the pieces that differ and are to be read again: not those that differ just as they did when that was done.
func (p *prover) unread(pieces []piece) (list []piece) {
	for _, found := range pieces {
		if found.compared && !found.equal() && p.differs[found.String()] != found {
			list = append(list, found)
		}
	}
	return list
}

// note remembers what a look has found of a piece. One with changes yet to come is not compared.
func (p *prover) note(found piece, now time.Time) {
	name := found.String()
	if _, known := p.proven[name]; !known || found.compared && found.equal() {
		p.proven[name] = now
	}
	switch {
	case found.compared && found.equal():
		delete(p.differs, name)
	case found.compared:
		p.differs[name] = found
	}
}

// end concludes a look that went through.
func (p *prover) end(links slice, sums []tableSum) {
	if p.next = links.end; links.last {
		p.next, p.whole = 0, true
	}
	p.complete.Store(p.whole && len(p.differs) == 0)
	p.orphans.Store(orphans(slices.Collect(maps.Values(p.differs))))
	var all uint64
	for _, s := range sums {
		all += s.Hash
	}
	p.sum.Store(all)
	if !p.whole {
		return
	}
	oldest := int64(math.MaxInt64)
	for _, at := range p.proven {
		oldest = min(oldest, at.UnixMilli())
	}
	p.oldest.Store(oldest)
}
