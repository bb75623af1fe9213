package redirect

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Clients that connect anew for each request never notice a stop: whoever got in is answered, all others are told that nobody
// listens any more. Several rounds, since what must not happen is rare.
func TestStopResetsNobody(t *testing.T) {
	for range 5 {
		e := newEdge(t, func(c *Config) { c.Linger = 50 * time.Millisecond })
		request := wire("GET /" + glowCode(linkLive) + " HTTP/1.1\nHost: go.glow.test")
		var answered atomic.Int64
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				for {
					conn, err := net.DialTimeout("tcp", e.server.Addr().String(), 200*time.Millisecond)
					if err != nil && e.server.leaving.Load() {
						return // ignored, or refused: it was told
					}
					if err != nil {
						continue
					}
					if err := exchange(conn, request); err != nil {
						t.Errorf("whoever got in was not answered, after %d requests: %v", answered.Load(), err)
					}
					conn.Close()
					answered.Add(1)
				}
			})
		}
		for answered.Load() < 100 {
			time.Sleep(time.Millisecond)
		}
		if err := e.server.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		clients.Wait()
		if clicks := len(e.take()); int64(clicks) != answered.Load() {
			t.Errorf("%d clicks recorded of %d answered", clicks, answered.Load())
		}
	}
}

// exchange sends a request and waits for its redirect.
func exchange(conn net.Conn, request string) error {
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusFound {
		return errors.New(response.Status)
	}
	return nil
}
