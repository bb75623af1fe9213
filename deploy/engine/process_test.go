package engine_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func signalTo(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// alive tells whether a process runs; one that has ended and waits to be reaped does not.
func alive(pid int) bool {
	status, err := os.ReadFile(procFile(pid, "stat"))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	_, state, _ := strings.Cut(string(status), ") ")
	return !strings.HasPrefix(state, "Z")
}

func procFile(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// childOf is the only child of a process.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	threads, err := os.ReadDir(procFile(pid, "task"))
	if err != nil {
		t.Fatal(err)
	}
	var children []string
	for _, thread := range threads {
		list, err := os.ReadFile(procFile(pid, "task/"+thread.Name()+"/children"))
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, strings.Fields(string(list))...)
	}
	if len(children) != 1 {
		t.Fatalf("process %d has children %v, want one", pid, children)
	}
	child, err := strconv.Atoi(children[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}
