package engine

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// readyPoll is how often a starting engine is asked; it needs 100 to 400 ms.
const readyPoll = 20 * time.Millisecond

// waitReady returns when the engine answers on both ports, has ended, or the time is up.
func (e *Engine) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.StartTimeout)
	defer cancel()
	began := time.Now()
	for {
		err := e.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-e.done:
			return fmt.Errorf("%w before it answered: %s", ErrExited, e.last)
		case <-ctx.Done():
			return fmt.Errorf("no answer on %s and %s within %s: %w: %w", e.Addr(), e.HTTPURL(), time.Since(began).Round(time.Millisecond), ctx.Err(), err)
		case <-time.After(readyPoll):
		}
	}
}

// ping asks by HTTP and by the native protocol, each on a connection of its own.
func (e *Engine) ping(ctx context.Context) error {
	if err := e.pingHTTP(ctx); err != nil {
		return err
	}
	return e.pingNative(ctx)
}

func (e *Engine) pingHTTP(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.HTTPURL()+"/ping", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s/ping: %s", e.HTTPURL(), response.Status)
	}
	return nil
}

func (e *Engine) pingNative(ctx context.Context) error {
	conn, err := e.openAdmin()
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Ping(ctx)
}

// makeDefaultDatabase makes the database in which analysts land, where there is one, before the schema does: nobody gets
// into one that does not exist, and the embedded engine (26.7) aborts after a native login that was refused.
func (e *Engine) makeDefaultDatabase(ctx context.Context) error {
	if len(e.cfg.Databases) != 1 {
		return nil
	}
	conn, err := e.openAdmin()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+e.cfg.Databases[0]); err != nil {
		return fmt.Errorf("make the database %s: %w", e.cfg.Databases[0], err)
	}
	return nil
}

// openAdmin connects in a database that exists from the beginning.
func (e *Engine) openAdmin() (driver.Conn, error) {
	options, err := clickhouse.ParseDSN(e.dsn(Admin, "system"))
	if err != nil {
		return nil, err
	}
	return clickhouse.Open(options)
}
