package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The production edge binary is static, so that it runs in an empty container, and says that it has no engine.
func TestEdgeBuild(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "carom")
	build := exec.Command("go", "build", "-tags", "edge", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %s: it is not static", segment.Type)
		}
	}

	run := exec.Command(binary, "clickhouse", "--data", t.TempDir())
	var errOut bytes.Buffer
	run.Stderr = &errOut
	var exit *exec.ExitError
	if err := run.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("carom clickhouse: %v, want exit code %d", err, exitFailed)
	}
	if !strings.Contains(errOut.String(), "not in this build") {
		t.Errorf("carom clickhouse says %q", errOut.String())
	}
}
