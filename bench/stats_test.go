package main

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{9, 1, 5, 7}, 6},
		{"one", []float64{3}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("%s: median of %v is %v, want %v", c.name, c.values, got, c.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v, want not a number", got)
	}
}

func TestMedianLeavesItsArgumentAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	median(values)
	if want := []float64{3, 1, 2}; !cmp.Equal(values, want) {
		t.Errorf("the values are %v now, want %v", values, want)
	}
}

// turnOf is a sample of a later turn.
func turnOf(turn int, s loadSample) loadSample {
	s.Turn = turn
	return s
}

func sampleOf(round int, stream, name string, requests uint64) loadSample {
	return loadSample{place: place{Round: round, Stream: stream, Name: name}, Requests: requests, Seconds: 1}
}

func TestRatiosPairNeighbours(t *testing.T) {
	samples := []loadSample{
		sampleOf(0, "hot", "carom", 90), sampleOf(0, "hot", "bare", 100),
		sampleOf(0, "random", "bare", 7),
		sampleOf(1, "hot", "bare", 50), sampleOf(1, "hot", "carom", 40),
		turnOf(1, sampleOf(1, "hot", "carom", 30)), turnOf(1, sampleOf(1, "hot", "bare", 60)),
		turnOf(2, sampleOf(1, "hot", "bare", 60)), sampleOf(2, "hot", "carom", 10), // the machine was busy with something else during their neighbours
	}
	got := ratios(samples, "hot", "carom", "bare", loadSample.perSecond)
	if want := []float64{0.9, 0.8, 0.5}; !cmp.Equal(got, want) {
		t.Errorf("ratios are %v, want %v", got, want)
	}
}

func TestUndisturbed(t *testing.T) {
	calm, busy := sampleOf(0, "hot", "bare", 1), sampleOf(1, "hot", "bare", 1)
	calm.Others, busy.Others = disturbed, disturbed+0.01
	samples := []loadSample{busy, calm, busy}
	got := undisturbed(samples, disturbed)
	if len(got) != 1 || got[0].Round != 0 {
		t.Errorf("%v are left, want the calm one", got)
	}
	if samples[0].Round != 1 {
		t.Error("the samples themselves were changed")
	}
}
