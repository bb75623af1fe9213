package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// An openLoop is the open-loop generator: request i is due at i/rate seconds, whatever the server does, and its latency
// counts from then. A stall of the server delays every request that falls due meanwhile, and each of those delays is
// recorded: no coordinated omission. One thread and plain sockets, so that it disturbs little and measures microseconds.
type openLoop struct {
	conns  []conn
	polled []unix.PollFd
	free   []int // connections with nothing under way
	seen   *hdrhistogram.Histogram
	random *rand.Rand
}

type conn struct {
	fd  int
	due time.Time // of the request under way
	in  []byte    // of its answer, so far
}

const (
	latencyMost = 10 * time.Second // a server that takes longer has failed
	answerBytes = 8 << 10
	spin        = 30 * time.Microsecond // sleeping is less exact than that
)

// latencies are quantiles over all requests of an open loop, in microseconds from when each was due.
type latencies struct {
	Answered uint64  `json:"requests"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	P999     float64 `json:"p999_us"`
	Greatest float64 `json:"max_us"`
}

func (l latencies) p99() float64 { return l.P99 }

// runOpen sends requests of a stream at a rate for d, and waits for the last answer.
func runOpen(ctx context.Context, addr string, s *stream, conns, rate int, d time.Duration) (latencies, error) {
	runtime.LockOSThread() // its timer slack is set below
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return latencies{}, fmt.Errorf("ask for exact timers: %w", err)
	}
	o := &openLoop{seen: hdrhistogram.New(1, latencyMost.Nanoseconds(), 3), random: rand.New(rand.NewPCG(2, 2))}
	defer o.close()
	if err := o.connect(addr, conns); err != nil {
		return latencies{}, fmt.Errorf("connect the open loop to %s: %w", addr, err)
	}
	if err := o.run(ctx, s, rate, int(d.Seconds()*float64(rate))); err != nil {
		return latencies{}, fmt.Errorf("drive %s at %d requests a second: %w", addr, rate, err)
	}
	at := func(percent float64) float64 { return float64(o.seen.ValueAtQuantile(percent)) / 1000 }
	return latencies{uint64(o.seen.TotalCount()), at(50), at(99), at(99.9), at(100)}, nil
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
		o.polled = append(o.polled, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		o.free = append(o.free, i)
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

// run sends total requests and receives as many answers.
func (o *openLoop) run(ctx context.Context, s *stream, rate, total int) error {
	began := time.Now()
	due := func(i int) time.Time {
		return began.Add(time.Duration(float64(i) / float64(rate) * float64(time.Second)))
	}
	for sent, answered := 0, 0; answered < total; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now := time.Now()
		for sent < total && len(o.free) > 0 && !due(sent).After(now) {
			if err := o.send(due(sent), pick(o.random, s.requests)); err != nil {
				return err
			}
			sent++
		}
		wait := latencyMost
		if sent < total && len(o.free) > 0 {
			wait = max(0, time.Until(due(sent))-spin)
		}
		n, err := o.receive(wait)
		if err != nil {
			return err
		}
		if n == 0 && wait == latencyMost {
			return fmt.Errorf("no answer within %s", latencyMost)
		}
		answered += n
	}
	return nil
}

// send writes a request on a free connection.
func (o *openLoop) send(due time.Time, request []byte) error {
	c := &o.conns[o.free[len(o.free)-1]]
	o.free = o.free[:len(o.free)-1]
	c.due, c.in = due, c.in[:0]
	n, err := unix.Write(c.fd, request)
	if err == nil && n < len(request) {
		err = errors.New("a request did not fit the socket's buffer")
	}
	return err
}

// receive waits for answers and records those that are complete.
func (o *openLoop) receive(wait time.Duration) (answered int, err error) {
	timeout := unix.NsecToTimespec(wait.Nanoseconds())
	n, err := unix.Ppoll(o.polled, &timeout, nil)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil || n == 0 {
		return 0, err
	}
	for i := range o.polled {
		if o.polled[i].Revents == 0 {
			continue
		}
		c := &o.conns[i]
		n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
		if err != nil || n <= 0 {
			return answered, fmt.Errorf("read an answer: %w", errors.Join(err, errors.New("the connection ended")))
		}
		c.in = c.in[:len(c.in)+n]
		whole, err := isRedirect(c.in)
		if err != nil {
			return answered, err
		}
		if whole {
			if err := o.seen.RecordValue(time.Since(c.due).Nanoseconds()); err != nil {
				return answered, err
			}
			o.free = append(o.free, i)
			answered++
		}
	}
	return answered, nil
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
