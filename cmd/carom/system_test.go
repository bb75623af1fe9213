package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// A system is a running "carom up", seen from outside.
type system struct {
	t *testing.T
	*program
	dir    string
	public string // host:port of the short links
	admin  string // URL
	db     driver.Conn
	http   *http.Client // resolves every name to the public listener, over one connection, and follows no redirect
}

// startUp returns when everything is up. Ports are free ones unless flags say otherwise.
func startUp(t *testing.T, dir string, flags ...string) *system {
	t.Helper()
	p := spawn(t, append([]string{
		"up", "--data", dir, "--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--clickhouse-native-port=0", "--clickhouse-http-port=0",
	}, flags...)...)
	p.expect(`Ctrl-C stops everything`)
	s := &system{
		t: t, program: p, dir: dir, public: p.expect(`Short links answer on (\S+)\.`)[1], admin: p.expect(`Admin and metrics: (\S+)/metrics`)[1],
	}
	s.http = browserTo(s.public)
	t.Cleanup(s.http.CloseIdleConnections)
	users, err := engine.ReadUsers(filepath.Join(dir, "clickhouse"))
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(p.expect(`(http://\S+)/play`)[1])
	if err != nil {
		t.Fatal(err)
	}
	address.User, address.Path = url.UserPassword(engine.Analyst, users.Password(engine.Analyst)), "/carom"
	s.db = chtest.Open(t, address.String())
	return s
}

// in is the system for a subtest.
func (s *system) in(t *testing.T) *system {
	other := *s
	other.t = t
	return &other
}

// browserTo is a client that believes every host to be at address. One connection keeps requests in order.
func browserTo(address string) *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			MaxConnsPerHost: 1,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// An answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	closes bool // the connection
}

// ask sends a request; headers are name, value, name, value …
func ask(t *testing.T, client *http.Client, method, address, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", "") // none, unless headers name one
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text), response.Close}
}

// get is ask for a page, from nowhere in particular.
func get(t *testing.T, client *http.Client, address string) answer {
	t.Helper()
	return ask(t, client, http.MethodGet, address, "", "User-Agent", desktopChrome)
}

const desktopChrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

// carom runs a command line against the system and returns what it prints; it must succeed.
func (s *system) carom(args ...string) string {
	s.t.Helper()
	got := carom(append(args, "--data", s.dir)...)
	if got.code != exitDone {
		s.t.Fatalf("carom %s: exit code %d: %s%s", strings.Join(args, " "), got.code, got.out, got.errOut)
	}
	return got.out
}

// load imports one file of a kind.
func (s *system) load(kind, lines string) {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), kind+".csv")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.carom("import", kind, path)
}

// shortURLs are the exported links: "brand/key" has the short URL, which is the slug's where there is one, and
// "brand/key code" the signed code's.
func (s *system) shortURLs() map[string]string {
	s.t.Helper()
	urls := map[string]string{}
	for _, line := range parseCSV(s.t, strings.NewReader(s.carom("links", "export")))[1:] { // link, short_url, brand, campaign, influencer, domain, code, …
		key, short, code := line[2]+"/"+line[0], line[1], line[6]
		urls[key] = short
		urls[key+" code"] = short[:strings.LastIndexByte(short, '/')+1] + code
	}
	return urls
}

// report is the answer of "carom report … --format json".
func (s *system) report(args ...string) []map[string]any {
	s.t.Helper()
	var rows []map[string]any
	lines := json.NewDecoder(strings.NewReader(s.carom(append([]string{"report", "--format=json"}, args...)...)))
	lines.UseNumber()
	if err := lines.Decode(&rows); err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// count is the one number that a statement selects, as the analyst.
func (s *system) count(statement string, args ...any) (n uint64) {
	s.t.Helper()
	if err := s.db.QueryRow(s.t.Context(), statement, args...).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
	return n
}

// eventually waits until holds does.
func (s *system) eventually(what string, holds func() bool) {
	s.t.Helper()
	faults.Await(s.t, what, holds)
}

// metrics are the samples of an admin listener by name and labels, as written there.
func metrics(t *testing.T, admin string) map[string]float64 {
	t.Helper()
	page := ask(t, http.DefaultClient, http.MethodGet, admin+"/metrics", "")
	samples := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(page.body)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		blank := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[blank+1:], 64)
		if err != nil {
			t.Fatalf("metric %s: %v", line, err)
		}
		samples[line[:blank]] = value
	}
	return samples
}
