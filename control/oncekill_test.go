package control_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"carom/control"
)

// An insertWatch is a connection that tells of each insert before it begins. Where told returns an error the insert does.
type insertWatch struct {
	driver.Conn
	told func(query string) error
}

func (c insertWatch) PrepareBatch(ctx context.Context, query string, options ...driver.PrepareBatchOption) (driver.Batch, error) {
	if err := c.told(query); err != nil {
		return nil, err
	}
	return c.Conn.PrepareBatch(ctx, query, options...)
}

// watch has the next start of w tell of its inserts.
func (w *world) watch(told func(query string) error) {
	w.tune = func(cfg *control.Config) { cfg.Conn, cfg.LeaseConn = insertWatch{cfg.Conn, told}, cfg.Conn }
}

// TestRequestOfAKilledProcessIsNotCarriedOutTwice ends the process before each insert that a request with an Idempotency-Key makes,
// one after the other, and sends the request again to the next process.
func TestRequestOfAKilledProcessIsNotCarriedOutTwice(t *testing.T) {
	for _, c := range []struct{ path, body, table string }{
		{"/tokens", `{"name":"robot-%d","role":"editor"}`, "tokens"},
		{"/links/token", `{"domain":"go.acme.example","campaign":"boots","influencer":"lena","sub1":"%d"}`, "links"},
	} {
		t.Run(c.table, func(t *testing.T) {
			w := newWorld(t)
			w.twoBrands()
			token := w.token(control.Admin)
			rows := func() int { return int(one[uint64](w, "SELECT count() FROM "+c.table+" FINAL")) }

			var left atomic.Int32 // inserts until the end of the process
			w.watch(func(string) error {
				if left.Add(-1) < 0 {
					panic(http.ErrAbortHandler) // nothing of the request comes after it
				}
				return nil
			})
			next := func() string { // process
				left.Store(math.MaxInt32)
				w.restart()
				return w.serve() + "/api/v1" + c.path
			}
			next()
			ended := true
			for inserts := int32(0); ended; inserts++ {
				body, key, before := fmt.Sprintf(c.body, inserts), fmt.Sprint("k", inserts), rows()
				fresh := w.serve() + "/api/v1" + c.path // over a connection used before the client would try again by itself
				left.Store(inserts)
				_, err := try(t, "POST", fresh, token, body, "Idempotency-Key", key)
				ended = err != nil
				address := next()
				stored := rows() - before
				again := askOnce(t, key, "POST", address, token, body)
				replayed := again.header.Get("Idempotency-Replayed") == "true"
				var as string
				switch {
				case inserts == 0:
					as = "nothing was begun: it is carried out now"
					stored++
					if again.status >= 300 || replayed {
						t.Errorf("%s: %d %s", as, again.status, again.body)
					}
				case ended:
					as = fmt.Sprintf("ended after %d inserts: nobody knows", inserts)
					if again.status != http.StatusConflict || !strings.Contains(again.body, "begun before") || replayed {
						t.Errorf("%s: %d %s", as, again.status, again.body)
					}
				default:
					as = "not ended: the answer is kept"
					if !replayed {
						t.Errorf("%s: %d %s", as, again.status, again.body)
					}
				}
				if now := rows() - before; now != stored || stored > 1 || !ended && stored != 1 {
					t.Errorf("%s: %d rows stored, then %d", as, stored, now)
				}
				other := askOnce(t, key, "POST", address, token, "{}")
				if other.status != http.StatusUnprocessableEntity || !strings.Contains(other.body, "another request") {
					t.Errorf("%s: another request with the key gets %d %s", as, other.status, other.body)
				}
			}
		})
	}
}

// TestUnconfirmedRequestIsNotCarriedOutTwice: the change of a request that was answered 503 is stored before the next one, so the
// same request is not carried out again.
func TestUnconfirmedRequestIsNotCarriedOutTwice(t *testing.T) {
	w := newWorld(t)
	token := w.token(control.Admin)
	away, before := errors.New("ClickHouse is away"), one[uint64](w, "SELECT count() FROM tokens FINAL")
	var lost atomic.Bool
	w.watch(func(string) error {
		if lost.Load() {
			return away
		}
		return nil
	})
	w.restart()
	address := w.serve() + "/api/v1/tokens"
	const body = `{"name":"robot","role":"editor"}`
	lost.Store(true)
	if got := askOnce(t, "k", "POST", address, token, body); got.status != http.StatusServiceUnavailable {
		t.Errorf("with ClickHouse away: %d %s", got.status, got.body)
	}
	lost.Store(false)
	if got := askOnce(t, "k", "POST", address, token, body); got.status != http.StatusConflict || !strings.Contains(got.body, "begun before") {
		t.Errorf("sent again: %d %s", got.status, got.body)
	}
	if n := one[uint64](w, "SELECT count() FROM tokens FINAL") - before; n != 1 {
		t.Errorf("%d tokens were made, want 1", n)
	}
}

// TestKeptAnswersAreBounded: a token that goes on and on with new keys waits, and of many long answers is kept only that they were given.
func TestKeptAnswersAreBounded(t *testing.T) {
	w := newWorld(t)
	w.tune = func(cfg *control.Config) { cfg.Keys, cfg.Answers = 3, 200 }
	w.restart()
	address, token, other := w.serve()+"/api/v1/influencers", w.token(control.Editor), w.token(control.Editor)
	creator := func(name string) string { return fmt.Sprintf(`{"influencer":%q,"name":"A creator"}`, name) }
	for _, s := range []struct {
		why, key, token, body string
		status                int
		says                  string
	}{
		{"the first is kept", "k1", token, creator("c1"), 201, "c1"},
		{"the second is not, the token has used up its bytes", "k2", token, creator("c2"), 201, "c2"},
		{"the first is answered again", "k1", token, creator("c1"), 201, "c1"},
		{"the second was carried out", "k2", token, creator("c2"), 409, "this token had many"},
		{"a third key", "k3", token, creator("c3"), 201, "c3"},
		{"a fourth is one too many", "k4", token, creator("c4"), 429, "too many different Idempotency-Keys"},
		{"a known key costs nothing", "k1", token, creator("c1"), 201, "c1"},
		{"another token has its own", "k4", other, creator("c4"), 201, "c4"},
	} {
		got := askOnce(t, s.key, "POST", address, s.token, s.body)
		if got.status != s.status || !strings.Contains(got.body, s.says) {
			t.Errorf("%s: %d %s, want %d …%s…", s.why, got.status, got.body, s.status, s.says)
		}
		if want := map[bool]string{true: "1200"}[s.status == 429]; got.header.Get("Retry-After") != want {
			t.Errorf("%s: Retry-After %q, want %q", s.why, got.header.Get("Retry-After"), want)
		}
	}
	if n := one[uint64](w, "SELECT count() FROM kept_answers FINAL"); n != 4 {
		t.Errorf("%d answers are kept, want 4", n)
	}
}
