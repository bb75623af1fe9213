package redirect

import (
	"context"
	"net"
	"time"
)

const (
	// handshakeGrace is how long the handshakes and first requests under way are waited for, unless Linger is shorter.
	handshakeGrace = 300 * time.Millisecond
	// queuePoll is how often it is asked whether connections still wait to be accepted.
	queuePoll = time.Millisecond
)

// closeDoor lets nobody come too late: a connection whose handshake has ended when its listener closes is reset, though its
// client has done nothing wrong. So newcomers are ignored first, which makes their clients try again a second later, where
// another process may listen by then; those who are in are accepted and get the time to ask. Where the system cannot do that,
// the listener closes as it is.
func closeDoor(ctx context.Context, l *net.TCPListener, linger time.Duration) error {
	socket, err := l.SyscallConn()
	if err != nil {
		return err
	}
	if err := ignoreNewcomers(socket); err != nil {
		return err
	}
	pause(ctx, min(linger, handshakeGrace))
	for ctx.Err() == nil {
		if waiting, err := unaccepted(socket); err != nil || waiting == 0 {
			return err
		}
		pause(ctx, queuePoll)
	}
	return nil
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
