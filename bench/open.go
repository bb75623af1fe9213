package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// An openLoop is the open-loop generator: request i is due at i/rate seconds, whatever the server does, and its latency
// counts from then. A stall of the server delays every request that falls due meanwhile, and each of those delays is
// recorded: no coordinated omission. One thread and plain sockets, so that it disturbs little and measures microseconds.
type openLoop struct {
	conns  []conn
	free   []int                           // connections with nothing under way, those never used first
	unused int                             // of free
	busy   []int                           // the others, few of all: the kernel looks at these only
	polled []unix.PollFd                   // those of busy, in its order
	slices map[int]*hdrhistogram.Histogram // by number: those that have some of their answers
	random *rand.Rand
}

type conn struct {
	fd    int
	slice int       // of the request under way
	due   time.Time // when it was to be sent
	in    []byte    // of its answer, so far
}

// A slicing cuts the requests of an open loop into slices of as many each. An answer counts for the slice in which its request
// was due, however late it comes.
type slicing struct {
	rate     int // requests a second
	requests int // of a slice
	// spin is how long before a request is due the generator stays awake for it.
	spin time.Duration
	// more is asked before a slice begins and ends the load with false.
	more func(slice int) bool
	// done gets a slice when it has all its answers, between two requests.
	done func(slice int, seen latencies)
}

const (
	latencyMost = 10 * time.Second // a server that takes longer has failed
	answerBytes = 8 << 10
	exactSpin   = 30 * time.Microsecond // sleeping is less exact than that
)

// latencies are quantiles over the requests of a slice of an open loop, in microseconds from when each was due.
type latencies struct {
	Answered uint64  `json:"requests"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	P999     float64 `json:"p999_us"`
	Greatest float64 `json:"max_us"`
}

func (l latencies) p99() float64 { return l.P99 }

// runOpen sends requests of a stream at a rate for d, and waits for the last answer.
func runOpen(ctx context.Context, addr string, s *stream, conns, rate int, d time.Duration) (all latencies, err error) {
	err = runSlices(ctx, addr, s, conns, slicing{
		rate: rate, requests: max(1, int(d.Seconds()*float64(rate))), spin: exactSpin,
		more: func(slice int) bool { return slice == 0 },
		done: func(_ int, seen latencies) { all = seen },
	})
	return all, err
}

// runSlices sends requests of a stream until no more are wanted, and waits for the last answer.
func runSlices(ctx context.Context, addr string, s *stream, conns int, by slicing) error {
	runtime.LockOSThread() // its timer slack is set below
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("ask for exact timers: %w", err)
	}
	o := &openLoop{slices: map[int]*hdrhistogram.Histogram{}, random: rand.New(rand.NewPCG(2, 2))}
	defer o.close()
	if err := o.connect(addr, conns); err != nil {
		return fmt.Errorf("connect the open loop to %s: %w", addr, err)
	}
	if err := o.run(ctx, s, by); err != nil {
		return fmt.Errorf("drive %s at %d requests a second: %w", addr, by.rate, err)
	}
	return nil
}

func latenciesOf(seen *hdrhistogram.Histogram) latencies {
	at := func(percent float64) float64 { return float64(seen.ValueAtQuantile(percent)) / 1000 }
	return latencies{uint64(seen.TotalCount()), at(50), at(99), at(99.9), at(100)}
}

func (o *openLoop) connect(addr string, conns int) error {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	for i := range conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		o.conns = append(o.conns, conn{fd: fd, in: make([]byte, 0, answerBytes)})
		o.free = append(o.free, i)
		o.unused++
		err = errors.Join(
			unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}),
			unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.SetNonblock(fd, true),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *openLoop) close() {
	for _, c := range o.conns {
		_ = unix.Close(c.fd) // nothing was left to write
	}
}

// run sends slices of requests and receives as many answers.
func (o *openLoop) run(ctx context.Context, s *stream, by slicing) error {
	began := time.Now()
	due := func(i int) time.Time {
		return began.Add(time.Duration(float64(i) / float64(by.rate) * float64(time.Second)))
	}
	for sent, answered, total, more := 0, 0, 0, true; ; {
		if more && sent == total {
			if more = by.more(sent / by.requests); more {
				total += by.requests
			}
		}
		if answered == total {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now := time.Now()
		for sent < total && len(o.free) > 0 && !due(sent).After(now) {
			if err := o.send(sent/by.requests, due(sent), pick(o.random, s.requests)); err != nil {
				return err
			}
			sent++
		}
		wait := latencyMost
		if sent < total && len(o.free) > 0 {
			wait = max(0, time.Until(due(sent))-by.spin)
		}
		n, err := o.receive(wait, by)
		if err != nil {
			return err
		}
		if n == 0 && wait == latencyMost {
			return fmt.Errorf("no answer within %s", latencyMost)
		}
		answered += n
	}
}

// send writes a request on a free connection: on one never used while there is one, as servers end those with 408 after some
// seconds, then on the one used last.
func (o *openLoop) send(slice int, due time.Time, request []byte) error {
	at := len(o.free) - 1
	if o.unused > 0 {
		at = 0
		o.unused--
	}
	i := o.free[at]
	o.free = slices.Delete(o.free, at, at+1)
	c := &o.conns[i]
	o.busy, o.polled = append(o.busy, i), append(o.polled, unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN})
	c.slice, c.due, c.in = slice, due, c.in[:0]
	n, err := unix.Write(c.fd, request)
	if err == nil && n < len(request) {
		err = errors.New("a request did not fit the socket's buffer")
	}
	return err
}

// receive waits for answers and records those that are complete.
func (o *openLoop) receive(wait time.Duration, by slicing) (answered int, err error) {
	timeout := unix.NsecToTimespec(wait.Nanoseconds())
	n, err := unix.Ppoll(o.polled, &timeout, nil)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil || n == 0 {
		return 0, err
	}
	for i := len(o.busy) - 1; i >= 0; i-- { // from the end, as release moves the last one
		if o.polled[i].Revents == 0 {
			continue
		}
		c := &o.conns[o.busy[i]]
		n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
		if err != nil || n <= 0 {
			return answered, fmt.Errorf("read an answer: %w", errors.Join(err, errors.New("the connection ended")))
		}
		c.in = c.in[:len(c.in)+n]
		whole, err := isRedirect(c.in)
		if err != nil {
			return answered, err
		}
		if !whole {
			continue
		}
		if err := o.record(c, by); err != nil {
			return answered, err
		}
		o.release(i)
		answered++
	}
	return answered, nil
}

// release makes a connection of busy, by its place there, free again. The last one takes its place.
func (o *openLoop) release(i int) {
	o.free = append(o.free, o.busy[i])
	last := len(o.busy) - 1
	o.busy[i], o.polled[i] = o.busy[last], o.polled[last]
	o.busy, o.polled = o.busy[:last], o.polled[:last]
}

// record counts the answer that c has received.
func (o *openLoop) record(c *conn, by slicing) error {
	seen := o.slices[c.slice]
	if seen == nil {
		seen = hdrhistogram.New(1, latencyMost.Nanoseconds(), 3)
		o.slices[c.slice] = seen
	}
	if err := seen.RecordValue(time.Since(c.due).Nanoseconds()); err != nil {
		return err
	}
	if seen.TotalCount() == int64(by.requests) {
		delete(o.slices, c.slice)
		by.done(c.slice, latenciesOf(seen))
	}
	return nil
}

// isRedirect reports whether answer is a whole 302. nginx sends a body with it.
func isRedirect(answer []byte) (whole bool, err error) {
	const status = "HTTP/1.1 302 "
	if len(answer) >= len(status) && string(answer[:len(status)]) != status {
		return false, fmt.Errorf("answer %.40q is no redirect", answer)
	}
	head, body, ended := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !ended {
		return false, nil
	}
	length := 0
	if _, value, ok := bytes.Cut(head, []byte("Content-Length: ")); ok {
		for ; len(value) > 0 && value[0] >= '0' && value[0] <= '9'; value = value[1:] {
			length = 10*length + int(value[0]-'0')
		}
	}
	return len(body) >= length, nil
}
