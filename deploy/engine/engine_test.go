package engine_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/goleak"

	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// parentVariable makes the test binary a process that starts an engine in the directory it names and waits to be killed.
const parentVariable = "CAROM_TEST_ENGINE_PARENT"

// stopLimit is far above the fraction of a second that a clean stop takes, for a machine with other things to do.
const stopLimit = 5 * time.Second

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" && !engine.IsChild(os.Args) {
		runParent(dir)
		return
	}
	chtest.Main(m)
}

func runParent(dir string) {
	assets, err := engine.Install(context.Background(), os.Stderr)
	if err != nil {
		panic(err)
	}
	cfg, err := engine.Default(assets, dir)
	if err != nil {
		panic(err)
	}
	if _, err := engine.Start(context.Background(), cfg); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("started\n")
	select {}
}

func TestRestartKeepsDataAndPasswords(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cfg := chtest.Config(t)
	cfg.Dir = filepath.Join(cfg.Dir, "a name & <odd> 'letters'")

	first := start(t, cfg)
	execute(t, first, "CREATE TABLE carom.t (n UInt8) ENGINE = MergeTree ORDER BY n")
	execute(t, first, "INSERT INTO carom.t VALUES (7)")
	began := time.Now()
	stop(t, first)
	if took := time.Since(began); took > stopLimit {
		t.Errorf("a clean stop took %s", took)
	}

	second := start(t, cfg)
	defer stop(t, second)
	if first.Users() != second.Users() {
		t.Error("the passwords changed")
	}
	var n uint8
	readRow(t, second, "SELECT n FROM carom.t", &n)
	if n != 7 {
		t.Errorf("n = %d after the restart, want 7", n)
	}
}

func TestStopIsRepeatable(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	for range 2 {
		stop(t, e)
	}
	if err := e.Err(); err != nil {
		t.Errorf("Err after Stop = %v", err)
	}
}

func TestStopKillsWhenItsTimeIsUp(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	signalTo(t, e.Pid(), syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := e.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop of a frozen engine = %v, want a deadline error", err)
	}
	if alive(e.Pid()) {
		t.Error("the frozen engine is alive")
	}
}

func TestSignalsEndTheEngineCleanly(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			e := chtest.Start(t, chtest.Config(t))
			signalTo(t, e.Pid(), signal)
			<-e.Done()
			if err := e.Err(); !errors.Is(err, engine.ErrExited) || !strings.Contains(err.Error(), "exit status 0") {
				t.Errorf("Err = %v, want ErrExited with exit status 0", err)
			}
		})
	}
}

func TestEngineKilled(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	signalTo(t, e.Pid(), syscall.SIGKILL)
	<-e.Done()
	if err := e.Err(); !errors.Is(err, engine.ErrExited) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Err = %v, want ErrExited that says killed", err)
	}
}

// A parent that dies without a word takes its engine with it, and the next start in the directory succeeds at once.
func TestKilledParent(t *testing.T) {
	cfg := chtest.Config(t)
	parent := startParent(t, cfg.Dir)
	child := childOf(t, parent.Process.Pid)
	signalTo(t, parent.Process.Pid, syscall.SIGKILL)

	e := start(t, cfg)
	defer stop(t, e)
	if alive(child) {
		t.Errorf("engine %d outlived its parent", child)
	}
}

// An engine that needs long to shut down is waited for. It shows by the lock that it has inherited and that no owner
// watches any more.
func TestDyingEngine(t *testing.T) {
	cfg := chtest.Config(t)
	lock, err := os.Create(filepath.Join(cfg.Dir, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}

	t.Run("longer than the wait", func(t *testing.T) {
		cfg := cfg
		cfg.DyingTimeout = 200 * time.Millisecond
		_, err := engine.Start(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), "has not ended within 200ms") {
			t.Errorf("Start = %v, want an error that says how long it waited", err)
		}
	})
	t.Run("within the wait", func(t *testing.T) {
		cfg := cfg
		log := newLineLog("waiting for the engine of a killed process")
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		go func() {
			<-log.seen
			lock.Close()
		}()
		stop(t, start(t, cfg))
	})
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	running := chtest.Start(t, chtest.Config(t))

	tests := []struct {
		name   string
		change func(*engine.Config)
		want   error
		says   string
	}{
		{"native port in use", func(c *engine.Config) { c.NativePort = port }, engine.ErrPortInUse, taken.Addr().String()},
		{"HTTP port in use", func(c *engine.Config) { c.HTTPPort = port }, engine.ErrPortInUse, taken.Addr().String()},
		{"directory of a live engine", func(c *engine.Config) { c.Dir = running.Dir() }, engine.ErrLocked, running.Dir()},
		{"engine that ends at once", shell("echo 'DB::Exception: out of luck' >&2"), engine.ErrExited, "out of luck"},
		{"engine that fails without a word", shell("exit 3"), engine.ErrExited, "exit status 3"},
		{"engine that never answers", neverAnswers, context.DeadlineExceeded, "no answer"},
		{"no such program", func(c *engine.Config) { c.Command = []string{"/nonexistent"} }, os.ErrNotExist, "/nonexistent"},
		{"directory that cannot be made", func(c *engine.Config) { c.Dir = "/dev/null/x" }, syscall.ENOTDIR, "/dev/null"},
		{"no database", func(c *engine.Config) { c.Databases = nil }, nil, "no database"},
		{"database name that is none", func(c *engine.Config) { c.Databases = []string{"a.b"} }, nil, `"a.b"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := chtest.Config(t)
			test.change(&cfg)
			_, err := engine.Start(t.Context(), cfg)
			if err == nil {
				t.Fatal("started")
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v is no %v", err, test.want)
			}
			if !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q is not one line with %q", err, test.says)
			}
		})
	}
}

// The passwords of a directory are its owner's alone, on disk and in what the engine is given on its command line.
func TestSecretsStayPrivate(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	for _, name := range []string{engine.UsersFile, "server.xml"} {
		info, err := os.Stat(filepath.Join(e.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
	}
	for _, file := range []string{filepath.Join(e.Dir(), "server.xml"), procFile(e.Pid(), "cmdline"), procFile(e.Pid(), "environ")} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range []string{engine.Admin, engine.Edge, engine.Analyst} {
			if bytes.Contains(content, []byte(e.Users().Password(user))) {
				t.Errorf("%s holds the password of %s", file, user)
			}
		}
	}
}

func TestEngineIgnoresConfigOfItsWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("config.xml", []byte("<clickhouse><broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop(t, start(t, chtest.Config(t)))
}

func TestTimezoneIsUTC(t *testing.T) {
	t.Setenv("TZ", "America/New_York")
	e := chtest.Start(t, chtest.Config(t))
	var zone string
	readRow(t, e, "SELECT timezone()", &zone)
	if zone != "UTC" {
		t.Errorf("timezone %s", zone)
	}
}

// A server binary is stopped by SIGTERM when the input of its child ends.
func TestServerBinary(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "clickhouse")
	const script = `#!/bin/sh
trap 'echo "stopped: $*" >&2; exit 0' TERM
echo started >&2
while :; do sleep 0.01; done
`
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "engine-child", "server", binary, "server", "--config-file=x.xml")
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output := newLineLog("started")
	child.Stderr = output
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	<-output.seen
	input.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := "stopped: server --config-file=x.xml"; !strings.Contains(output.String(), want) {
		t.Errorf("output %q lacks %q", output, want)
	}
}

func start(t *testing.T, cfg engine.Config) *engine.Engine {
	t.Helper()
	e, err := engine.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func stop(t *testing.T, e *engine.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func shell(script string) func(*engine.Config) {
	return func(c *engine.Config) { c.Command = []string{"/bin/sh", "-c", script} }
}

func neverAnswers(c *engine.Config) {
	shell("exec sleep 60")(c)
	c.StartTimeout = 200 * time.Millisecond
}

func startParent(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+dir)
	started := newLineLog("started")
	parent.Stdout, parent.Stderr = started, os.Stderr
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = parent.Process.Kill()
		_ = parent.Wait()
	})
	select {
	case <-started.seen:
	case <-time.After(time.Minute):
		t.Fatal("the parent has not started its engine")
	}
	return parent
}

// lineLog keeps what is written and tells when it first contains a text.
type lineLog struct {
	want string
	seen chan struct{}

	mu   sync.Mutex
	text strings.Builder
	once sync.Once
}

func newLineLog(want string) *lineLog { return &lineLog{want: want, seen: make(chan struct{})} }

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if strings.Contains(l.text.String(), l.want) {
		l.once.Do(func() { close(l.seen) })
	}
	return len(p), nil
}

func (l *lineLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// execute runs one statement as admin on a connection of its own.
func execute(t *testing.T, e *engine.Engine, statement string) {
	t.Helper()
	conn := adminConn(t, e)
	defer conn.Close()
	if err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// readRow reads one value likewise.
func readRow(t *testing.T, e *engine.Engine, query string, value any) {
	t.Helper()
	conn := adminConn(t, e)
	defer conn.Close()
	if err := conn.QueryRow(t.Context(), query).Scan(value); err != nil {
		t.Fatal(err)
	}
}

// adminConn needs no database.
func adminConn(t *testing.T, e *engine.Engine) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()},
		Auth: clickhouse.Auth{Username: engine.Admin, Password: e.Users().Admin},
	})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
