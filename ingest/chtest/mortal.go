package chtest

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"carom/deploy/engine"
)

// A Mortal is a ClickHouse of a test's own that can be killed, frozen and taken away. It comes back on the same data and the
// same port whenever it ends: also when the embedded engine aborts, as it may some seconds after clients were killed.
type Mortal struct {
	t   testing.TB
	cfg engine.Config

	mu     sync.Mutex
	engine *engine.Engine
	away   bool // it is not to come back
	done   chan struct{}
}

// NewMortal starts one with the whole schema.
func NewMortal(t testing.TB) *Mortal {
	t.Helper()
	m := &Mortal{t: t, cfg: Config(t)}
	if err := m.start(); err != nil {
		t.Fatal(err)
	}
	m.cfg.NativePort, _ = m.engine.Ports()
	m.cfg.Users = m.engine.Users()
	t.Cleanup(func() {
		if e := m.leave(); e != nil {
			if err := stop(e); err != nil {
				t.Error(err)
			}
			<-m.done
		}
	})
	Use(t, m.engine)
	return m
}

// start runs an engine and watches it. The caller holds mu, or is alone.
func (m *Mortal) start() error {
	e, err := engine.Start(context.Background(), m.cfg)
	if err != nil {
		return err
	}
	m.engine, m.away, m.done = e, false, make(chan struct{})
	go m.watch(e, m.done)
	return nil
}

// watch starts another engine when this one ends.
func (m *Mortal) watch(e *engine.Engine, done chan struct{}) {
	<-e.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	defer close(done)
	if m.away {
		return
	}
	if err := m.start(); err != nil {
		m.engine, m.away = nil, true
		m.t.Errorf("start ClickHouse again: %v", err)
	}
}

// leave keeps it from coming back and returns the engine that runs, if one does.
func (m *Mortal) leave() *engine.Engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil
	}
	m.away = true
	return m.engine
}

// current is the engine that runs, nil while none does.
func (m *Mortal) current() *engine.Engine {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil
	}
	return m.engine
}

// DSN connects one of the engine's users; it stays the same.
func (m *Mortal) DSN(user string) string { return m.current().DSN(user) }

// Addr is host:port of the native protocol; it stays the same.
func (m *Mortal) Addr() string { return m.current().Addr() }

// DB connects to the engine as it is now.
func (m *Mortal) DB() *DB {
	m.t.Helper()
	return &DB{Name: m.cfg.Databases[0], Conn: Open(m.t, m.DSN(engine.Admin)), Addr: m.Addr()}
}

// Kill kills it and returns when another runs.
func (m *Mortal) Kill() {
	m.t.Helper()
	e := m.current()
	m.signal(e, syscall.SIGKILL)
	<-e.Done()
	for next := m.current(); next == e; next = m.current() {
		time.Sleep(10 * time.Millisecond)
	}
	if m.current() == nil {
		m.t.FailNow()
	}
}

// Freeze stops it where it stands; connections stay open and nothing answers.
func (m *Mortal) Freeze() { m.signal(m.current(), syscall.SIGSTOP) }

// Thaw lets it go on.
func (m *Mortal) Thaw() { m.signal(m.current(), syscall.SIGCONT) }

// Leave kills it and keeps it away.
func (m *Mortal) Leave() {
	m.t.Helper()
	e := m.leave()
	m.signal(e, syscall.SIGKILL)
	<-m.done
}

// Return brings it back.
func (m *Mortal) Return() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.start(); err != nil {
		m.t.Fatalf("start ClickHouse again: %v", err)
	}
}

func (m *Mortal) signal(e *engine.Engine, s syscall.Signal) {
	m.t.Helper()
	if e == nil {
		m.t.Fatal("ClickHouse does not run")
	}
	if err := syscall.Kill(e.Pid(), s); err != nil {
		m.t.Fatalf("signal ClickHouse: %v", err)
	}
}
