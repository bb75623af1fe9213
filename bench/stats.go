package main

import "slices"

// median is the middle value, or the mean of the two middle ones; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// A place says what was measured when: samples of one round and stream were taken one right after the other.
type place struct {
	Round  int    `json:"round"`
	Stream string `json:"stream"`
	Name   string `json:"name"` // of the target or the writer
}

func (p place) at() place { return p }

type placed interface{ at() place }

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

// ratios compares a figure of two names round by round: neighbours in time had the same machine. A round that lacks one of
// the two does not count.
func ratios[S placed](samples []S, stream, name, base string, figure func(S) float64) []float64 {
	bases := map[int]float64{}
	for _, s := range samples {
		if p := s.at(); p.Stream == stream && p.Name == base {
			bases[p.Round] = figure(s)
		}
	}
	var values []float64
	for _, s := range samples {
		p := s.at()
		if p.Stream == stream && p.Name == name && bases[p.Round] != 0 {
			values = append(values, figure(s)/bases[p.Round])
		}
	}
	return values
}
