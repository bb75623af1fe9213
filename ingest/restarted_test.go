package ingest

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// restarted is a ClickHouse of a test's own that comes back on the same port whenever it ends: because a test
// kills it, or because the embedded engine aborts, as it may some seconds after clients were killed.
type restarted struct {
	t   *testing.T
	cfg engine.Config
	dsn string // of the edge user

	mu     sync.Mutex
	engine *engine.Engine
	ended  bool
	done   chan struct{}
}

func newRestarted(t *testing.T) *restarted {
	t.Helper()
	s := &restarted{t: t, cfg: chtest.Config(t), done: make(chan struct{})}
	var err error
	if s.engine, err = engine.Start(t.Context(), s.cfg); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(s.engine.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if s.cfg.NativePort, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	s.cfg.Users, s.dsn = s.engine.Users(), s.engine.DSN(engine.Edge)
	chtest.Use(t, s.engine)
	go s.watch()
	t.Cleanup(s.stop)
	return s
}

// watch starts the engine again each time it ends.
func (s *restarted) watch() {
	defer close(s.done)
	for {
		<-s.current().Done()
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			return
		}
		e, err := engine.Start(context.Background(), s.cfg)
		if err != nil {
			s.t.Errorf("start ClickHouse again: %v", err)
			s.mu.Unlock()
			return
		}
		s.engine = e
		s.mu.Unlock()
	}
}

func (s *restarted) current() *engine.Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine
}

// db connects to the engine as it is now.
func (s *restarted) db() *chtest.DB { return chtest.Use(s.t, s.current()) }

// kill kills the engine and returns when another runs.
func (s *restarted) kill() {
	s.t.Helper()
	e := s.current()
	process, err := os.FindProcess(e.Pid())
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	<-e.Done()
	for s.current() == e {
		if s.t.Failed() {
			s.t.FailNow()
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *restarted) stop() {
	s.mu.Lock()
	s.ended = true
	e := s.engine
	s.mu.Unlock()
	if err := e.Stop(context.Background()); err != nil {
		s.t.Error(err)
	}
	<-s.done
}
