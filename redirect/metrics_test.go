package redirect

import (
	"testing"
	"time"

	"carom/ingest"
	"carom/ingest/metric/metrictest"
)

// Each way a request can end moves its own counter by one and no other.
func TestEachOutcomeMovesItsCounter(t *testing.T) {
	e := newEdge(t)
	link := "/" + glowCode(linkLive) + " HTTP/1.1\nHost: go.glow.test"
	for _, c := range []struct {
		outcome outcome
		request string
	}{
		{outcomeRedirect, "GET " + link},
		{outcomeRedirect, "HEAD " + link},
		{outcomeExpired, "GET /" + glowCode(linkExpired) + " HTTP/1.1\nHost: go.glow.test"},
		{outcomeExpired, "GET /" + glowCode(linkExpiredFallback) + " HTTP/1.1\nHost: go.glow.test"},
		{outcomeDisabled, "GET /" + glowCode(linkDisabled) + " HTTP/1.1\nHost: go.glow.test"},
		{outcomeUnknown, "GET /nothing HTTP/1.1\nHost: go.glow.test"},
		{outcomeUnknown, "GET /nothing HTTP/1.1\nHost: m.glow.test"},
		{outcomeUnknown, "GET /nothing HTTP/1.1\nHost: nobody.test"},
		{outcomeUnknown, "GET /_/nothing HTTP/1.1\nHost: go.glow.test"},
		{outcomePage, "GET / HTTP/1.1\nHost: go.glow.test"},
		{outcomePage, "GET / HTTP/1.1\nHost: m.glow.test"},
		{outcomePage, "GET /robots.txt HTTP/1.1\nHost: nobody.test"},
		{outcomePage, "GET /favicon.ico HTTP/1.1\nHost: go.glow.test"},
		{outcomeBadRequest, "GET / HTTP/1.1\nHost: a@b"},
		{outcomeBadRequest, "GET / HTTP/1.1"},
		{outcomeBadRequest, "GET / HTTP/9.9\nHost: go.glow.test"},
		{outcomeBadRequest, "garbage"},
		{outcomeMethod, "PUT " + link},
		{outcomeMethod, "OPTIONS " + link},
		{outcomeFailed, "GET " + link},
		{outcomeNotReady, "GET " + link},
	} {
		e.onPut = nil
		switch c.outcome {
		case outcomeFailed:
			e.onPut = func(*ingest.Click) { panic("broken") }
		case outcomeNotReady:
			e.server.SetTable(&Table{})
		}
		before := metrictest.All(t, e.registry)
		e.send(t, c.request)
		after := metrictest.All(t, e.registry)
		for o := range outcomes {
			name := `carom_redirects_total{outcome="` + o.String() + `"}`
			moved, present := after[name]
			if moved -= before[name]; !present || (moved == 1) != (o == c.outcome) {
				t.Errorf("%q moves %s by %v, present %v", c.request, name, moved, present)
			}
		}
	}
}

func TestOneRedirectInManyIsTimed(t *testing.T) {
	e := newEdge(t)
	e.server.now = nil // the real clock
	for range 2 * sampleEvery {
		e.get(t, "go.glow.test", "/"+glowCode(linkLive))
	}
	if n := metrictest.All(t, e.registry)["carom_redirect_duration_seconds"]; n != 2 {
		t.Errorf("%v of %d redirects timed, want 2", n, 2*sampleEvery)
	}
}

func TestTableGauges(t *testing.T) {
	e := newEdge(t)
	if n := metrictest.All(t, e.registry)["carom_links"]; n != linkLast-2 { // numbers begin at 1, and one link is deleted
		t.Errorf("carom_links is %v, want %d", n, linkLast-2)
	}
	e.server.fresh.Store(time.Now().Add(-time.Minute).UnixNano())
	if age := metrictest.All(t, e.registry)["carom_link_table_age_seconds"]; age < 60 || age > 120 {
		t.Errorf("a table of a minute ago is %v s old", age)
	}
	e.server.Fresh()
	if age := metrictest.All(t, e.registry)["carom_link_table_age_seconds"]; age > 30 {
		t.Errorf("a fresh table is %v s old", age)
	}
}
