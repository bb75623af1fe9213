package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const (
	// reachTimeout bounds a look whether ClickHouse answers. Each address that takes no connection adds two seconds.
	reachTimeout = 2 * time.Second
	// reachAge is how long an answer stands, so that whoever asks for /readyz cannot keep ClickHouse busy.
	reachAge = time.Second
)

// A reachability knows whether ClickHouse answers.
type reachability struct {
	conn driver.Conn

	mu    sync.Mutex // held while ClickHouse is asked: one look at a time
	asked time.Time
	err   error
}

// ready says why a control process is of no use now, or nil.
func (r *reachability) ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) < reachAge {
		return r.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reachTimeout)
	defer cancel()
	if r.err = r.conn.Ping(ctx); r.err != nil {
		r.err = fmt.Errorf("ClickHouse does not answer: see that it runs and can be reached: %w", r.err)
	}
	r.asked = time.Now()
	return r.err
}
