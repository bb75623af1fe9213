package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	// ErrLocked says that a living process runs an engine in the data directory.
	ErrLocked = errors.New("the data directory is in use")

	// ErrPortInUse says that another process listens on a port that was asked for.
	ErrPortInUse = errors.New("the port is in use")

	// ErrExited says that the engine ended before it answered.
	ErrExited = errors.New("the engine ended")
)

// ownerGrace is how long a process that was killed may take to vanish with its locks.
const ownerGrace = time.Second

// portTries is how often a start on free ports is tried: another process may take one between its choice and its use.
const portTries = 3

// Engine is a running engine.
type Engine struct {
	cfg   Config
	cmd   *exec.Cmd
	input io.WriteCloser // closed once, by Stop: the engine's sign to end
	close sync.Once
	stops atomic.Bool   // Stop was called: the end is no error
	done  chan struct{} // closed by watch, after it has written last
	last  string        // the line that tells best why the engine ended
}

// Start runs the engine in a child process and returns when both of its ports answer. It fails at once, with
// [ErrLocked] or [ErrPortInUse], where another engine holds the directory or somebody a port; it waits for an engine in
// the same directory that is still shutting down because its owner was killed. ctx bounds the start only: from then on the
// engine runs until Stop, its own death or this process's.
func Start(ctx context.Context, cfg Config) (*Engine, error) {
	if !inBuild {
		return nil, ErrNotInBuild
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("start ClickHouse: %w", err)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start ClickHouse in %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start ClickHouse in %s: %w", dir, err)
	}
	e, err := start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start ClickHouse in %s: %w", dir, err)
	}
	return e, nil
}

// start tries again where a port that it chose itself was taken in between.
func start(ctx context.Context, cfg Config) (*Engine, error) {
	for try := 1; ; try++ {
		e, err := startOnce(ctx, cfg)
		free := cfg.NativePort == 0 || cfg.HTTPPort == 0
		if err == nil || !free || try == portTries || !strings.Contains(err.Error(), "Address already in use") {
			return e, err
		}
	}
}

func startOnce(ctx context.Context, cfg Config) (*Engine, error) {
	owner, err := own(ctx, cfg.Dir)
	if err != nil {
		return nil, err
	}
	e, err := spawn(ctx, cfg, owner)
	if err != nil {
		owner.Close()
		return nil, err
	}
	return e, nil
}

// own takes the directory for this process.
func own(ctx context.Context, dir string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, ownerGrace)
	defer cancel()
	path := filepath.Join(dir, "owner.lock")
	owner, err := waitLock(ctx, path, nil)
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("%w by process %s: stop it, or name another directory", ErrLocked, holder(path))
	}
	return owner, err
}

// spawn runs the child and waits until it answers.
func spawn(ctx context.Context, cfg Config, owner *os.File) (*Engine, error) {
	var err error
	if cfg.Users == (Users{}) {
		if cfg.Users, err = loadUsers(cfg.Dir); err != nil {
			return nil, err
		}
	}
	running, err := waitForDying(ctx, cfg)
	if err != nil {
		return nil, err
	}
	// The child inherits this lock and holds it until its last moment; this process must not.
	defer running.Close()

	if cfg.NativePort, err = reservePort(cfg.NativePort); err != nil {
		return nil, err
	}
	if cfg.HTTPPort, err = reservePort(cfg.HTTPPort); err != nil {
		return nil, err
	}
	if err := cfg.writeServerFile(); err != nil {
		return nil, err
	}

	cmd := exec.Command(cfg.Command[0], append(cfg.Command[1:], cfg.argv()...)...)
	cmd.Dir = cfg.Dir
	cmd.Env = append(append(os.Environ(), "TZ=UTC"), cfg.Env...)
	cmd.ExtraFiles = []*os.File{running}
	// An interrupt typed at the terminal goes to the foreground's process group; the engine is told by its pipe instead.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}

	e := &Engine{cfg: cfg, cmd: cmd, input: input, done: make(chan struct{})}
	go e.watch(output, owner)
	err = e.waitReady(ctx)
	if err == nil {
		err = e.makeDefaultDatabase(ctx)
	}
	if err != nil {
		e.kill()
		return nil, err
	}
	return e, nil
}

// waitForDying takes the lock that an engine holds through its whole life. The directory's owner is this process by now,
// so whoever holds it has lost its own and is on its way down.
func waitForDying(ctx context.Context, cfg Config) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.DyingTimeout)
	defer cancel()
	path := filepath.Join(cfg.Dir, "engine.lock")
	running, err := waitLock(ctx, path, func() {
		cfg.Log.Info("waiting for the engine of a killed process to end", "dir", cfg.Dir)
	})
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("the engine of a killed process, started by process %s, has not ended within %s: end it by hand", holder(path), cfg.DyingTimeout)
	}
	return running, err
}

// reservePort returns port, or a free one for 0, after making sure that it can be bound.
func reservePort(port int) (int, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("%w: %s: stop what listens there, or name another port", ErrPortInUse, address)
	}
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// watch logs what the engine prints until it ends, then gives up the directory.
func (e *Engine) watch(output io.Reader, owner *os.File) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if e.last == "" || strings.Contains(line, "Exception") {
			e.last = line
		}
		e.cfg.Log.Warn("ClickHouse", "line", line)
	}
	// A line beyond the scanner's limit ends the log, not the engine: the pipe must not fill up.
	_, _ = io.Copy(io.Discard, output)
	// The error of Wait is the same state.
	_ = e.cmd.Wait()
	if e.last == "" {
		e.last = e.cmd.ProcessState.String()
	}
	owner.Close()
	close(e.done)
}

// Stop ends the engine cleanly and waits for it; the tables are on disk when it returns nil. When ctx ends first the
// engine is killed, which loses nothing that it had acknowledged. Stopping twice is harmless.
func (e *Engine) Stop(ctx context.Context) error {
	e.stops.Store(true)
	e.closeInput()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		e.kill()
		return fmt.Errorf("stop ClickHouse in %s: killed: %w", e.cfg.Dir, ctx.Err())
	}
}

// closeInput tells the engine to end. An error means that it has ended already.
func (e *Engine) closeInput() { e.close.Do(func() { _ = e.input.Close() }) }

// kill ends the engine at once. An error means that it has ended already.
func (e *Engine) kill() {
	_ = e.cmd.Process.Kill()
	<-e.done
	e.closeInput()
}

// Done is closed when the engine has ended, for whatever reason.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Err tells, once Done is closed, why the engine ended: nil after Stop, [ErrExited] otherwise.
func (e *Engine) Err() error {
	if e.stops.Load() {
		return nil
	}
	return fmt.Errorf("run ClickHouse in %s: %w: %s", e.cfg.Dir, ErrExited, e.last)
}

// Pid is the child's process id.
func (e *Engine) Pid() int { return e.cmd.Process.Pid }

// Dir is the data directory, absolute.
func (e *Engine) Dir() string { return e.cfg.Dir }

// Addr is the host and port of the native protocol.
func (e *Engine) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(e.cfg.NativePort)) }

// HTTPURL is the address of the HTTP interface; /play there is a query page.
func (e *Engine) HTTPURL() string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(e.cfg.HTTPPort))
}

// Ports are those of Addr and HTTPURL: an engine that is to come back where this one was gets them in its Config.
func (e *Engine) Ports() (native, http int) { return e.cfg.NativePort, e.cfg.HTTPPort }

// Users are the passwords in force.
func (e *Engine) Users() Users { return e.cfg.Users }

// DSN connects a user, one of [Admin], [Edge] and [Analyst], to the first database by the native protocol. It holds the
// password.
func (e *Engine) DSN(user string) string { return e.dsn(user, e.cfg.Databases[0]) }

func (e *Engine) dsn(user, database string) string {
	dsn := url.URL{
		Scheme: "clickhouse",
		User:   url.UserPassword(user, e.cfg.Users.Password(user)),
		Host:   e.Addr(),
		Path:   "/" + database,
	}
	return dsn.String()
}
