package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"carom/ingest/pace"
)

const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 10 * time.Second
)

// send delivers flights until the outbox closes, first what an earlier process left.
func (f *Flusher) send(ctx context.Context) {
	defer f.writer.close()
	f.pace = pace.New()
	defer f.pace.Close()
	if f.recovered != nil {
		f.dispatch(ctx, f.recovered, func(ctx context.Context, _ *flight) error { return f.sole(ctx) })
	}
	for fl := range f.outbox {
		f.dispatch(ctx, fl, f.freeze)
	}
}

// dispatch delivers a flight, after a step without which nothing of it may be sent.
func (f *Flusher) dispatch(ctx context.Context, fl *flight, first func(context.Context, *flight) error) {
	f.metrics.sending(fl.since())
	for {
		err := first(ctx, fl)
		if !f.pause(ctx, fl, err) {
			f.handBack(fl)
			return
		}
		if err == nil {
			f.deliver(ctx, fl)
			return
		}
	}
}

// freeze decides what will be sent until it is stored, and keeps it on the disk where there is a spool.
func (f *Flusher) freeze(ctx context.Context, fl *flight) error {
	for _, p := range fl.parts {
		if p.number == 0 {
			f.namer.name(p)
		}
	}
	if err := f.sole(ctx); err != nil {
		return err
	}
	if outgrown(cap(f.frozen.Buf), fl.bytes) {
		f.frozen.Buf = nil
	}
	f.frozen.Reset()
	for _, p := range fl.parts {
		b := p.rows.data()
		var err error
		if p.before, err = f.writer.newestBlock(ctx, b.table, f.config.DedupWindow); err != nil {
			return err
		}
		if p.frozen, err = b.freeze(&f.frozen, p.name, f.pace); err != nil {
			return err
		}
		p.stamp = stampOf(p.name, p.frozen.digest(f.pace))
	}
	fl.whole = fl.parts
	return f.keep(fl)
}

// keep puts on the disk what the flight's parts are, before any of them is sent.
func (f *Flusher) keep(fl *flight) error {
	if f.journal == nil {
		return nil
	}
	err := f.journal.keep(fl, f.namer.last, f.aside, f.pace)
	fl.unkept = err != nil // it may be there all the same: what was before holds no more
	f.metrics.failing[spoolState].Store(fl.unkept)
	return err
}

// deliver sends the parts of a frozen flight until every row is stored or set aside, or ctx ends, and hands the flight back.
func (f *Flusher) deliver(ctx context.Context, fl *flight) {
	for p := fl.next(); p != nil; p = fl.next() {
		if !f.pause(ctx, fl, f.advance(ctx, fl, p)) {
			break
		}
	}
	if fl.done() && f.journal != nil {
		err := f.journal.settle(fl, f.namer.last, f.aside)
		f.metrics.failing[spoolState].Store(err != nil)
		if err != nil {
			f.log.Warn("spool state not written; a restart now would ask ClickHouse for the batch again", "error", err)
		}
	}
	f.handBack(fl)
}

// handBack gives a flight back to the collector.
func (f *Flusher) handBack(fl *flight) {
	f.metrics.sending(time.Time{})
	f.delivered <- fl
}

// advance does the next thing for a part; an error says what delivery waits for.
func (f *Flusher) advance(ctx context.Context, fl *flight, p *part) error {
	if fl.unkept {
		if err := f.keep(fl); err != nil {
			return err
		}
	}
	if p.refused != "" {
		return f.note(p)
	}
	err := f.store(ctx, fl, p)
	if err == nil && p.doubtful {
		err = f.writer.doubt(ctx, p.block().table, p.name, p.week)
	}
	if err != nil {
		return f.judge(ctx, fl, p, err)
	}
	f.taken(fl, p)
	return nil
}

// pause tells what went wrong and waits before the next attempt, longer each time; after a success it goes on at once. It
// reports false when ctx has ended.
func (f *Flusher) pause(ctx context.Context, fl *flight, err error) bool {
	if err == nil {
		f.wait = retryFirst
		f.teller.over(time.Now())
		return ctx.Err() == nil
	}
	if ctx.Err() != nil {
		return false
	}
	f.teller.failed(err, time.Now(), "batch", fl.parts[0].name, "rows", fl.rows, "next_try", f.wait)
	select {
	case <-time.After(f.wait/2 + rand.N(f.wait)):
	case <-ctx.Done():
	}
	f.wait = min(2*f.wait, retryMost)
	return ctx.Err() == nil
}

// store brings a part into ClickHouse once. After an attempt that ended without an answer it relies on the
// deduplication token only while ClickHouse must still know it, which also mends rollups that the attempt did not reach; later it looks
// whether the rows are there. Rollups that miss the part all the same are put right by the control process, see doubt.
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
	now, err := f.writer.newestBlock(ctx, p.block().table, f.config.DedupWindow)
	if err != nil || now == blockUnknown {
		return false, err
	}
	// Half of the window is left for what others insert until this part arrives, and for rollups, where the order may differ.
	return now >= p.before && now-p.before < int64(f.config.DedupWindow)/2, nil
}

// check looks whether a part is stored that was acknowledged after a doubtful attempt. A server killed between noting a
// token and keeping its rows acknowledges the token for ever without them: then the part gets another token.
func (f *Flusher) check(ctx context.Context, fl *flight, p *part) error {
	rows, err := f.writer.stored(ctx, p.block(), p.name, p.week)
	if err != nil || rows > 0 {
		return err
	}
	p.life++
	if err := f.keep(fl); err != nil {
		return err
	}
	return fmt.Errorf("ClickHouse acknowledged batch %s and does not hold it; it is sent under a new token", p.name)
}
