package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A result is every sample of a run. Times are in seconds and microseconds as the names say.
type result struct {
	Machine       machine         `json:"machine"`
	Options       options         `json:"options"`
	LocationBytes int             `json:"location_bytes"` // of every answer's Location
	Memory        memory          `json:"memory_bytes"`
	Clicks        clickAccount    `json:"clicks"`
	Loads         []loadSample    `json:"closed_loop"`
	Latencies     []latencySample `json:"open_loop"`
	Flushes       []flushSample   `json:"writers"`
	Outage        *outageResult   `json:"outage,omitempty"`
	Scale         *scaleResult    `json:"scale,omitempty"`
}

type machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// memory of a Carom node, see bench.memory.
type memory struct {
	Loaded  uint64 `json:"loaded"`  // nothing asked yet
	AtRate  uint64 `json:"at_rate"` // peak
	Flooded uint64 `json:"flooded"` // peak
}

// clickAccount compares the requests on links that Carom answered with its rows in ClickHouse.
type clickAccount struct {
	Answered uint64 `json:"answered"`
	Stored   uint64 `json:"stored"`
	Dropped  uint64 `json:"dropped"`
}

// A loadSample is one target under the closed loop once.
type loadSample struct {
	place

	Requests uint64  `json:"requests"`
	Seconds  float64 `json:"seconds"`
	CPU      usage   `json:"cpu"`
	Busy     float64 `json:"busy"` // share of its CPU that the server used: well below 1 the load was the limit, or others were
}

func (s loadSample) perSecond() float64 { return float64(s.Requests) / s.Seconds }

// microsEach is the server's CPU time for one request.
func (s loadSample) microsEach() float64 { return micros(s.CPU.total(), int(s.Requests)) }

// A latencySample is one target under the open loop once.
type latencySample struct {
	place
	latencies
}

// A flushSample is rows that went into clicks once. Its CPU is Carom's or, for a ceiling, the engine's.
type flushSample struct {
	place
	flush
}

// micros is CPU time per item; not a number of none.
func micros(seconds float64, items int) float64 {
	if items == 0 {
		return math.NaN()
	}
	return 1e6 * seconds / float64(items)
}

// thisMachine leaves empty what the system does not tell.
func thisMachine() machine {
	m := machine{Go: runtime.Version(), CPUs: runtime.NumCPU()}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(info), "model name\t: ")
		m.CPU, _, _ = strings.Cut(rest, "\n")
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

func (r *result) writeJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}
