package main

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// One data directory through a life: a first start, a clean end, another start, a kill, and one more.
func TestUp(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := startUp(t, dir)
	links := first.shortURLs()
	var ids []string // of all taps so far
	tap := func(t *testing.T, s *system, link string) {
		t.Helper()
		ids = append(ids, expectClick(t, s, link))
	}

	t.Run("samples", func(t *testing.T) {
		for _, sample := range []struct {
			what string
			want uint64
		}{
			{"uniq(brand) FROM brands", 2},
			{"uniq(host) FROM domains", 2},
			{"uniq(tier) FROM influencer_tiers", 6},
			{"uniq(slug = '') FROM links", 2}, // with and without
			{"countIf(utm_source = '') FROM campaigns", 0},
		} {
			if got := first.count("SELECT " + sample.what); got != sample.want {
				t.Errorf("%s is %d, want %d", sample.what, got, sample.want)
			}
		}
		listed := regexp.MustCompile(`http://go\.\w+\.localhost:\d+/\S+`).FindAllString(first.out.String(), -1)
		if len(listed) != greeted {
			t.Errorf("%d links are printed, want %d", len(listed), greeted)
		}
		if report := invocation(os.Args[0]) + " report influencers --data " + dir; !strings.Contains(first.out.String(), report) {
			t.Errorf("it does not print %q", report)
		}
		for _, link := range listed {
			tap(t, first, link)
		}
	})
	t.Run("a second one is refused", func(t *testing.T) {
		elsewhere := filepath.Join(t.TempDir(), "data")
		_, adminAddress, _ := strings.Cut(first.admin, "//")
		clickhousePort := first.expect(`http://127.0.0.1:(\d+)/play`)[1]
		for _, test := range []struct{ what, dir, flag, says string }{
			{"public port", elsewhere, "--listen=" + first.public, "listen on " + first.public},
			{"admin port", elsewhere, "--admin=" + adminAddress, "listen on " + adminAddress},
			{"ClickHouse port", elsewhere, "--clickhouse-http-port=" + clickhousePort, "port is in use: 127.0.0.1:" + clickhousePort + ": stop what listens there, or name another port with --clickhouse-native-port"},
			{"data directory", dir, "--empty", "in use by process"},
		} {
			second := spawn(t, "up", "--data", test.dir, "--listen=127.0.0.1:0", "--admin=127.0.0.1:0",
				"--clickhouse-native-port=0", "--clickhouse-http-port=0", test.flag)
			code, text := second.wait(), second.errOut.String()
			if code != exitFailed || !strings.Contains(text, test.says) || strings.Count(text, "\n") != 1 || second.out.String() != "" {
				t.Errorf("%s: exit code %d, stderr %q, stdout %q", test.what, code, text, second.out.String())
			}
		}
	})
	// answers waits for a link to be known, or not.
	answers := func(t *testing.T, link string, known bool) {
		t.Helper()
		began := time.Now()
		for ; ; time.Sleep(10 * time.Millisecond) {
			location := get(t, first.http, link).header.Get("Location")
			took := time.Since(began)
			id := clickIDText.FindStringSubmatch(location)
			if id != nil {
				ids = append(ids, id[1])
			} else if location != "https://www.acme.example/not-found" {
				t.Fatalf("it answers %q", location)
			}
			if known == (id != nil) {
				t.Logf("it took %v", took)
				return
			}
			if took > 2*time.Second {
				t.Fatalf("it still answers %q after %v", location, took)
			}
		}
	}
	t.Run("a new link works within two seconds", func(t *testing.T) {
		first.load("links", "link,campaign,influencer,domain,slug\nfresh,spring-boots,lena-walks,go.acme.localhost,fresh-one\n")
		answers(t, "http://go.acme.localhost/fresh-one", true)
	})
	t.Run("a deleted link is unknown within two seconds", func(t *testing.T) {
		first.carom("links", "delete", "fresh")
		answers(t, "http://go.acme.localhost/fresh-one", false)
	})

	var minted string
	var exported map[string]string
	t.Run("a self-contained link works at once", func(t *testing.T) {
		minted = strings.TrimSpace(first.in(t).carom("links", "token", "--domain=go.acme.localhost", "--campaign=spring-boots", "--influencer=lena-walks",
			"--sub1=bio link", "--expires=2100-01-01T00:00:00Z"))
		location := get(t, first.http, minted).header.Get("Location")
		id := clickIDText.FindStringSubmatch(location)
		if id == nil || !strings.Contains(location, "sub1=bio%20link&") {
			t.Fatalf("%s answers %q", minted, location)
		}
		ids = append(ids, id[1])
		exported = first.in(t).shortURLs()
	})

	// Ctrl-C a moment after clicks that cannot have been delivered yet.
	for range 50 {
		tap(t, first, links["acme/boots-lena-reel"])
	}
	if code := first.interrupt(); code != exitDone {
		t.Errorf("Ctrl-C: exit code %d", code)
	}

	t.Run("an answer is explained offline", func(t *testing.T) {
		for _, link := range []string{links["acme/boots-lena-reel"], minted} {
			got := carom("resolve", "--data", dir, link)
			if got.code != exitDone || !strings.Contains(got.out, "right") || !strings.Contains(got.out, "answer") || !strings.Contains(got.out, "302 https://") {
				t.Errorf("resolve %s: exit code %d\n%s%s", link, got.code, got.out, got.errOut)
			}
		}
		for _, wrong := range [][]string{{"resolve", "ftp://x/y", "--data", dir}, {"resolve", links["acme/boots-lena-reel"], "--data", t.TempDir()}} {
			if got := carom(wrong...); got.code == exitDone || strings.Count(got.errOut, "\n") != 1 {
				t.Errorf("carom %v: exit code %d, %q", wrong, got.code, got.errOut)
			}
		}
	})

	second := startUp(t, dir, "--empty")
	all, known := second.count("SELECT count() FROM clicks"), second.count("SELECT uniq(click_id) FROM clicks WHERE click_id IN ?", ids)
	if want := uint64(len(ids)); all != want || known != want {
		t.Errorf("%d clicks after the second start, %d of them sent, want %d", all, known, want)
	}
	fresh := second.shortURLs()
	if diff := cmp.Diff(paths(t, exported), paths(t, fresh)); diff != "" {
		t.Errorf("the second start prints other links (-first +second):\n%s", diff)
	}
	for _, link := range links {
		tap(t, second, link)
	}

	// Killed the moment after its answers, it has everything in the spool.
	second.kill()
	native := freePort(t)
	_, nativePort, _ := strings.Cut(native, ":")
	third := startUp(t, dir, "--clickhouse-native-port="+nativePort)
	for _, link := range links {
		tap(t, third, link)
	}
	if got := third.count("SELECT toUInt64(count() - uniq(link_id)) FROM links FINAL"); got != 0 {
		t.Errorf("%d links are there twice", got)
	}

	// A handshake that breaks off ends the embedded engine. Another one takes its place.
	conn, err := net.Dial("tcp", native)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		t.Error(err)
	}
	conn.Close()
	third.await(&third.errOut, "is started again")
	for _, link := range links {
		tap(t, third, link)
	}
	if code := third.interrupt(); code != exitDone {
		t.Errorf("Ctrl-C: exit code %d", code)
	}

	fourth := startUp(t, dir)
	all, known = fourth.count("SELECT count() FROM clicks"), fourth.count("SELECT uniq(click_id) FROM clicks WHERE click_id IN ?", ids)
	if want := uint64(len(ids)); all != want || known != want {
		t.Errorf("%d clicks after a kill and an engine's death, %d of them sent, want %d", all, known, want)
	}
}

var clickIDText = regexp.MustCompile(`[?&](?:click_id|cid|subid)=([A-Za-z0-9_-]{22})(?:&|#|$)`)

// expectClick taps a link and returns the click id that it was sent on with.
func expectClick(t *testing.T, s *system, link string) string {
	t.Helper()
	got := get(t, s.http, link)
	id := clickIDText.FindStringSubmatch(got.header.Get("Location"))
	if got.status != http.StatusFound || id == nil {
		t.Fatalf("%s answers %d to %q", link, got.status, got.header.Get("Location"))
	}
	return id[1]
}

// paths are the links without the port, which a start on a free one changes.
func paths(t *testing.T, links map[string]string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, link := range links {
		parsed, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		out[key] = parsed.Hostname() + parsed.Path
	}
	return out
}
