package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is a server that was started to be measured. It runs on a CPU of its own and only while it is measured:
// resume and pause bracket that, so that the idle chores of one server cost the others nothing.
type process struct {
	name  string
	addr  string // of its public listener
	admin string // URL that serves profiles, empty for none
	cmd   *exec.Cmd
	said  *tail
	done  chan struct{}
}

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
	startPoll    = 20 * time.Millisecond
)

// startProcess starts cmd on a CPU and waits until addr takes connections.
func startProcess(ctx context.Context, name, addr string, cpu int, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, addr: addr, cmd: cmd, said: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.said, p.said
	// A killed bench takes its servers with it. An interrupt typed at the terminal is for bench alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := startOn(cpu, cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	err := poll(ctx, startTimeout, startPoll, func() error {
		if !p.alive() {
			return errEnded
		}
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s on %s: %w: %s", name, addr, err, p.said)
	}
	return p, nil
}

// errEnded ends a poll for a process that is gone.
var errEnded = errors.New("it ended")

// poll calls try until it returns nil or errEnded, or the time is up.
func poll(ctx context.Context, limit, every time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(every):
		}
	}
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// pids are the process and its children: nginx works in one.
func (p *process) pids() []int {
	pid := p.cmd.Process.Pid
	pids := []int{pid}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil { // it has ended
		return pids
	}
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

func (p *process) resume() { p.signal(syscall.SIGCONT) }
func (p *process) pause()  { p.signal(syscall.SIGSTOP) }

// during runs do while the process is not stopped.
func (p *process) during(do func() error) error {
	p.resume()
	defer p.pause()
	return do()
}

// signal ignores errors: a process that has ended needs none.
func (p *process) signal(s syscall.Signal) {
	for _, pid := range p.pids() {
		_ = syscall.Kill(pid, s)
	}
}

// stop ends the process, in the end by force.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // first, so that it finds the sign when it goes on
	p.resume()
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// freeAddr is an address of the loopback that nobody listens on at the moment.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// tail keeps the end of what a process prints, for when it fails.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4 << 10

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
