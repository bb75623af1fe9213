package linkcheck_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a name server that has one IPv4 address for every name, of its choice at each look-up.
type names struct {
	conn  net.PacketConn
	count atomic.Int32
	done  chan struct{}
}

func newNames(t *testing.T, address func(lookup int) netip.Addr) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn: conn, done: make(chan struct{})}
	go n.serve(address)
	t.Cleanup(func() {
		conn.Close()
		<-n.done
	})
	return n
}

func (n *names) lookups() int { return int(n.count.Load()) }

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

func (n *names) serve(address func(lookup int) netip.Addr) {
	defer close(n.done)
	buffer := make([]byte, 1500)
	for {
		length, from, err := n.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var message dnsmessage.Message
		if message.Unpack(buffer[:length]) != nil || len(message.Questions) != 1 {
			continue
		}
		question := message.Questions[0]
		message.Response, message.RCode, message.Additionals = true, dnsmessage.RCodeSuccess, nil
		if question.Type == dnsmessage.TypeA {
			message.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class},
				Body:   &dnsmessage.AResource{A: address(int(n.count.Add(1))).As4()},
			}}
		}
		if packed, err := message.Pack(); err == nil {
			_, _ = n.conn.WriteTo(packed, from) // the asker tries again
		}
	}
}

// quiet is for servers whose complaints are expected.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
