package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// disturbed is how much others may use of the two CPUs, 1 being a whole one, before a measurement does not count.
	disturbed = 0.15
	// disturbedOpen is the same under the open loop, which on a quiet machine shows 0.14 to 0.25: CPUs that fall idle between
	// requests are woken tens of thousands of times a second, and that, the kernel's interrupts and its writing of a spool are nobody's.
	disturbedOpen = 0.30
	quietFor      = 300 * time.Millisecond
	quietWait     = 30 * time.Second
)

// A watch tells what processes that are no part of the bench used of its two CPUs since it began.
type watch struct {
	began time.Time
	idle  float64 // of both CPUs, seconds
	ours  float64
}

func (b *bench) watch() (w watch, err error) {
	w.began = time.Now()
	for _, cpu := range []int{b.cpus.server, b.cpus.load} {
		idle, err := idleOf(cpu)
		if err != nil {
			return w, err
		}
		w.idle += idle
	}
	pids := []int{os.Getpid()}
	if b.engine != nil {
		pids = append(pids, b.engine.Pid())
	}
	for _, p := range b.servers() {
		pids = append(pids, p.pids()...)
	}
	u, err := usageOf(pids)
	if err != nil {
		return w, err
	}
	_, ended, err := readUsage(os.Getpid()) // wrk, every time
	w.ours = u.total() + ended.total()
	return w, err
}

// others is the share of one CPU that others used since w; idle time counts in ticks, so it can be a little below 0.
func (b *bench) others(w watch) (float64, error) {
	now, err := b.watch()
	if err != nil {
		return 0, err
	}
	wall := now.began.Sub(w.began).Seconds()
	return 2 - (now.idle-w.idle+now.ours-w.ours)/wall, nil
}

// quiet waits for a moment in which others leave the CPUs alone, and goes on without when there is none for long.
func (b *bench) quiet(ctx context.Context) error {
	for deadline := time.Now().Add(quietWait); time.Now().Before(deadline); {
		w, err := b.watch()
		if err != nil {
			return err
		}
		select {
		case <-time.After(quietFor):
		case <-ctx.Done():
			return ctx.Err()
		}
		if others, err := b.others(w); err != nil || others < disturbed {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "other processes keep the machine busy; what they disturb does not count\n")
	return nil
}
