package control_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"carom/control"
)

// linksFile is an import file of n links in which every line has much to check.
func linksFile(n int) []byte {
	var file bytes.Buffer
	file.WriteString("link,domain,campaign,influencer,slug,coupon,destination,utm_content,content_format,deal,fee\n")
	for i := range n {
		fmt.Fprintf(&file, "spring-%06d,go.acme.example,boots,lena,,LENA%d,https://shop.acme-goods.example/boots?item=%d,{influencer},reel,paid,%d.50\n", i, i, i, i%1000)
	}
	return file.Bytes()
}

// TestManyLinks imports a file of several chunks, twice, and then lists it to those who are slow to take it.
func TestManyLinks(t *testing.T) {
	const manyLinks = 5 * control.ChunkRows
	w := newWorld(t)
	w.loadBasics()
	file := linksFile(manyLinks)
	for _, step := range []struct {
		why  string
		want counts
	}{
		{"new links", counts{created: manyLinks}},
		{"the same file", counts{unchanged: manyLinks}},
	} {
		got, err := w.ImportCSV(t.Context(), "links", bytes.NewReader(file), control.LocalScope())
		if err != nil || countsOf(got) != step.want {
			t.Errorf("%s: %+v, %v; want %+v", step.why, countsOf(got), err, step.want)
		}
	}
	if highest := one[uint32](w, "SELECT max(link_id) FROM links"); highest != manyLinks {
		t.Errorf("highest link number %d, want %d", highest, manyLinks)
	}
	slowReaders(w)
}

// BenchmarkImport imports 100 000 links, and then the same file again, which changes nothing.
func BenchmarkImport(b *testing.B) {
	for _, again := range []bool{false, true} {
		b.Run(fmt.Sprintf("again=%v", again), func(b *testing.B) {
			const links = 100_000
			file := linksFile(links)
			for b.Loop() {
				b.StopTimer()
				w := startWorld(b)
				w.loadBasics()
				if again {
					w.load("links", strings.TrimSuffix(string(file), "\n"))
				}
				b.StartTimer()
				w.load("links", strings.TrimSuffix(string(file), "\n"))
			}
			b.ReportMetric(links*float64(b.N)/b.Elapsed().Seconds(), "links/s")
			b.ReportAllocs()
		})
	}
}

// slowReaders ask for all links and take nothing; others are answered nevertheless.
func slowReaders(w *world) {
	w.t.Helper()
	server := w.serve()
	address := strings.TrimPrefix(server, "http://")
	for range 12 { // more than there are connections to ClickHouse; each with its token, which has only so many requests at once
		conn, err := net.Dial("tcp", address)
		if err != nil {
			w.t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		fmt.Fprintf(conn, "GET /api/v1/links/export HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", address, w.token(control.Analyst))
		if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
			w.t.Fatalf("export: %v", err)
		}
	}
	w.caller(server, control.Analyst).must(http.StatusOK, "GET", "/links?limit=1", "")
}
