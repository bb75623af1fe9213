package control_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"carom/control"
)

// manyLinks is how many links the scale test imports, in one file.
const manyLinks = 100_000

func TestHundredThousandLinks(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	var file bytes.Buffer
	file.WriteString("link,domain,campaign,influencer,slug,coupon,destination,utm_content,content_format,deal,fee\n")
	for i := range manyLinks {
		fmt.Fprintf(&file, "spring-%06d,go.acme.example,boots,lena,,LENA%d,https://shop.acme-goods.example/boots?item=%d,{influencer},reel,paid,%d.50\n", i, i, i, i%1000)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, step := range []struct {
		why  string
		want counts
	}{
		{"new links", counts{created: manyLinks}},
		{"the same file", counts{unchanged: manyLinks}},
	} {
		began := time.Now()
		got, err := w.ImportCSV(t.Context(), "links", bytes.NewReader(file.Bytes()), control.LocalScope())
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		t.Logf("%s: %v, %.0f lines/s", step.why, took.Round(time.Millisecond), manyLinks/took.Seconds())
		if countsOf(got) != step.want {
			t.Errorf("%s: %+v, want %+v", step.why, countsOf(got), step.want)
		}
		if took > 30*time.Second {
			t.Errorf("%s took %v, at most 30 s are promised", step.why, took)
		}
	}
	runtime.ReadMemStats(&after)
	t.Logf("heap in use %d MB before, %d MB after, %d MB allocated in between",
		before.HeapInuse>>20, after.HeapInuse>>20, (after.TotalAlloc-before.TotalAlloc)>>20)
	if highest := one[uint32](w, "SELECT max(link_id) FROM links"); highest != manyLinks {
		t.Errorf("highest link number %d, want %d", highest, manyLinks)
	}
	slowReaders(w)
}

// slowReaders ask for all links and take nothing; others are answered nevertheless.
func slowReaders(w *world) {
	w.t.Helper()
	server := w.serve()
	address := strings.TrimPrefix(server, "http://")
	for range 30 { // more than there are connections to ClickHouse; each with its token, which has only so many requests at once
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
