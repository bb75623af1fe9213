package redirect

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"carom/ingest"
)

// Changes are followed by their versions, each table from the highest one seen on. On one ClickHouse server none can be missed
// that way: control has a write confirmed before it begins the next, and a write is one block a table, which becomes visible as a
// whole. A replica, a server that was restored, or two writers at once can show a lower version after a higher one; and a program
// can be wrong. So a node does not believe that its table is complete, it proves it: count and sum of the hashes of what it holds
// (sum.go) must be those that ClickHouse computes.
//
// Both must mean the same moment. What ClickHouse answers says up to which version it reaches; where that is one not yet seen, the
// next look will tell. All others have to be equal, and what is not is read again in full.
//
// A look goes over all parents and sliceParts parts of the links, the next look over the next ones: what it costs ClickHouse does
// not grow with the table, and changes that come meanwhile wait for a fraction of a second. Ten million links take three minutes.
//
// A table that is not proven goes on being served: most of it is right, it is all there is, and what broke it here has probably
// broken it on the other nodes. So /readyz tells of it without failing.
//
// Reading again brings what ClickHouse has, and takes nothing away that it has not. Control never removes a row, it writes that an
// object is deleted: so a row that only the node knows is one that ClickHouse has lost, with a part or by being put back to an earlier
// state, and what is printed for it still works. A node keeps such orphans, in its snapshot too, and says how many there are. Whoever
// does not want them starts the node without its snapshot.
const sliceParts = 4 // of 2^16 links

// A piece is a parent table or a part of the links, as ClickHouse holds it.
type piece struct {
	table  string
	part   uint32 // of links
	sum    tableSum
	newest uint64 // version

	compared bool     // all changes of it have been seen
	held     tableSum // of what the table holds of it
}

func (p piece) String() string {
	if p.table != "links" {
		return p.table
	}
	return fmt.Sprintf("links %d to %d", p.part*partLinks, (p.part+1)*partLinks-1)
}

// A slice is the links of one look: parts from first up to end, or all from first on.
type slice struct {
	first, end uint32
	last       bool
}

// Proof says how far the table in use is known to be what ClickHouse holds. Anybody may ask.
func (s *Source) Proof() Proof { return s.prover.proof() }

// Prove compares the next slice of the table with ClickHouse, and reads again what differs. It belongs behind a Refresh. The error
// is that of asking ClickHouse.
func (s *Source) Prove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	now := time.Now()
	part := s.prover.begin(now, uint32(len(s.builder.sums)))
	pieces, err := s.pieces(ctx, part)
	if err != nil {
		return err
	}
	if different := s.prover.unread(pieces); len(different) > 0 {
		s.prover.found.Add(uint64(len(different)))
		s.log.Error("the link table is not what ClickHouse holds; what differs is read again", "differs", fmt.Sprint(different))
		if err := s.readAgain(ctx, different); err != nil {
			return err
		}
		if pieces, err = s.pieces(ctx, part); err != nil {
			return err
		}
		if different = s.prover.unread(pieces); len(different) > 0 {
			s.log.Error("the link table still is not what ClickHouse holds; it is served as it is",
				"differs", fmt.Sprint(different), "rows_that_clickhouse_lacks", orphans(different))
		}
	}
	for _, p := range pieces {
		s.prover.note(p, now)
	}
	s.prover.end(part, s.builder.sums)
	return nil
}

// held is the sum of what the table holds of a piece.
func (s *Source) held(p piece) tableSum {
	if p.table == "links" {
		return *s.builder.part(p.part)
	}
	return s.builder.parentSum(p.table)
}

// equal reports whether the table holds what ClickHouse does.
func (p piece) equal() bool { return p.held == p.sum }

// orphans is how many rows the table holds of pieces that ClickHouse does not, once these have been read again.
func orphans(pieces []piece) (rows uint64) {
	for _, p := range pieces {
		rows += max(p.held.Rows, p.sum.Rows) - p.sum.Rows
	}
	return rows
}

// pieces asks ClickHouse for all parents and the links of a slice, and compares them. A part that it has no links of is a piece, too.
func (s *Source) pieces(ctx context.Context, links slice) ([]piece, error) {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": 2})) // it has other things to do
	var queries []string
	for _, p := range parents {
		hash := "xxHash64(concat(" + p.hashed + ", reinterpretAsFixedString(version)))"
		queries = append(queries, fmt.Sprintf(
			"SELECT '%[1]s', toUInt32(0), countIf(%[2]s), sumWithOverflowIf(%[3]s, %[2]s), max(version) FROM %[1]s FINAL",
			p.table, p.held, hash))
	}
	where := "link_id >= ?"
	args := []any{ingest.Formats(), links.first * partLinks}
	if !links.last {
		where += " AND link_id < ?"
		args = append(args, links.end*partLinks)
	}
	queries = append(queries, fmt.Sprintf("SELECT 'links', toUInt32(bitShiftRight(link_id, %d)) AS part, count(), sumWithOverflow(%s), "+
		"max(version) FROM links FINAL WHERE %s GROUP BY part", partBits, linkHashSQL, where))
	rows, err := s.conn.Query(ctx, strings.Join(queries, " UNION ALL "), args...)
	if err != nil {
		return nil, fmt.Errorf("compare the table with ClickHouse: %w", err)
	}
	defer rows.Close()
	var pieces []piece
	missing := map[uint32]bool{}
	for part := links.first; part < min(links.end, uint32(len(s.builder.sums))); part++ {
		missing[part] = true
	}
	for rows.Next() {
		var p piece
		if err := rows.Scan(&p.table, &p.part, &p.sum.Rows, &p.sum.Hash, &p.newest); err != nil {
			return nil, fmt.Errorf("compare the table with ClickHouse: %w", err)
		}
		if p.table == "links" {
			delete(missing, p.part)
		}
		pieces = append(pieces, p)
	}
	for part := range missing {
		pieces = append(pieces, piece{table: "links", part: part})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("compare the table with ClickHouse: %w", err)
	}
	for i := range pieces {
		p := &pieces[i]
		p.compared, p.held = p.newest <= s.seen[p.table], s.held(*p)
	}
	return pieces, nil
}

// readAgain reads pieces in full and gives the server what they make.
func (s *Source) readAgain(ctx context.Context, pieces []piece) error {
	for _, p := range pieces {
		if p.table != "links" {
			s.seen[p.table] = 0
		}
	}
	if err := s.readParents(ctx); err != nil {
		return err
	}
	if err := s.readLinks(ctx, s.seen["links"]); err != nil { // those that changes of parents concern
		return err
	}
	for _, p := range pieces {
		if p.table != "links" {
			continue
		}
		if err := s.eachLink(ctx, "FINAL WHERE link_id >= ? AND link_id < ? ORDER BY link_id", p.part*partLinks, (p.part+1)*partLinks); err != nil {
			return err
		}
		s.builder.resum(p.part)
	}
	s.publish()
	return nil
}
