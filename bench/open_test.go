package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// One stall delays all that falls due while it lasts. A closed loop would have seen one slow request.
func TestOpenLoopCountsWhatAStallDelays(t *testing.T) {
	const (
		rate, stall = 1000, 100 * time.Millisecond
		total       = 300
	)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == total/2 {
			time.Sleep(stall)
		}
		w.Header().Set("Location", "https://shop.bench.example/")
		w.WriteHeader(http.StatusFound)
	}))
	defer server.Close()
	s := &stream{requests: [][]byte{[]byte("GET / HTTP/1.1\r\nHost: go.bench.example\r\n\r\n")}}

	got, err := runOpen(t.Context(), server.Listener.Addr().String(), s, 1, rate, total*time.Second/rate)
	if err != nil {
		t.Fatal(err)
	}
	if got.Answered != total || asked.Load() != total {
		t.Errorf("%d answers to %d requests, want %d of each", got.Answered, asked.Load(), total)
	}
	if got.Greatest < float64(stall.Microseconds()) {
		t.Errorf("the greatest latency is %v µs, shorter than the stall", got.Greatest)
	}
	// Of 300 requests about 100 were due during the stall: the 95th percentile is deep within them.
	if p95 := float64((stall / 2).Microseconds()); got.P99 < p95 {
		t.Errorf("p99 is %v µs, want at least %v: delayed requests are not counted", got.P99, p95)
	}
}

func TestOpenLoopRefusesOtherAnswers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	s := &stream{requests: [][]byte{[]byte("GET / HTTP/1.1\r\nHost: go.bench.example\r\n\r\n")}}
	if _, err := runOpen(t.Context(), server.Listener.Addr().String(), s, 1, 1000, 10*time.Millisecond); err == nil {
		t.Error("a server that answers 404 was measured")
	}
}
