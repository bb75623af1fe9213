// Package pace has long work step aside for requests where processors are few.
//
// The Go runtime lets a goroutine run for 10 ms, and looks at the network when nothing else can run. On a node of one core a
// flusher that encodes a batch would keep every redirect waiting for so long. runtime.Gosched does not help, as it comes back before the
// network is looked at, and the shortest time.Sleep takes a millisecond of an idle node. So whoever steps aside here goes through the
// network poller itself: what has arrived comes out of it together with him, and then goes first.
package pace

import (
	"encoding/binary"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stretch is how long work goes on between two steps aside: a redirect takes some 10 µs, a step aside a few.
	stretch = 200 * time.Microsecond
	// few is the largest GOMAXPROCS for which work steps aside: filling batches and sending them keep two processors busy at most.
	few = 2
)

// A Pace is that of one goroutine.
type Pace struct {
	began time.Time // of this stretch
	door  *os.File  // an eventfd in the network poller; nil where nobody steps aside
	conn  syscall.RawConn
	asked bool
	step  func(fd uintptr) (done bool) // knock, made once
}

// New makes a pace for a goroutine, which closes it when it ends.
func New() *Pace {
	p := &Pace{}
	if runtime.GOMAXPROCS(0) > few {
		return p
	}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return p // no descriptor is left: slow redirects are better than none
	}
	door := os.NewFile(uintptr(fd), "pace")
	if p.conn, err = door.SyscallConn(); err != nil {
		_ = door.Close()
		return p
	}
	p.door, p.step = door, p.knock
	return p
}

// Close gives back what the pace holds of the system.
func (p *Pace) Close() {
	if p.door != nil {
		_ = p.door.Close()
	}
}

// Step is called between short pieces of work. When there was enough of it the requests that have arrived go first. A nil pace never
// steps aside.
func (p *Pace) Step() {
	if p == nil || p.door == nil || time.Since(p.began) < stretch {
		return
	}
	p.asked = false
	_ = p.conn.Read(p.step)
	runtime.Gosched() // what came out of the poller with us goes first
	p.began = time.Now()
}

// knock makes the poller's next look find the door open, once.
func (p *Pace) knock(fd uintptr) bool {
	if p.asked {
		return true
	}
	p.asked = true
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, err := unix.Write(int(fd), one[:])
	return err != nil
}
