package main

import (
	"math"
	"slices"
)

// median is the middle value, or the mean of the two middle ones; not a number of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// A place says what was measured when: samples of one turn were taken one right after the other.
type place struct {
	Round  int    `json:"round"`
	Turn   int    `json:"turn"` // within the round and stream; of writers, the phase after which they wrote
	Stream string `json:"stream"`
	Name   string `json:"name"` // of the target or the writer
	// Others is what other processes used meanwhile, as a share of one CPU.
	Others float64 `json:"others"`
}

func (p place) at() place { return p }

type placed interface{ at() place }

// undisturbed leaves out samples during which others used more than a share of a CPU.
func undisturbed[S placed](samples []S, most float64) []S {
	return slices.DeleteFunc(slices.Clone(samples), func(s S) bool { return s.at().Others > most })
}

// each is a figure of every sample of a stream and name.
func each[S placed](samples []S, stream, name string, figure func(S) float64) []float64 {
	var values []float64
	for _, s := range samples {
		if p := s.at(); p.Stream == stream && p.Name == name {
			values = append(values, figure(s))
		}
	}
	return values
}

// ratios compares a figure of two names turn by turn: neighbours in time had the same machine.
func ratios[S placed](samples []S, stream, name, base string, figure func(S) float64) []float64 {
	return pairs(samples, stream, name, base, figure, func(a, b float64) float64 { return a / b })
}

// pairs combines a figure of two names turn by turn. A turn that lacks one of the two does not count.
func pairs[S placed](samples []S, stream, name, base string, figure func(S) float64, combine func(a, b float64) float64) []float64 {
	type moment struct{ round, turn int }
	bases := map[moment]float64{}
	for _, s := range samples {
		if p := s.at(); p.Stream == stream && p.Name == base {
			bases[moment{p.Round, p.Turn}] = figure(s)
		}
	}
	var values []float64
	for _, s := range samples {
		p := s.at()
		if b, paired := bases[moment{p.Round, p.Turn}]; paired && p.Stream == stream && p.Name == name {
			values = append(values, combine(figure(s), b))
		}
	}
	return values
}
