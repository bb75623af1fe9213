package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carom/control/lease"
)

const (
	// renewals is how often the lease is renewed within the time it lasts, and a standby looks at it.
	renewals = 4
	// askTimeout bounds a question to ClickHouse about the lease that somebody waits for.
	askTimeout = 2 * time.Second
)

// ErrStandby is wrapped by the refusal of a control process that does not write.
var ErrStandby = errors.New("this control process is a standby")

// A standbyError is ErrStandby with the address of the one that writes, empty where there is none.
type standbyError struct{ leader string }

func (e standbyError) Error() string {
	if e.leader == "" {
		return ErrStandby.Error() + ", and no other one writes at the moment: try again"
	}
	return fmt.Sprintf("%v: ask the one that writes, %s", ErrStandby, e.leader)
}
func (e standbyError) Unwrap() error { return ErrStandby }

// Standing says which control process writes.
type Standing struct {
	Leads  bool   // this one does
	Leader string // address of the one that does, empty where there is none
	Term   uint64 // number of its term (package lease)
}

// Standing returns what this process knows of who writes.
func (c *Control) Standing() Standing {
	newest := c.lease.Newest()
	s := Standing{Leads: c.leads.Load(), Term: newest.Number}
	if newest.Holder != "" {
		s.Leader = newest.Address
	}
	return s
}

// Leads is closed once this process has become the writer. It may be a standby again later.
func (c *Control) Leads() <-chan struct{} { return c.led }

// mayWrite is a standbyError unless this process writes.
func (c *Control) mayWrite() error {
	if c.leads.Load() {
		return nil
	}
	return standbyError{c.Standing().Leader}
}

// mayAnswer is mayWrite for what is answered from memory: a process that was stopped for a while asks whether it still writes, since
// what it remembers, such as whose token is valid, may be out of date.
func (c *Control) mayAnswer(ctx context.Context) error {
	if err := c.mayWrite(); err != nil || c.lease.Fresh() {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := c.lease.Check(ctx)
	if errors.Is(err, lease.ErrLost) {
		return standbyError{c.Standing().Leader}
	}
	return err
}

// takeOver claims the lease and reads what is stored; then this process writes. The error is lease.ErrHeld where another one does.
func (c *Control) takeOver(ctx context.Context, force bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.lease.Acquire(ctx, force); err != nil {
		return err
	}
	c.unconfirmed = nil // of an earlier term: ClickHouse has it or never will
	err := c.load(ctx)
	if err == nil {
		err = c.makeClusterKeys(ctx)
	}
	if err != nil {
		return errors.Join(err, c.lease.Release(ctx))
	}
	c.leads.Store(true)
	c.cfg.Log.Info("this control process writes", "term", c.lease.Newest().Number)
	select {
	case <-c.led:
	default:
		close(c.led)
	}
	return nil
}

// standBy reads what is stored, for what is wrong with it to show now.
func (c *Control) standBy(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cfg.Log.Info("this control process is a standby", "leader", c.Standing().Leader)
	if err := c.load(ctx); err != nil {
		return err
	}
	_, err := c.clickIDKeys()
	return err
}

// live keeps the lease, or waits for it, until ctx is done.
func (c *Control) live(ctx context.Context) {
	tick := time.NewTicker(c.cfg.Lease / renewals)
	defer tick.Stop()
	for ctx.Err() == nil {
		if c.leads.Load() {
			c.lead(ctx, tick.C)
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := c.takeOver(ctx, false); err != nil && !errors.Is(err, lease.ErrHeld) && ctx.Err() == nil {
			c.cfg.Log.Warn("a standby cannot take over, trying again", "err", err)
		}
	}
}

// lead renews the lease and does the writer's daily work until the lease is lost or ctx is done.
func (c *Control) lead(ctx context.Context, tick <-chan time.Time) {
	daily, cancel := context.WithCancel(ctx)
	turned := make(chan struct{})
	go func() {
		defer close(turned)
		c.turnVisitorKeys(daily)
	}()
	defer func() { cancel(); <-turned }()
	for {
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
		switch err := c.renew(ctx); {
		case errors.Is(err, lease.ErrLost):
			c.leads.Store(false)
			c.cfg.Log.Warn("another control process writes now, this one is a standby", "leader", c.Standing().Leader)
			return
		case err != nil && ctx.Err() == nil:
			c.cfg.Log.Warn("lease not renewed, trying again", "err", err)
		}
	}
}

func (c *Control) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return c.lease.Renew(ctx)
}

// resign gives the lease back, so that a standby need not wait for it.
func (c *Control) resign(ctx context.Context) {
	if !c.leads.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := c.lease.Release(ctx); err != nil {
		c.cfg.Log.Warn("lease not given back: a standby waits for its end", "err", err)
	}
}

// lost gives up the write that is open: another process writes now. The caller holds mu.
func (c *Control) lost(err error) error {
	c.unconfirmed = nil
	c.leads.Store(false)
	if errors.Is(err, ErrUnconfirmed) {
		return err
	}
	return standbyError{c.Standing().Leader}
}
