package control_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carom/control"
)

// TestClientThatHangsUpIsNoTrouble: its requests fail, and the log is silent about it.
func TestClientThatHangsUpIsNoTrouble(t *testing.T) {
	w := newWorld(t)
	w.Stop()
	var log bytes.Buffer
	w.tune = func(c *control.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	w.start()
	w.loadBasics()
	token := w.token(control.Editor)
	mux := http.NewServeMux()
	w.API(mux)
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for _, r := range []struct{ method, path, body, key string }{
		{"GET", "/links", "", ""},
		{"GET", "/links/export", "", ""},
		{"POST", "/influencers", `{"influencer":"mia","name":"Mia"}`, "key"},
	} {
		request := httptest.NewRequestWithContext(gone, r.method, control.APIPrefix+r.path, strings.NewReader(r.body))
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		if r.key != "" {
			request.Header.Set("Idempotency-Key", r.key)
		}
		if status := serveUntilAborted(mux, request); status < http.StatusInternalServerError {
			t.Errorf("%s %s: answered with %d", r.method, r.path, status)
		}
	}
	w.Stop()
	if log.Len() > 0 {
		t.Errorf("the log says %s", log.String())
	}
}

// serveUntilAborted returns the status of an answer, 500 where it was cut off in the middle.
func serveUntilAborted(h http.Handler, request *http.Request) (status int) {
	defer func() {
		if cut := recover(); cut == http.ErrAbortHandler { //nolint:errorlint // recover returns just that value
			status = http.StatusInternalServerError
		} else if cut != nil {
			panic(cut)
		}
	}()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, request)
	return answer.Code
}
