package faults

import (
	"testing"
	"time"
)

// patience is far more than anything takes that a test waits for, for machines that are busy.
const patience = 2 * time.Minute

// Await waits until holds reports true, and ends the test where it does not in two minutes. what says what should have come true.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it has not come true within %v: %s", patience, what)
		}
	}
}
