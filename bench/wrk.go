package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed wrk.lua
var wrkScript []byte

// wrk is the closed-loop generator: it shows how much a server can do, and nothing about latency.
type wrk struct {
	program, script string
	conns           int
	runs            int // seeds the choice of requests
}

func newWrk(dir string, conns int) (*wrk, error) {
	program, err := findProgram("wrk", "wrk")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "wrk.lua")
	return &wrk{program: program, script: script, conns: conns}, os.WriteFile(script, wrkScript, 0o600)
}

// A load is what a generator did.
type load struct {
	requests uint64
	took     time.Duration
}

// run drives addr for a while, in whole seconds. Any answer but a redirect, and any failed connection, is an error.
func (w *wrk) run(ctx context.Context, addr string, s *stream, d time.Duration) (load, error) {
	w.runs++
	seconds := max(1, int(math.Ceil(d.Seconds())))
	cmd := exec.CommandContext(ctx, w.program, "-t1", fmt.Sprint("-c", w.conns), fmt.Sprintf("-d%ds", seconds),
		"-s", w.script, "http://"+addr, "--", s.file, fmt.Sprint(w.runs))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("drive %s with wrk: %w: %s", addr, errors.Join(err, ctx.Err()), bytes.TrimSpace(out))
	}
	l, err := parseWrk(string(out))
	if err != nil {
		err = fmt.Errorf("drive %s with wrk: %w", addr, err)
	}
	return l, err
}

// parseWrk reads the line that wrk.lua prints last.
func parseWrk(out string) (load, error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var r struct{ Requests, Microseconds, Refused, Failed uint64 }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		return load{}, fmt.Errorf("read what it printed: %w: %s", err, out)
	}
	if r.Requests == 0 || r.Refused+r.Failed > 0 {
		return load{}, fmt.Errorf("it made %d requests, of which %d were refused and %d failed", r.Requests, r.Refused, r.Failed)
	}
	return load{requests: r.Requests, took: time.Duration(r.Microseconds) * time.Microsecond}, nil
}
