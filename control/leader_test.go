package control_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"carom/control"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

// A second control process on the database of w, which waits as long as lease for a sign of the first.
func (w *world) second(lease time.Duration, takeOver bool) *world {
	w.t.Helper()
	other := &world{t: w.t, db: w.db, now: w.now, lease: lease, takeOver: takeOver, address: "http://second:9090"}
	other.start()
	w.t.Cleanup(func() { other.Stop() })
	return other
}

// wait is until w writes.
func (w *world) wait() {
	w.t.Helper()
	select {
	case <-w.Leads():
	case <-time.After(time.Minute):
		w.t.Fatal("the standby has not taken over within a minute")
	}
}

const aLink = "link,domain,campaign,influencer"

func TestStandbyWritesOnlyWhenTheWriterIsGone(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	standby := w.second(time.Second, false)
	if s := standby.Standing(); s.Leads || s.Leader != w.address || s.Term == 0 {
		t.Errorf("%+v", s)
	}
	got := ask(t, "GET", standby.serve()+"/api/v1/links", w.token(control.Admin), "")
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, w.address) || got.header.Get("Retry-After") != "1" ||
		got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the standby's API: %d %v %s", got.status, got.header, got.body)
	}
	revoked := w.token(control.Admin)
	if err := w.RevokeToken(t.Context(), control.LocalScope(), strings.Split(revoked, "_")[1]); err != nil {
		t.Fatal(err)
	}
	for why, token := range map[string]string{"no token": "", "a wrong one": w.token(control.Analyst) + "x", "one that was revoked since": revoked} {
		got := ask(t, "GET", standby.serve()+"/api/v1/links", token, "")
		if got.status != http.StatusServiceUnavailable || strings.Contains(got.body, w.address) || !strings.Contains(got.body, "is a standby") {
			t.Errorf("the standby's API, with %s: %d %s", why, got.status, got.body)
		}
	}
	_, err := standby.ImportCSV(t.Context(), "links", strings.NewReader(csv(aLink, "a,go.acme.example,boots,lena")), control.LocalScope())
	if !errors.Is(err, control.ErrStandby) {
		t.Errorf("an import by the standby: %v", err)
	}
	w.load("links", aLink, "a,go.acme.example,boots,lena")
	w.Stop()
	standby.wait()
	if got := standby.load("links", aLink, "a,go.acme.example,boots,lena", "b,go.acme.example,boots,lena"); got.Created != 1 || got.Unchanged != 1 {
		t.Errorf("after the takeover: %+v", got)
	}
	if got := one[string](w, "SELECT arrayStringConcat(groupArray(concat(link, '=', toString(link_id))), ' ') FROM (SELECT * FROM links FINAL ORDER BY link_id)"); got != "a=1 b=2" {
		t.Errorf("links %s", got)
	}
	if n := one[uint64](w, "SELECT uniqExact(version) FROM links"); n != 2 {
		t.Errorf("%d versions for two changes", n)
	}
}

// TestTakeOverByHand: the one that wrote learns of it with its next write, whatever its clock says, and comes back when the other one goes.
func TestTakeOverByHand(t *testing.T) {
	w := newWorld(t)
	w.Stop()
	w.lease = time.Minute // it will not look by itself
	w.start()
	w.loadBasics()
	api, token := w.serve(), w.token(control.Admin)
	second := w.second(time.Second, true)
	if s := second.Standing(); !s.Leads {
		t.Fatalf("%+v", s)
	}
	second.load("links", aLink, "a,go.acme.example,boots,lena")
	for range 2 {
		_, err := w.ImportCSV(t.Context(), "links", strings.NewReader(csv(aLink, "b,go.acme.example,boots,tom")), control.LocalScope())
		if !errors.Is(err, control.ErrStandby) || !strings.Contains(err.Error(), second.address) {
			t.Errorf("an import by the former writer: %v", err)
		}
	}
	if got := ask(t, "GET", api+"/api/v1/links", token, ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("its API: %d %s", got.status, got.body)
	}
	if got := one[string](w, "SELECT arrayStringConcat(groupArray(link)) FROM links"); got != "a" {
		t.Errorf("links %q, want what the new writer has stored", got)
	}
	if got := one[uint64](w, "SELECT count() FROM audit FINAL WHERE key = 'b'"); got != 0 {
		t.Errorf("%d accounts of a change that never was", got)
	}
}

// TestWriterOutlivesClickHouse: while ClickHouse is away longer than the lease, nothing is answered from a memory that may be old; then
// the writer goes on, since nobody else has taken over.
func TestWriterOutlivesClickHouse(t *testing.T) {
	w := newWorld(t)
	w.Stop()
	direct := w.db.Conn
	proxy := w.throughProxy()
	w.lease = time.Second
	w.start()
	w.db.Conn = direct
	w.loadBasics()
	api, token := w.serve()+"/api/v1/tokens", w.token(control.Admin)

	proxy.away.Store(true)
	faults.Await(t, "the API says that ClickHouse does not answer", func() bool {
		return ask(t, "GET", api, token, "").status == http.StatusServiceUnavailable
	})
	time.Sleep(2 * w.lease)
	proxy.away.Store(false)
	faults.Await(t, "the API answers again", func() bool { return ask(t, "GET", api, token, "").status == http.StatusOK })
	w.load("links", aLink, "a,go.acme.example,boots,lena")
}

// However many requests wait for a connection to ClickHouse, the lease is renewed.
func TestRequestsDoNotCostTheLease(t *testing.T) {
	w := newWorld(t)
	w.Stop()
	cfg := control.DefaultConfig()
	cfg.Conn = chtest.Open(t, w.db.DSN("carom_admin")+"?max_open_conns=2&dial_timeout=500ms")
	cfg.LeaseConn, cfg.ClusterSecret, cfg.Lease = w.db.Conn, []byte(clusterSecret), time.Second
	writer, err := control.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer writer.Stop()
	ended := make(chan error)
	for range 2 {
		go func() { ended <- cfg.Conn.Exec(t.Context(), "SELECT sleep(3)") }()
	}
	before := writer.Standing().Term
	err = errors.Join(<-ended, <-ended)
	if s := writer.Standing(); err != nil || !s.Leads || s.Term < before+2 {
		t.Errorf("%v; term %d before all connections were busy, then %+v", err, before, s)
	}
}
