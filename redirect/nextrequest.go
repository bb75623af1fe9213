package redirect

import (
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
)

// A requestReader reads a TCP connection, and lets other connections go first where that saves work.
type requestReader struct {
	raw  syscall.RawConn
	try  func(fd uintptr) (done bool) // tryRead: as a field, so that passing it on allocates nothing
	buf  []byte
	n    int
	err  error
	late bool // the last read found nothing at once

	gain int8
	ask  uint8
}

var Yields, Found, Reads uint64

func newRequestReader(conn net.Conn) *requestReader {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	r := &requestReader{raw: raw}
	r.try = r.tryRead
	return r
}

func (r *requestReader) tryRead(fd uintptr) (done bool) {
	for {
		r.n, r.err = syscall.Read(int(fd), r.buf)
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err == syscall.EAGAIN {
		r.late = true
		return false
	}
	return true
}

const most = 8

func (r *requestReader) read(b []byte, next bool) (int, error) {
	yields := next && (r.gain > 0 || r.ask&15 == 0)
	if next {
		Reads++
		r.ask++
	}
	if yields {
		Yields++
		runtime.Gosched()
	}
	r.buf, r.late = b, false
	if err := r.raw.Read(r.try); err != nil {
		return 0, err
	}
	if yields && !r.late {
		Found++
		r.gain = min(r.gain+1, most)
	} else if yields {
		r.gain = max(r.gain-1, -1)
	}
	n, err := max(r.n, 0), r.err
	switch {
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}
