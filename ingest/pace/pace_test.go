package pace

import (
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Somebody who waits for the network goes on after a step or two, though work never ends and there is one processor.
func TestStep(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	client, server := pair(t)
	var answers atomic.Int32
	go func() {
		for b := make([]byte, 1); ; answers.Add(1) {
			if _, err := server.Read(b); err != nil {
				return
			}
		}
	}()
	p := New()
	defer p.Close()
	for round := range int32(100) {
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		for steps := 0; answers.Load() <= round; {
			before := p.began
			if p.Step(); p.began != before {
				steps++
			}
			if steps > 2 {
				t.Fatalf("request %d waits after %d steps", round, steps)
			}
		}
	}
}

// Where a processor is left to the requests nothing is done.
func TestStepNowhere(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(few + 1))
	p := New()
	defer p.Close()
	if p.door != nil {
		t.Error("work steps aside though a processor is left")
	}
	p.Step()
	if !p.began.IsZero() {
		t.Error("a step was taken")
	}
}

// BenchmarkStep is a step aside while no request waits.
func BenchmarkStep(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := New()
	defer p.Close()
	for b.Loop() {
		p.began = time.Time{}
		p.Step()
	}
}

// pair is a connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return client, server
}
