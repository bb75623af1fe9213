package control_test

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carom/control"
	"carom/ingest/chtest"
)

func TestMain(m *testing.M) {
	// A round of a property asks ClickHouse some twenty times. What the command line says counts.
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	chtest.Main(m)
}

// A world is a control process over a fresh database.
type world struct {
	*control.Control
	t  testing.TB
	db *chtest.DB
	// now is what the clock of the control process shows; set before start.
	now time.Time
	// burst is how many requests a token may send, 0 for any number; set before start. The clock stands, so no more are granted.
	burst int
	// lease is how long others wait for a sign of it, and takeOver whether it waits for theirs; set before start.
	lease    time.Duration
	takeOver bool
	address  string
	// tune sets the rest of the configuration; set before start.
	tune func(*control.Config)
}

// day0 is when the tests take place.
var day0 = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

const clusterSecret = "a cluster secret for tests, long enough"

// newWorld starts one. Tests with worlds of their own run beside each other.
func newWorld(t *testing.T) *world {
	t.Parallel()
	return startWorld(t)
}

// startWorld starts one at once.
func startWorld(t testing.TB) *world {
	w := &world{t: t, db: chtest.New(t), now: day0, address: "http://first:9090"}
	w.start()
	t.Cleanup(func() { w.Stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	cfg := control.DefaultConfig()
	cfg.Conn, cfg.ClusterSecret = w.db.Conn, []byte(clusterSecret)
	cfg.Now = func() time.Time { return w.now }
	cfg.Burst, cfg.Lease = cmp.Or(w.burst, 1_000_000), cmp.Or(w.lease, cfg.Lease)
	cfg.Address, cfg.TakeOver = w.address, w.takeOver
	if w.tune != nil {
		w.tune(&cfg)
	}
	var err error
	if w.Control, err = control.New(cfg); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// restart ends the control process and starts another one on the same data.
func (w *world) restart() {
	w.t.Helper()
	w.Stop()
	w.start()
}

// csv joins the lines of a file.
func csv(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

// run imports a file within scope.
func (w *world) run(scope control.Scope, kind, file string) control.Result {
	w.t.Helper()
	result, err := w.ImportCSV(w.t.Context(), kind, strings.NewReader(file), scope)
	if err != nil {
		w.t.Fatalf("import %s: %v", kind, err)
	}
	return result
}

// load imports a file that must be accepted as a whole.
func (w *world) load(kind string, lines ...string) control.Result {
	w.t.Helper()
	result := w.run(control.LocalScope(), kind, csv(lines...))
	if len(result.Rejected) > 0 {
		w.t.Fatalf("import %s: rejected %+v", kind, result.Rejected)
	}
	return result
}

// loadBasics imports one brand with a domain, a campaign and a creator: enough for a link.
func (w *world) loadBasics() {
	w.t.Helper()
	w.load("brands", "brand,name,currency", "acme,Acme,EUR")
	w.load("domains", "host,brand", "go.acme.example,acme")
	w.load("influencers", "influencer,name,followers", "lena,Lena,640", "tom,Tom,8200")
	w.load("campaigns", "campaign,brand,name,destination",
		"boots,acme,Boots,https://shop.acme-goods.example/boots", "tents,acme,Tents,https://shop.acme-goods.example/tents")
}

// loadSample imports the sample files that `carom up` begins with.
func (w *world) loadSample() {
	w.t.Helper()
	for _, kind := range []string{"brands", "domains", "influencers", "campaigns", "links", "commissions"} {
		file, err := os.ReadFile(filepath.Join("..", "cmd", "carom", "sample", kind+".csv"))
		if err != nil {
			w.t.Fatal(err)
		}
		w.load(kind, strings.TrimSuffix(string(file), "\n"))
	}
}

// one reads a single value.
func one[V any](w *world, query string, args ...any) V {
	w.t.Helper()
	var v V
	if err := w.db.Conn.QueryRow(w.t.Context(), query, args...).Scan(&v); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return v
}

// counts leaves the rejects of a result out, so that results compare by ==.
type counts struct{ created, updated, unchanged, rejected int }

func countsOf(r control.Result) counts {
	return counts{r.Created, r.Updated, r.Unchanged, len(r.Rejected)}
}
