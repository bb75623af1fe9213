package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"carom/deploy/engine"
)

const (
	// engineStopTimeout is how long the engine may take to put everything on disk; it needs a fraction of a second.
	engineStopTimeout = 30 * time.Second

	// An engine that ends more often than this is not started again.
	restartsMost = 10
	restartsSpan = time.Minute
)

// A keptEngine is an engine that is started again, on the same ports, when it dies. The embedded build aborts on
// an uncaught exception when a native login is refused or a client breaks off in the middle of one (seen with 26.7.3); clicks
// wait in the spool meanwhile.
type keptEngine struct {
	config  engine.Config
	log     *slog.Logger
	current atomic.Pointer[engine.Engine] // replaced by keep
	cancel  context.CancelFunc
	done    chan struct{} // closed when no engine runs any more
	err     error         // why, unless stop was called; set before done is closed
}

// startEngine starts the installed engine in dir and keeps it running until stop.
func startEngine(ctx context.Context, assets engine.Assets, dir string, ports enginePorts, log *slog.Logger) (*keptEngine, error) {
	config, err := engine.Default(assets, dir)
	if err != nil {
		return nil, err
	}
	config.NativePort, config.HTTPPort, config.Log = ports.NativePort, ports.HTTPPort, log
	first, err := engine.Start(ctx, config)
	if errors.Is(err, engine.ErrPortInUse) {
		return nil, fmt.Errorf("%w with --clickhouse-native-port or --clickhouse-http-port", err)
	}
	if err != nil {
		return nil, err
	}
	k := &keptEngine{config: config, log: log, done: make(chan struct{})}
	k.config.NativePort, k.config.HTTPPort = first.Ports()
	k.current.Store(first)
	keep, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k.cancel = cancel
	go k.keep(keep)
	return k, nil
}

// keep starts the engine again whenever it has died.
func (k *keptEngine) keep(ctx context.Context) {
	defer close(k.done)
	var deaths []time.Time
	for {
		e := k.current.Load()
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineStopTimeout)
			defer cancel()
			k.err = e.Stop(stop)
			return
		case <-e.Done():
		}
		if !k.revive(ctx, e.Err(), &deaths) {
			return
		}
	}
}

// revive starts the engine again until one lives through its start. It reports false when ctx ends, or, with k.err, after too many
// deaths.
func (k *keptEngine) revive(ctx context.Context, why error, deaths *[]time.Time) bool {
	for {
		now := time.Now()
		*deaths = append(*deaths, now)
		if n := len(*deaths); n > restartsMost && now.Sub((*deaths)[n-1-restartsMost]) < restartsSpan {
			k.err = fmt.Errorf("the ClickHouse engine ended %d times within %v (%s): %w", restartsMost+1, restartsSpan, deathAdvice, why)
			return false
		}
		k.log.Error("the ClickHouse engine ended and is started again", "error", why, "advice", deathAdvice)
		var next *engine.Engine
		if next, why = engine.Start(ctx, k.config); why == nil {
			k.current.Store(next)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
	}
}

// deathAdvice is what an operator can do about an engine that ends again and again.
const deathAdvice = "where it goes on, look for a client with a wrong user or password: a refused login ends the embedded engine"

func (k *keptEngine) engine() *engine.Engine { return k.current.Load() }

// stop ends the engine in order, or returns why it has ended already.
func (k *keptEngine) stop() error {
	k.cancel()
	<-k.done
	return k.err
}
