package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"carom/ingest/faults"
)

// Visitors tap one link, each as soon as the last tap is answered, whatever happens to the node, and remember every click id
// that an answer gave them.
type visitors struct {
	address string
	request []byte
	stop    chan struct{}
	done    sync.WaitGroup

	mu         sync.Mutex
	given      map[string]time.Time // click ids and when the answer was there
	repeated   int                  // ids that were given twice
	unanswered int                  // taps that were sent, wholly or in part, and not answered
	strange    []string             // answers that were no redirect
	took       []time.Duration      // of each answered tap since the last call of slowness
}

// rest is what a visitor waits between two taps; eight of them leave a core to everybody else.
const rest = 2 * time.Millisecond

// visit sends them off. They end with the test, or with leave.
func visit(t *testing.T, address, link string, people int) *visitors {
	t.Helper()
	parsed, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitors{
		address: address, stop: make(chan struct{}), given: map[string]time.Time{},
		request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n", parsed.Path, parsed.Host, desktopChrome),
	}
	for range people {
		v.done.Go(v.visit)
	}
	t.Cleanup(v.leave)
	return v
}

// leave ends their visits; it may be called again.
func (v *visitors) leave() {
	v.mu.Lock()
	select {
	case <-v.stop:
	default:
		close(v.stop)
	}
	v.mu.Unlock()
	v.done.Wait()
}

func (v *visitors) visit() {
	var conn net.Conn
	var in *bufio.Reader
	hangUp := func() {
		if conn != nil {
			_ = conn.Close() // the other end may have done it
			conn = nil
		}
	}
	defer hangUp()
	for {
		select {
		case <-v.stop:
			return
		case <-time.After(rest):
		}
		if conn == nil {
			var err error
			if conn, err = net.DialTimeout("tcp", v.address, time.Second); err != nil {
				conn = nil
				time.Sleep(10 * rest) // nobody is there
				continue
			}
			in = bufio.NewReader(conn)
		}
		if !v.tap(conn, in) {
			hangUp()
		}
	}
}

// tap sends one request and reports whether the connection is of further use.
func (v *visitors) tap(conn net.Conn, in *bufio.Reader) bool {
	began := time.Now()
	got, err := v.ask(conn, in)
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		v.unanswered++
		return false
	}
	id := clickIDText.FindStringSubmatch(got.header.Get("Location"))
	if id == nil {
		if got.status != http.StatusServiceUnavailable { // a node without a table, or with too many connections
			v.strange = append(v.strange, strconv.Itoa(got.status))
		}
		return false
	}
	if _, again := v.given[id[1]]; again {
		v.repeated++
	}
	v.given[id[1]] = now
	v.took = append(v.took, now.Sub(began))
	return !got.closes
}

func (v *visitors) ask(conn net.Conn, in *bufio.Reader) (answer, error) {
	if err := conn.SetDeadline(time.Now().Add(startLimit)); err != nil {
		return answer{}, err
	}
	if _, err := conn.Write(v.request); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return answer{status: response.StatusCode, header: response.Header, closes: response.Close}, err
}

// taps is how many answers there were.
func (v *visitors) taps() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.given)
}

// ids are the click ids that they have.
func (v *visitors) ids() (all []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range v.given {
		all = append(all, id)
	}
	return all
}

// goOn waits until so many more taps have been answered.
func (v *visitors) goOn(t *testing.T, more int) {
	t.Helper()
	enough := v.taps() + more
	faults.Await(t, fmt.Sprintf("%d more taps are answered", more), func() bool { return v.taps() >= enough })
}

// bounded is what 99 of 100 redirects may take, whatever ClickHouse and the disk do: far more than any does, far less than
// waiting for either would.
const bounded = 500 * time.Millisecond

// slowness is what 99 of 100 answered taps took at most since the last call.
func (v *visitors) slowness() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	slices.Sort(v.took)
	p99 := time.Duration(0)
	if n := len(v.took); n > 0 {
		p99 = v.took[n*99/100]
	}
	v.took = v.took[:0]
	return p99
}
