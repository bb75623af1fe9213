package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 10 * time.Second
)

// send delivers flights until the outbox closes, first what an earlier process left.
func (f *Flusher) send(ctx context.Context) {
	defer f.writer.close()
	if f.recovered != nil {
		f.deliver(ctx, f.recovered)
	}
	for fl := range f.outbox {
		if f.retry(ctx, fl, "freeze", func() error { return f.freeze(ctx, fl) }) {
			f.deliver(ctx, fl)
		} else {
			f.delivered <- fl
		}
	}
}

// freeze decides what will be sent until it is stored, and keeps it on the disk where there is a spool.
func (f *Flusher) freeze(ctx context.Context, fl *flight) error {
	for _, p := range fl.parts {
		var err error
		if p.before, err = f.writer.newestBlock(ctx, p.rows.data().table); err != nil {
			return err
		}
	}
	if f.journal == nil {
		return nil
	}
	return f.journal.freeze(fl)
}

// deliver sends each part of a frozen flight until it is stored or ctx ends, and hands the flight back.
func (f *Flusher) deliver(ctx context.Context, fl *flight) {
	f.metrics.sending(fl.first)
	all := true
	for _, p := range fl.parts {
		p.delivered = f.retry(ctx, fl, "insert", func() error { return f.store(ctx, fl, p) })
		all = all && p.delivered
	}
	f.metrics.sending(time.Time{})
	if all && f.journal != nil {
		if err := f.journal.settle(fl); err != nil {
			f.log.Warn("spool state not written; a restart now would ask ClickHouse for the batch again", "error", err)
		}
	}
	f.delivered <- fl
}

// retry runs a step of a flight until it succeeds; false means that ctx ended first.
func (f *Flusher) retry(ctx context.Context, fl *flight, step string, do func() error) bool {
	wait := retryFirst
	for attempt := 1; ctx.Err() == nil; attempt++ {
		err := do()
		if err == nil {
			return true
		}
		f.metrics.failed(err)
		f.log.Warn("delivery failed; the same batch is tried again under the same token",
			"step", step, "error", err, "batch", fl.parts[0].name, "rows", fl.rows, "attempt", attempt, "next_try", wait)
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
		}
		wait = min(2*wait, retryMost)
	}
	return false
}

// store brings a part into ClickHouse once. After an attempt that ended without an answer it relies on the
// deduplication token only while ClickHouse must still know it, which also mends rollups that the attempt did not reach; later it looks
// whether the rows are there.
func (f *Flusher) store(ctx context.Context, fl *flight, p *part) error {
	b := p.block()
	if p.doubtful {
		remembered, err := f.remembered(ctx, p)
		if err != nil {
			return err
		}
		if !remembered {
			rows, err := f.writer.stored(ctx, b, p.name, p.week)
			if err != nil || rows > 0 {
				return err
			}
		}
	}
	began := time.Now()
	if err := f.writer.insert(ctx, b, f.token(p)); err != nil {
		p.doubtful = p.doubtful || !errors.Is(err, errConnect)
		return err
	}
	if p.doubtful {
		if err := f.check(ctx, fl, p); err != nil {
			return err
		}
	}
	f.metrics.inserted(b.rows, time.Since(began))
	return nil
}

// remembered reports whether ClickHouse still knows the token of an attempt, if it ever got it.
func (f *Flusher) remembered(ctx context.Context, p *part) (bool, error) {
	if p.before == blockUnknown {
		return false, nil
	}
	now, err := f.writer.newestBlock(ctx, p.block().table)
	if err != nil {
		return false, err
	}
	return now >= p.before && now-p.before < int64(f.config.DedupWindow), nil
}

// check looks whether a part is stored that was acknowledged after a doubtful attempt. A server killed between noting a
// token and keeping its rows acknowledges the token for ever without them: then the part gets another token.
func (f *Flusher) check(ctx context.Context, fl *flight, p *part) error {
	rows, err := f.writer.stored(ctx, p.block(), p.name, p.week)
	if err != nil || rows > 0 {
		return err
	}
	p.life++
	if f.journal != nil {
		if err := f.journal.freeze(fl); err != nil {
			return err
		}
	}
	return fmt.Errorf("ClickHouse acknowledged batch %s and does not hold it; it is sent under a new token", p.name)
}
