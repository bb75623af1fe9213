package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carom/control/backup"
	"carom/control/lease"
)

// restoreTick is the time between two attempts to take the lease from a control process that may be gone.
const restoreTick = 500 * time.Millisecond

// Restore is backup.Restore in the place of the control process: it holds the lease of the one writer meanwhile. The error
// wraps lease.ErrHeld where a control process runs.
func Restore(ctx context.Context, c backup.Config, from backup.Source) (summary backup.Summary, err error) {
	config := lease.Default()
	config.Conn, config.Address = c.Conn, "carom restore"
	l := lease.New(config)
	if err := acquire(ctx, l); err != nil {
		return summary, fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, l.Release(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		renew(ctx, cancel, l, config.Lasts/renewals)
	}()
	defer func() { cancel(nil); <-renewed }()
	summary, err = backup.Restore(ctx, c, from)
	if lost := context.Cause(ctx); err != nil && lost != nil {
		err = fmt.Errorf("%w: %w", err, lost)
	}
	return summary, err
}

// acquire takes the lease as soon as it can have no other holder; one that gives a sign of life keeps it.
func acquire(ctx context.Context, l *lease.Lease) error {
	var first uint64
	for {
		err := l.Acquire(ctx, false)
		if !errors.Is(err, lease.ErrHeld) {
			return err
		}
		newest := l.Newest()
		if first == 0 {
			first = newest.Number
		}
		if newest.Number > first {
			return fmt.Errorf("%w, at %s: stop it first", err, newest.Address)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(restoreTick):
		}
	}
}

// renew keeps the lease until ctx is done, and ends it when the lease is lost.
func renew(ctx context.Context, cancel context.CancelCauseFunc, l *lease.Lease, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := l.Renew(ctx); errors.Is(err, lease.ErrLost) {
				cancel(err)
				return
			}
		}
	}
}
