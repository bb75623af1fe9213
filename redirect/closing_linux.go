package redirect

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Of a TCP header (RFC 9293, section 3.1): where the flags are, and the two of them that tell a client's first segment.
const (
	tcpFlags = 13
	tcpSYN   = 0x02
	tcpACK   = 0x10
)

// ignoreNewcomers drops the first segment of each new connection before the system answers it. Handshakes that have begun go on.
func ignoreNewcomers(socket syscall.RawConn) error {
	program, err := bpf.Assemble([]bpf.Instruction{ // over a segment from its TCP header on
		bpf.LoadAbsolute{Off: tcpFlags, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: tcpSYN | tcpACK},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: tcpSYN, SkipFalse: 1},
		bpf.RetConstant{Val: 0},          // drop
		bpf.RetConstant{Val: ^uint32(0)}, // keep, as long as it is
	})
	if err != nil {
		return fmt.Errorf("assemble the filter of new connections: %w", err)
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	var refused error
	attach := func(fd uintptr) {
		refused = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	}
	if err := socket.Control(attach); err != nil || refused != nil {
		return fmt.Errorf("ignore new connections: %w", errors.Join(err, refused))
	}
	return nil
}

// unaccepted is how many connections wait to be accepted.
func unaccepted(socket syscall.RawConn) (uint32, error) {
	var info *unix.TCPInfo
	var refused error
	ask := func(fd uintptr) {
		info, refused = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}
	if err := socket.Control(ask); err != nil || refused != nil {
		return 0, fmt.Errorf("ask who waits to be accepted: %w", errors.Join(err, refused))
	}
	return info.Unacked, nil // of a listening socket: the length of its queue
}
