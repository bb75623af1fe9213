package ingest

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go"
)

// doubt tells the control process of a batch that is in its table, but came there by an insert that nobody saw end: the rollups
// may lack it, or have it twice where it was sent under a second token. Told twice it is one report.
func (w *writer) doubt(ctx context.Context, table, batch string, week int64) error {
	err := w.do(ctx, ch.Query{Body: fmt.Sprintf(
		"INSERT INTO doubtful_batches (source, batch_id, week) SELECT '%s', '%s', toDate(fromUnixTimestamp64Milli(%d, 'UTC'))",
		table, batch, week*millisPerWeek+firstMonday)})
	if err != nil {
		return fmt.Errorf("report that batch %s of %s.%s was in doubt: %w", batch, w.database, table, err)
	}
	return nil
}
