package lease

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// announced begins the query id of every insert of a holder, by which the next one finds it.
const announced = "carom-control-"

// settleTick is the time between two looks for cancelled inserts.
const settleTick = 50 * time.Millisecond

// Announce names the next insert under ctx, so that a later holder finds it. Once the server has begun that insert and before it
// gets its rows, ask Check.
func Announce(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithQueryID(announced+rand.Text()))
}

// quiesce cancels the announced inserts and waits for those that are under way. What is left then waits for rows that the server
// refuses when they come.
func (l *Lease) quiesce(ctx context.Context) error {
	const mine = " WHERE startsWith(query_id, '" + announced + "') AND current_database = currentDatabase()"
	if err := l.cfg.Conn.Exec(ctx, "KILL QUERY"+mine+" ASYNC"); err != nil {
		return fmt.Errorf("cancel the inserts of the control process before: %w", err)
	}
	for begun := time.Now(); time.Since(begun) < l.cfg.Settle; {
		var left uint64
		err := l.cfg.Conn.QueryRow(ctx, "SELECT count() FROM system.processes"+mine).Scan(&left)
		switch {
		case err != nil:
			return fmt.Errorf("look for inserts of the control process before: %w", err)
		case left == 0:
			return nil
		}
		select {
		case <-time.After(settleTick):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
