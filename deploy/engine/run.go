package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// childArg marks, as first argument, a process that was started to be the engine. The form of the engine, its file and
// its own arguments follow.
const (
	childArg    = "engine-child"
	formLibrary = "library"
	formServer  = "server"
)

// IsChild tells whether a command line is that of an engine's child; its main function then does nothing but [Run].
func IsChild(args []string) bool { return len(args) > 4 && args[1] == childArg }

// Run is the engine's child: it runs the engine in this process and returns when the standard input was closed, or a
// SIGINT, SIGTERM or SIGHUP came, and the engine has put everything on disk. It takes os.Args as [Start] composed them.
func Run(args []string) error {
	if !inBuild {
		return ErrNotInBuild
	}
	if !IsChild(args) {
		return errors.New("run the ClickHouse engine: started by hand; use carom clickhouse")
	}
	form, file, engineArgs := args[2], args[3], args[4:]
	if form == formServer {
		return runServer(file, engineArgs)
	}
	return callLibrary(file, engineArgs)
}

// stopRequest is closed when the input ends or a signal to stop comes.
func stopRequest(input io.Reader) <-chan struct{} {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		defer stop()
		// A read error ends the input as its end does.
		_, _ = io.Copy(io.Discard, input)
	}()
	return ctx.Done()
}

// runServer runs a clickhouse binary, which stops cleanly on SIGTERM. It is not stopped when this child is killed
// outright; the embedded engine is.
func runServer(binary string, args []string) error {
	server := exec.Command(binary, args...)
	server.Stdout, server.Stderr = os.Stderr, os.Stderr
	if err := server.Start(); err != nil {
		return fmt.Errorf("run %s: %w", binary, err)
	}
	go func() {
		<-stopRequest(os.Stdin)
		// An error means that the server has ended already.
		_ = server.Process.Signal(syscall.SIGTERM)
	}()
	if err := server.Wait(); err != nil {
		return fmt.Errorf("run %s: %w", binary, err)
	}
	return nil
}
