//go:build !race

package pace

import (
	"runtime"
	"testing"
	"time"
)

func TestStepAllocates(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := New()
	defer p.Close()
	if n := testing.AllocsPerRun(100, func() {
		p.began = time.Time{}
		p.Step()
	}); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}
