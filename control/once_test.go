package control_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"carom/control"
)

// askOnce sends a request with an Idempotency-Key.
func askOnce(t testing.TB, key, method, address, token, body string) answer {
	t.Helper()
	return ask(t, method, address, token, body, "Idempotency-Key", key)
}

// TestSameKeySameAnswer sends requests with Idempotency-Keys one after the other, and halfway goes on with another process.
func TestSameKeySameAnswer(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	first, second := w.token(control.Admin), w.token(control.Admin)
	server := w.serve() + "/api/v1"
	const campaign = `{"brand":"acme","campaign":"c1","name":"C1","destination":"https://acme-goods.example/"}`
	const restart = 5 // before this step
	steps := []struct {
		why, key, token, method, path, body string
		status                              int
		again                               bool // an answer that was given before
	}{
		{"a first request is carried out", "k1", first, "POST", "/campaigns", campaign, 201, false},
		{"sent again it is answered the same", "k1", first, "POST", "/campaigns", campaign, 201, true},
		{"without a key it is another request", "", first, "POST", "/campaigns", campaign, 409, false},
		{"another body is another request", "k1", first, "POST", "/campaigns", strings.ReplaceAll(campaign, "c1", "c2"), 422, false},
		{"another query too", "k1", first, "DELETE", "/campaigns/c1?brand=acme", "", 422, false},
		{"another process gives the same answer", "k1", first, "POST", "/campaigns", campaign, 201, true},
		{"another token has keys of its own", "k1", second, "POST", "/campaigns", campaign, 409, false},
		{"a refusal is an answer", "k1", second, "POST", "/campaigns", campaign, 409, true},
		{"what only reads has no need of a key", "k1", first, "GET", "/campaigns/c1", "", 200, false},
		{"nor has what only asks for the headers of a stream", "k1", first, "HEAD", "/links/export", "", 200, false},
		{"no body, no content", "k2", first, "DELETE", "/campaigns/c1?brand=acme", "", 204, false},
		{"a tombstone is not looked for again", "k2", first, "DELETE", "/campaigns/c1?brand=acme", "", 204, true},
		{"but by a new key", "k3", first, "DELETE", "/campaigns/c1?brand=acme", "", 404, false},
		{"a key is printable", "k\u00e9", first, "POST", "/campaigns", campaign, 400, false},
		{"a key is not endless", strings.Repeat("k", 256), first, "POST", "/campaigns", campaign, 400, false},
	}
	given := map[string]answer{}
	for i, s := range steps {
		if i == restart {
			w.restart()
			server = w.serve() + "/api/v1"
		}
		got := askOnce(t, s.key, s.method, server+s.path, s.token, s.body)
		if got.status != s.status || (got.header.Get("Idempotency-Replayed") == "true") != s.again {
			t.Errorf("%s: %d %s, replayed %q", s.why, got.status, got.body, got.header.Get("Idempotency-Replayed"))
		}
		place := s.key + s.token
		before, ok := given[place]
		if s.again && (got.body != before.body || got.header.Get("ETag") != before.header.Get("ETag") ||
			got.header.Get("Content-Type") != before.header.Get("Content-Type")) {
			t.Errorf("%s: another answer: %v", s.why, got)
		}
		if !ok {
			given[place] = got
		}
	}
}

// TestSecretsAreNotKept: a key is made once, and its secret is in no table.
func TestSecretsAreNotKept(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	token, server := w.token(control.Admin), w.serve()+"/api/v1"
	for path, body := range map[string]string{
		"/keys":        `{"brand":"acme","kind":"postback"}`,
		"/keys/rotate": `{"brand":"other","kind":"postback"}`,
		"/tokens":      `{"name":"robot","role":"editor"}`,
	} {
		var made struct{ Secret string }
		got := askOnce(t, path, "POST", server+path, token, body)
		if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.Secret == "" {
			t.Fatalf("%s: %s", path, got.body)
		}
		if n := one[uint64](w, "SELECT count() FROM kept_answers WHERE position(toString(tuple(*)), ?) > 0", made.Secret); n != 0 {
			t.Errorf("%s: its secret is kept", path)
		}
		again := askOnce(t, path, "POST", server+path, token, body)
		if again.status != http.StatusConflict || again.header.Get("Idempotency-Replayed") != "true" || !strings.Contains(again.body, "carried out before") {
			t.Errorf("%s again: %d %s", path, again.status, again.body)
		}
	}
	if n := one[uint64](w, "SELECT count() FROM keys FINAL WHERE kind = 'postback'"); n != 2 {
		t.Errorf("%d postback keys, want 2", n)
	}
}

// TestConcurrentRequestWithAKeyIsRefused holds a request back in the middle of its body, which the client sends only when the server
// has begun to read it.
func TestConcurrentRequestWithAKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	token, server := w.token(control.Editor), w.serve()+"/api/v1"
	const body = `{"influencer":"lena","name":"Lena"}`
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Minute
	defer transport.CloseIdleConnections()
	part, rest := io.Pipe()
	slow, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/influencers", part)
	if err != nil {
		t.Fatal(err)
	}
	slow.Header = http.Header{
		"Authorization": {"Bearer " + token}, "Idempotency-Key": {"k"}, "Content-Type": {"application/json"}, "Expect": {"100-continue"},
	}
	answered := make(chan int)
	go func() {
		response, err := transport.RoundTrip(slow)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		response.Body.Close()
		answered <- response.StatusCode
	}()
	if _, err := io.WriteString(rest, body[:5]); err != nil {
		t.Fatal(err)
	}
	if got := askOnce(t, "k", "POST", server+"/influencers", token, body); got.status != http.StatusConflict {
		t.Errorf("beside the slow request: %d %s", got.status, got.body)
	}
	if _, err := io.WriteString(rest, body[5:]); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	if status := <-answered; status != http.StatusCreated {
		t.Errorf("the slow request: %d", status)
	}
	if got := askOnce(t, "k", "POST", server+"/influencers", token, body); got.status != http.StatusCreated {
		t.Errorf("again: %d %s", got.status, got.body)
	}
}

// TestRateIsLimitedPerToken: one that hurries waits, others do not.
func TestRateIsLimitedPerToken(t *testing.T) {
	w := newWorld(t)
	w.Stop()
	w.burst = 5
	w.start()
	hasty, other, server := w.token(control.Analyst), w.token(control.Analyst), w.serve()+"/api/v1"
	var statuses []int
	var last answer
	for range 7 {
		last = ask(t, "GET", server+"/links", hasty, "")
		statuses = append(statuses, last.status)
	}
	if got := fmt.Sprint(statuses); got != "[200 200 200 200 200 429 429]" {
		t.Errorf("statuses %s", got)
	}
	if last.header.Get("Retry-After") != "1" || last.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%v", last.header)
	}
	if got := ask(t, "GET", server+"/links", other, ""); got.status != http.StatusOK {
		t.Errorf("another token: %d %s", got.status, got.body)
	}
	if got := ask(t, "GET", server+"/links", "carom_guess", ""); got.status != http.StatusUnauthorized {
		t.Errorf("no token: %d", got.status)
	}
}
