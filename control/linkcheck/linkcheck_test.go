package linkcheck_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"carom/control/linkcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is for servers of the test, at addresses of net.
func config(net string) linkcheck.Config {
	c := linkcheck.Default()
	c.Delay, c.Timeout = 0, 2*time.Second
	if net != "" {
		c.Allowed = []netip.Prefix{netip.MustParsePrefix(net)}
	}
	return c
}

// check asks destinations and returns what was found, by destination.
func check(t *testing.T, c linkcheck.Config, destinations ...string) map[string]linkcheck.Finding {
	t.Helper()
	found := map[string]linkcheck.Finding{}
	err := linkcheck.New(c).Check(t.Context(), destinations, func(f linkcheck.Finding) { found[f.Destination] = f })
	if err != nil || len(found) != len(destinations) {
		t.Fatalf("%v; %d destinations asked, %d found", err, len(destinations), len(found))
	}
	return found
}

// serve starts a server of the test at an address.
func serve(t *testing.T, address string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func TestVerdicts(t *testing.T) {
	shop := serve(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok", "/end":
		case "/get-only":
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
			}
		case "/no-head":
			if r.Method == http.MethodHead {
				panic(http.ErrAbortHandler)
			}
		case "/moved":
			http.Redirect(w, r, "/end", http.StatusMovedPermanently)
		case "/moved-away":
			http.Redirect(w, r, "/gone", http.StatusFound)
		case "/cookie":
			if _, err := r.Cookie("seen"); err != nil {
				http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
				http.Redirect(w, r, "/cookie", http.StatusFound)
			}
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/held-redirect":
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Location", "/end")
			w.WriteHeader(http.StatusFound)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done() // until the checker hangs up
		case "/app":
			w.Header().Set("Location", "myapp://open")
			w.WriteHeader(http.StatusFound)
		case "/ssh":
			http.Redirect(w, r, "http://127.0.0.1:22/", http.StatusFound)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/private":
			w.WriteHeader(http.StatusForbidden)
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/long-header":
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		default:
			http.NotFound(w, r)
		}
	})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := silent.Addr().String()
	silent.Close()

	tests := []struct {
		why, destination string
		verdict          linkcheck.Verdict
		status           int
		says             string
	}{
		{"a page", shop.URL + "/ok", linkcheck.Answers, 200, ""},
		{"HEAD is answered otherwise than GET", shop.URL + "/get-only", linkcheck.Answers, 200, ""},
		{"HEAD is not answered at all", shop.URL + "/no-head", linkcheck.Answers, 200, ""},
		{"a redirect", shop.URL + "/moved", linkcheck.Answers, 200, ""},
		{"a redirect that wants its cookie back", shop.URL + "/cookie", linkcheck.Answers, 200, ""},
		{"a redirect whose body never comes", shop.URL + "/held-redirect", linkcheck.Answers, 200, ""},
		{"an answer without an end", shop.URL + "/endless", linkcheck.Answers, 200, ""},
		{"nothing there", shop.URL + "/none", linkcheck.Dead, 404, "not found"},
		{"a redirect to what is gone", shop.URL + "/moved-away", linkcheck.Dead, 410, "gone at " + shop.URL + "/gone"},
		{"a broken shop", shop.URL + "/broken", linkcheck.Dead, 500, "internal server error"},
		{"redirects without end", shop.URL + "/loop", linkcheck.Dead, 0, "redirects more than 10 times"},
		{"a redirect to a port that is not of the web", shop.URL + "/ssh", linkcheck.Dead, 0, "redirects to port 22"},
		{"no answer in time", shop.URL + "/slow", linkcheck.Dead, 0, "does not answer in time"},
		{"headers without end", shop.URL + "/long-header", linkcheck.Dead, 0, ""},
		{"nobody listens", "http://" + nobody + "/", linkcheck.Dead, 0, "refuses connections"},
		{"a site that turns checks away", shop.URL + "/private", linkcheck.Unclear, 403, "forbidden"},
		{"a site that is asked too much", shop.URL + "/busy", linkcheck.Unclear, 429, "too many requests"},
		{"a redirect into an app", shop.URL + "/app", linkcheck.Unclear, 0, "redirects to myapp:"},
		{"an app", "myapp://open", linkcheck.Unclear, 0, "is not a web address"},
		{"no URL", "http://[", linkcheck.Unclear, 0, "is not a URL"},
	}
	var destinations []string
	for _, test := range tests {
		destinations = append(destinations, test.destination)
	}
	found := check(t, config("127.0.0.0/8"), destinations...)
	for _, test := range tests {
		got := found[test.destination]
		if got.Verdict != test.verdict || got.Status != test.status || !strings.Contains(got.Reason, test.says) {
			t.Errorf("%s: %+v, want %s, %d, %q", test.why, got, test.verdict, test.status, test.says)
		}
		if (got.Reason == "") != (got.Verdict == linkcheck.Answers) {
			t.Errorf("%s: the reason is %q", test.why, got.Reason)
		}
	}
}

func TestCertificateThatBrowsersRefuse(t *testing.T) {
	shop := httptest.NewUnstartedServer(http.NotFoundHandler())
	shop.Config.ErrorLog = quiet()
	shop.StartTLS()
	defer shop.Close()
	if got := check(t, config("127.0.0.0/8"), shop.URL)[shop.URL]; got.Verdict != linkcheck.Dead || !strings.Contains(got.Reason, "its certificate is refused") {
		t.Errorf("%+v", got)
	}
}

// Nothing that is not public is asked, however its address is written or reached.
func TestWhatIsNotPublicIsNotAsked(t *testing.T) {
	var asked atomic.Int32
	inside := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	outside := serve(t, "127.0.0.2:"+port, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // the next hop is dialled, and resolved, anew
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	for _, test := range []struct{ why, destination string }{
		{"loopback", "http://127.0.0.1:" + port},
		{"as one number", "http://2130706433:" + port},
		{"mapped into IPv6", "http://[::ffff:127.0.0.1]:" + port},
		{"IPv6 loopback", "http://[::1]:" + port},
		{"unspecified", "http://0.0.0.0:" + port},
		{"a name", "http://localhost:" + port},
		{"a redirect", outside.URL + "/?to=http://127.0.0.1:" + port + "/"},
		{"a redirect to a name", outside.URL + "/?to=http://localhost:" + port + "/"},
		{"a redirect to the standard port of a metadata service", outside.URL + "/?to=http://169.254.169.254/latest/meta-data/"},
	} {
		got := check(t, config("127.0.0.2/32"), test.destination)[test.destination]
		if got.Verdict != linkcheck.Dead || asked.Load() > 0 {
			t.Fatalf("%s: %+v after %d requests", test.why, got, asked.Load())
		}
		if test.why != "as one number" && !strings.Contains(got.Reason, "not on the public internet") { // that is no name either
			t.Errorf("%s: %q", test.why, got.Reason)
		}
	}
}

// A name that is public when it is looked up first and private afterwards gains nothing.
func TestNameThatChangesItsAddress(t *testing.T) {
	var asked atomic.Int32
	inside := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	var first atomic.Int32
	serve(t, "127.0.0.2:"+port, func(w http.ResponseWriter, r *http.Request) {
		first.Add(1)
		w.Header().Set("Connection", "close")
		http.Redirect(w, r, "/next", http.StatusFound)
	})
	c := config("127.0.0.2/32")
	names := newNames(t, func(lookup int) netip.Addr {
		if lookup == 1 {
			return netip.MustParseAddr("127.0.0.2")
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	c.Resolver = names.resolver()
	destination := "http://rebind.example:" + port + "/"
	got := check(t, c, destination)[destination]
	if got.Verdict != linkcheck.Dead || !strings.Contains(got.Reason, "not on the public internet") {
		t.Errorf("%+v", got)
	}
	if first.Load() != 1 || asked.Load() != 0 || names.lookups() < 2 {
		t.Errorf("%d requests outside, %d inside, %d look-ups; want 1, 0 and 2", first.Load(), asked.Load(), names.lookups())
	}
}

func TestAProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var asked atomic.Int32
	proxy := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	destination := "http://192.0.2.1/"
	if got := check(t, config("127.0.0.0/8"), destination)[destination]; got.Verdict != linkcheck.Dead || asked.Load() > 0 {
		t.Errorf("%+v, %d requests to the proxy", got, asked.Load())
	}
}

// A checker that cannot look names up must not call every shop dead.
func TestWithoutNameServersNothingIsKnown(t *testing.T) {
	c := config("")
	c.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the name server is away")
	}}
	const destination = "https://shop.acme-goods.example/boots"
	if got := check(t, c, destination)[destination]; got.Verdict != linkcheck.Unclear || !strings.Contains(got.Reason, "name server is away") {
		t.Errorf("%+v", got)
	}
}

func TestOneHostIsAskedPolitely(t *testing.T) {
	var now atomic.Int32
	var asked []int32 // how many at a time
	var mu sync.Mutex
	shop := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		asked = append(asked, now.Add(1))
		mu.Unlock()
		time.Sleep(30 * time.Millisecond)
		now.Add(-1)
	})
	c := config("127.0.0.0/8")
	c.Delay, c.PerHost = 60*time.Millisecond, 2
	began := time.Now()
	check(t, c, shop.URL+"/1", shop.URL+"/2", shop.URL+"/3", shop.URL+"/4", shop.URL+"/5", shop.URL+"/6")
	if len(asked) != 6 || slices.Max(asked) > 2 {
		t.Errorf("requests at a time: %v", asked)
	}
	if took := time.Since(began); took < 5*c.Delay {
		t.Errorf("six requests took %v, the last one begins after %v", took, 5*c.Delay)
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	shop := serve(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := linkcheck.New(config("127.0.0.0/8")).Check(ctx, []string{shop.URL + "/1", shop.URL + "/2", shop.URL + "/3"}, func(f linkcheck.Finding) {
		t.Errorf("%+v is said of a destination that was not waited for", f)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
