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

// A stall counts for every slice whose requests it delays, although the answers all come after it.
func TestOpenLoopCountsWhereRequestsWereDue(t *testing.T) {
	const (
		rate, per, total = 1000, 100, 400
		stall            = 150 * time.Millisecond // from the first request of the third slice on
	)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2*per+1 {
			time.Sleep(stall)
		}
		w.Header().Set("Location", "https://shop.bench.example/")
		w.WriteHeader(http.StatusFound)
	}))
	defer server.Close()
	s := &stream{requests: [][]byte{[]byte("GET / HTTP/1.1\r\nHost: go.bench.example\r\n\r\n")}}

	slices := map[int]latencies{}
	err := runSlices(t.Context(), server.Listener.Addr().String(), s, 1, slicing{
		rate: rate, requests: per,
		more: func(slice int) bool { return slice < total/per },
		done: func(slice int, seen latencies) { slices[slice] = seen },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(slices) != total/per || asked.Load() != total {
		t.Fatalf("%d slices of %d requests, want %d of %d", len(slices), asked.Load(), total/per, total)
	}
	for i, seen := range slices {
		if seen.Answered != per {
			t.Errorf("slice %d has %d answers, want %d", i, seen.Answered, per)
		}
	}
	// The first request of the third slice waits for all of the stall, the first of the fourth for what then is left of it.
	if least := float64(stall.Microseconds()); slices[2].Greatest < least {
		t.Errorf("the greatest latency of the third slice is %v µs, want at least %v", slices[2].Greatest, least)
	}
	if least := float64((stall - per*time.Second/rate).Microseconds()); slices[3].Greatest < least {
		t.Errorf("the greatest latency of the fourth slice is %v µs, want at least %v", slices[3].Greatest, least)
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
