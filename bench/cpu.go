package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpus are the two that share the work: the server measured has one, everything else the other.
type cpus struct{ server, load int }

// twoCPUs takes the first two that this process may run on.
func twoCPUs() (cpus, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return cpus{}, fmt.Errorf("read the CPUs of this process: %w", err)
	}
	var found []int
	for cpu := 0; len(found) < 2 && cpu < len(allowed)*64; cpu++ {
		if allowed.IsSet(cpu) {
			found = append(found, cpu)
		}
	}
	if len(found) < 2 {
		return cpus{}, errors.New("one CPU only: the server and the load need one each")
	}
	return cpus{server: found[0], load: found[1]}, nil
}

// pinSelf binds every thread of this process, and what they start, to a CPU.
func pinSelf(cpu int) error {
	return eachThread(os.Getpid(), func(tid int) error { return setAffinity(tid, cpu) })
}

// eachThread does something to every thread of a process. Those that they start later inherit what schedules them.
func eachThread(pid int, do func(tid int) error) error {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err == nil {
			err = do(tid)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // else it has ended since
			return err
		}
	}
	return nil
}

// startOn starts cmd on a CPU: a child inherits it from the thread that forks. The Go runtime takes it as its only CPU.
func startOn(cpu int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		return err
	}
	if err := setAffinity(0, cpu); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &own))
}

func setAffinity(tid, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("pin thread %d to CPU %d: %w", tid, cpu, err)
	}
	return nil
}

// usage is CPU time in seconds.
type usage struct {
	User   float64 `json:"user"`
	System float64 `json:"system"`
}

func (u usage) total() float64 { return u.User + u.System }

func (u usage) minus(v usage) usage { return usage{u.User - v.User, u.System - v.System} }

// ticks a second is the unit of /proc: USER_HZ is 100 on every Linux.
const ticks = 100

// usageOf adds up what the processes have used, threads that ended included.
func usageOf(pids []int) (sum usage, err error) {
	for _, pid := range pids {
		own, _, err := readUsage(pid)
		if err != nil {
			return sum, err
		}
		sum.User += own.User
		sum.System += own.System
	}
	return sum, nil
}

// readUsage is what a process has used, and what those of its children that have ended did.
func readUsage(pid int) (own, children usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return own, children, err
	}
	return parseStat(stat)
}

// parseStat reads fields 14 to 17 of /proc/PID/stat, see proc(5). The name, field 2, may hold anything.
func parseStat(stat []byte) (own, children usage, err error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return own, children, fmt.Errorf("%q is no /proc/PID/stat", stat)
	}
	var seconds [4]float64
	for i := range seconds {
		n, err := strconv.ParseInt(fields[11+i], 10, 64)
		if err != nil {
			return own, children, fmt.Errorf("read CPU time: %w", err)
		}
		seconds[i] = float64(n) / ticks
	}
	return usage{seconds[0], seconds[1]}, usage{seconds[2], seconds[3]}, nil
}

// idleOf is how long a CPU has been idle since boot, in seconds.
func idleOf(cpu int) (float64, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseIdle(string(stat), cpu)
}

// parseIdle reads fields 4 (idle) and 5 (waiting for a disk) of a CPU's line in /proc/stat.
func parseIdle(stat string, cpu int) (float64, error) {
	name := fmt.Sprintf("cpu%d", cpu)
	for line := range strings.Lines(stat) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[0] != name {
			continue
		}
		idle, err := strconv.ParseInt(fields[4], 10, 64)
		waiting, err2 := strconv.ParseInt(fields[5], 10, 64)
		return float64(idle+waiting) / ticks, errors.Join(err, err2)
	}
	return 0, fmt.Errorf("no %s in /proc/stat", name)
}

// resident is what a process has in RAM, in bytes.
type resident struct {
	now, peak uint64 // files that it has mapped included
	anon      uint64 // without them
}

func memoryOf(pid int) (resident, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return resident{}, err
	}
	return parseMemory(string(status))
}

// parseMemory reads VmRSS, VmHWM and RssAnon of /proc/PID/status, which are in KiB.
func parseMemory(status string) (r resident, err error) {
	fields := map[string]*uint64{"VmRSS": &r.now, "VmHWM": &r.peak, "RssAnon": &r.anon}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		field := fields[name]
		if field == nil {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return resident{}, fmt.Errorf("read memory: %w", err)
		}
		*field = n << 10
	}
	return r, nil
}
