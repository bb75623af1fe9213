// Package faults makes accidents happen to tests: disks that fill up, break or lose their power, answers that get lost. It is
// for tests only.
//
// The tests that use it are the fault suite. It has a short form in every run, and a long one with CAROM_FAULTS=long; both are
// seeded, and CAROM_TEST_SEED repeats a run. File systems can be mounted by root only: elsewhere the tests that need one are
// skipped with a message, but never in CI or in the long form, where they fail.
package faults

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// The environment that the suite heeds.
const (
	formVariable = "CAROM_FAULTS"
	seedVariable = "CAROM_TEST_SEED"
)

// Long reports whether the long form was asked for.
func Long() bool { return os.Getenv(formVariable) == "long" }

// Rounds is how often an accident happens: short times, long times in the long form, and only a few under -short, where the
// race detector makes everything slow.
func Rounds(short, long int) int {
	switch {
	case Long():
		return long
	case testing.Short():
		return min(short, 3)
	}
	return short
}

// Random is a source of accidents that can be had again: the test's log says how.
func Random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s=%s: must be a number: %v", seedVariable, s, err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// cannot ends a test whose accident cannot be had here.
func cannot(t testing.TB, what string, err error) {
	t.Helper()
	if Long() || os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v; the fault suite needs root here", what, err)
	}
	t.Skipf("%s: %v; run as root to have this accident", what, err)
}
