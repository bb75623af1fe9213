package ingest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go"
)

// settleLedger writes the last word on spools that will never tell again: nothing waits any more, and what ClickHouse holds is what
// was stored. found are, by spool, the batches that were seen in the table; the rollup may not have them yet.
func (w *writer) settleLedger(ctx context.Context, found map[string]map[string]bool) error {
	for _, spool := range slices.Sorted(maps.Keys(found)) {
		names := []string{"''"}
		for _, batch := range slices.Sorted(maps.Keys(found[spool])) {
			names = append(names, "'"+batch+"'")
		}
		err := w.do(ctx, ch.Query{Body: fmt.Sprintf(`
			INSERT INTO node_ledger (hour, node, spool, batch, written, accepted, waiting, dropped)
			SELECT hour, node, '%[1]s', 1 + greatest(
					(SELECT max(toUInt64OrZero(substring(batch_id, %[2]d))) FROM clicks_by_batch WHERE batch_id LIKE '%[1]s-%%'),
					(SELECT max(batch) FROM node_ledger WHERE spool = '%[1]s')),
				now64(3), sum(held) + arraySum(mapValues(sumMap(gone))), 0, sumMap(gone)
			FROM
			(
				SELECT hour, node, rows AS held, CAST(map(), 'Map(String, UInt64)') AS gone FROM clicks_by_batch
				WHERE batch_id LIKE '%[1]s-%%' AND batch_id NOT IN (%[3]s)
				UNION ALL
				SELECT toStartOfHour(ts), node, 1, CAST(map(), 'Map(String, UInt64)') FROM clicks WHERE batch_id IN (%[3]s) AND batch_id != ''
				UNION ALL
				SELECT hour, node, 0, CAST(dropped, 'Map(String, UInt64)') FROM node_ledger FINAL WHERE spool = '%[1]s'
			)
			GROUP BY hour, node`, spool, spoolIDLen+2, strings.Join(names, ", "))})
		if err != nil {
			return fmt.Errorf("settle the ledger of spool %s in %s: %w", spool, w.database, err)
		}
	}
	return nil
}
