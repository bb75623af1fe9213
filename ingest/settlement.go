package ingest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go"
)

// settledBatch is the last batch covered of a spool that is settled: there will be no other, and no later word on it.
const settledBatch = math.MaxInt64

// settleLedger writes the last word on spools of this node that will never tell again: nothing waits any more, and what ClickHouse holds
// is what was stored. found are, by spool, the batches that were seen in the table; the rollup may not have them yet. Of a spool of
// which ClickHouse knows nothing at all it is said as well, as soleDelivery relies on it.
func (w *writer) settleLedger(ctx context.Context, node uint16, found map[string]map[string]bool) error {
	for _, spool := range slices.Sorted(maps.Keys(found)) {
		names := []string{"''"}
		for _, batch := range slices.Sorted(maps.Keys(found[spool])) {
			names = append(names, "'"+batch+"'")
		}
		err := w.do(ctx, ch.Query{Body: fmt.Sprintf(`
			INSERT INTO node_ledger (hour, node, spool, batch, written, accepted, waiting, dropped)
			SELECT hour, node, '%[1]s', %[2]d, now64(3), sum(held) + arraySum(mapValues(sumMap(gone))), 0, sumMap(gone)
			FROM
			(
				SELECT hour, node, rows AS held, CAST(map(), 'Map(String, UInt64)') AS gone FROM clicks_by_batch
				WHERE batch_id LIKE '%[1]s-%%' AND batch_id NOT IN (%[3]s)
				UNION ALL
				SELECT toStartOfHour(ts), node, 1, CAST(map(), 'Map(String, UInt64)') FROM clicks WHERE batch_id IN (%[3]s) AND batch_id != ''
				UNION ALL
				SELECT hour, node, 0, CAST(dropped, 'Map(String, UInt64)') FROM node_ledger FINAL WHERE spool = '%[1]s'
				UNION ALL
				SELECT toStartOfHour(now('UTC')), %[4]d, 0, CAST(map(), 'Map(String, UInt64)')
			)
			GROUP BY hour, node`, spool, settledBatch, strings.Join(names, ", "), node)})
		if err != nil {
			return fmt.Errorf("settle the ledger of spool %s in %s: %w", spool, w.database, err)
		}
	}
	return nil
}
