package main

import (
	"bytes"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// How long a command may take to do what it was told: far more than it needs, for machines that are busy.
const (
	startLimit = 60 * time.Second
	stopLimit  = 120 * time.Second
)

// A program is a carom command in a process of its own.
type program struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errOut transcript
	ended       chan struct{}
}

// spawn starts a command. What still runs at the end of the test is interrupted.
func spawn(t *testing.T, args ...string) *program {
	t.Helper()
	return launch(t, process(t, args...))
}

// launch is spawn for a process that was prepared otherwise.
func launch(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, cmd: cmd, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errOut
	// A process group of its own, as a shell would give it: Ctrl-C goes to the whole group.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // code tells
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			p.interrupt()
		}
		if t.Failed() {
			t.Logf("carom %s:\n%s%s", strings.Join(cmd.Args[1:], " "), p.out.String(), p.errOut.String())
		}
	})
	return p
}

// expect waits until the standard output matches pattern and returns the match.
func (p *program) expect(pattern string) []string {
	p.t.Helper()
	return p.await(&p.out, pattern)
}

// await waits until text matches pattern and returns the match.
func (p *program) await(text *transcript, pattern string) []string {
	p.t.Helper()
	expression := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(startLimit); ; {
		running := true
		select {
		case <-p.ended:
			running = false
		default:
		}
		if match := expression.FindStringSubmatch(text.String()); match != nil {
			return match
		}
		if !running || time.Now().After(deadline) {
			p.t.Fatalf("carom %s: no %q in its output", strings.Join(p.cmd.Args[1:], " "), pattern)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// interrupt is Ctrl-C; it returns the exit code.
func (p *program) interrupt() int {
	p.t.Helper()
	return p.signal(-p.cmd.Process.Pid, syscall.SIGINT)
}

// terminate is what a supervisor does; it returns the exit code.
func (p *program) terminate() int {
	p.t.Helper()
	return p.signal(p.cmd.Process.Pid, syscall.SIGTERM)
}

// kill ends the process without a chance to do anything.
func (p *program) kill() {
	p.t.Helper()
	p.signal(p.cmd.Process.Pid, syscall.SIGKILL)
}

func (p *program) signal(pid int, signal syscall.Signal) int {
	p.t.Helper()
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.t.Error(err)
	}
	return p.wait()
}

// wait returns the exit code; a process that does not end is killed and fails the test.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
		p.t.Errorf("carom %s does not end", strings.Join(p.cmd.Args[1:], " "))
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// A transcript is what a process has written so far.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
