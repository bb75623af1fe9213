package control_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"carom/control"
	"carom/ingest/chtest"
)

// A lossyProxy stands before ClickHouse. It lets inserts into links through and, lose times, cuts the connection instead of
// bringing their answer back.
type lossyProxy struct {
	net.Listener
	server string
	lose   atomic.Int32
	away   atomic.Bool // nothing gets through
	done   sync.WaitGroup
}

func newLossyProxy(t testing.TB, server string) *lossyProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &lossyProxy{Listener: listener, server: server}
	p.done.Go(func() {
		for {
			client, err := p.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.pipe(client) })
		}
	})
	return p
}

// throughProxy has the next start of w talk to ClickHouse through a proxy.
func (w *world) throughProxy() *lossyProxy {
	w.t.Helper()
	p := newLossyProxy(w.t, w.db.Addr)
	w.db.Conn = chtest.Open(w.t, strings.Replace(w.db.DSN("carom_admin"), w.db.Addr, p.Addr().String(), 1))
	w.t.Cleanup(func() { p.Close() })
	return p
}

func (p *lossyProxy) pipe(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		client.Close()
		return
	}
	// asked counts what the client has sent since it began an insert; its answer comes after the rows, the columns before.
	var asked atomic.Int64
	closeBoth := func() { client.Close(); server.Close() }
	p.done.Go(func() {
		defer closeBoth()
		inserting := false
		copyChunks(server, client, func(chunk []byte) bool {
			inserting = inserting || bytes.Contains(chunk, []byte("INSERT INTO links"))
			if inserting {
				asked.Add(int64(len(chunk)))
			}
			return !p.away.Load()
		})
	})
	defer closeBoth()
	columns := false
	copyChunks(client, server, func([]byte) bool {
		if asked.Load() == 0 {
			return true
		}
		if !columns {
			columns = true
			return true
		}
		return p.lose.Add(-1) < 0
	})
}

// copyChunks copies from src to dst for as long as pass allows it.
func copyChunks(dst io.Writer, src io.Reader, pass func([]byte) bool) {
	buffer := make([]byte, 1<<20)
	for {
		n, err := src.Read(buffer)
		if n > 0 && !pass(buffer[:n]) {
			return
		}
		if _, writing := dst.Write(buffer[:n]); err != nil || writing != nil {
			return
		}
	}
}

func TestLostAnswersNeitherLoseNorDoubleRows(t *testing.T) {
	const header = "link,domain,campaign,influencer"
	file := csv(header, "a,go.acme.example,boots,lena", "b,go.acme.example,boots,tom")
	for _, c := range []struct {
		why  string
		lost int32 // answers in a row
		err  error
	}{
		{"one answer is lost: the insert is repeated", 1, nil},
		{"all are lost: the caller is told, the next change comes after", 4, control.ErrUnconfirmed},
	} {
		t.Run(c.why, func(t *testing.T) {
			w := newWorld(t)
			w.loadBasics()
			w.Stop()
			direct := w.db.Conn
			proxy := w.throughProxy()
			w.start()

			proxy.lose.Store(c.lost)
			result, err := w.ImportCSV(t.Context(), "links", strings.NewReader(file), control.LocalScope())
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Fatalf("%+v, %v; want error %v", result, err, c.err)
			}
			if left := proxy.lose.Load(); left > 0 {
				t.Fatalf("%d answers were not lost: the test tests nothing", left)
			}
			got := w.load("links", header, "a,go.acme.example,boots,lena", "b,go.acme.example,boots,tom", "c,go.acme.example,boots,lena")
			if countsOf(got) != (counts{created: 1, unchanged: 2}) {
				t.Errorf("the file and one line more: %+v", got)
			}
			w.db.Conn = direct
			links := one[string](w, "SELECT arrayStringConcat(groupArray(concat(link, '=', toString(link_id))), ' ') FROM (SELECT * FROM links FINAL ORDER BY link_id)")
			if links != "a=1 b=2 c=3" {
				t.Errorf("stored %s", links)
			}
			versions := one[uint64](w, "SELECT uniqExact(version) FROM links")
			if versions != 2 {
				t.Errorf("%d versions of links, want one for each chunk", versions)
			}
		})
	}
}
