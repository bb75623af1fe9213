//go:build linux && amd64 && !edge

package engine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

const (
	inBuild    = true
	hasPackage = true
)

// callLibrary runs the engine of a shared library with a command line, program name first, and returns when it ends.
func callLibrary(path string, argv []string) error {
	library, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load the ClickHouse engine %s: %w", path, err)
	}
	var (
		query       func(argc int32, argv unsafe.Pointer) uintptr
		resultError func(result uintptr) string
	)
	purego.RegisterLibFunc(&query, library, "chdb_query_cmdline")
	purego.RegisterLibFunc(&resultError, library, "chdb_result_error")

	if err := closeInputOnSignal(); err != nil {
		return fmt.Errorf("run the ClickHouse engine: %w", err)
	}
	args := cStrings(argv)
	result := query(int32(len(argv)), unsafe.Pointer(&args[0]))
	runtime.KeepAlive(args)
	if message := resultError(result); message != "" {
		return errors.New(message)
	}
	return nil
}

// cStrings is a C argument vector: NUL-terminated strings and a closing nil.
func cStrings(args []string) []*byte {
	vector := make([]*byte, 0, len(args)+1)
	for _, arg := range args {
		vector = append(vector, unsafe.StringData(arg+"\x00"))
	}
	return append(vector, nil)
}

// closeInputOnSignal puts a pipe of our own on file descriptor 0, which the engine reads to learn when to stop, and
// closes it when the real standard input ends or a signal comes. The engine itself would die of the signal.
func closeInputOnSignal() error {
	input, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return fmt.Errorf("copy standard input: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make the engine's input: %w", err)
	}
	defer r.Close()
	if err := unix.Dup3(int(r.Fd()), 0, 0); err != nil {
		return fmt.Errorf("replace standard input: %w", err)
	}
	go func() {
		<-stopRequest(os.NewFile(uintptr(input), "stdin"))
		w.Close()
	}()
	return nil
}
