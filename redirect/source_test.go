package redirect_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/control"
	"carom/deploy/engine"
	"carom/ingest"
	"carom/ingest/chtest"
	"carom/redirect"
)

func TestMain(m *testing.M) { chtest.Main(m) }

// nowhere takes clicks and keeps nothing: these tests look at answers.
type nowhere struct{}

func (nowhere) PutClick(uint64, *ingest.Click) bool   { return true }
func (nowhere) PutConversion(*ingest.Conversion) bool { return true }

// A world is a control process and one edge on a real ClickHouse.
type world struct {
	*testing.T
	db     *chtest.DB
	writer *control.Control
	server *redirect.Server
	source *redirect.Source

	registry *prometheus.Registry // of the source that was made last
}

var clusterSecret = []byte(strings.Repeat("secret for tests", 2))

func newWorld(t *testing.T) *world {
	w := &world{T: t, db: chtest.New(t)}
	config := control.DefaultConfig()
	config.Conn, config.ClusterSecret, config.Log = w.db.Conn, clusterSecret, slog.New(slog.NewTextHandler(t.Output(), nil))
	var err error
	if w.writer, err = control.New(config); err != nil {
		t.Fatal(err)
	}
	if err := w.writer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.writer.Stop)
	w.server, w.source = w.edge(w.db.DSN(engine.Edge))
	w.load("brands", "brand,name,currency\nacme,Acme,EUR\n")
	w.load("domains", "host,brand\ngo.acme.example,acme\n")
	w.load("influencers", "influencer,name,platform,followers\nlena,Lena,instagram,8000\n")
	w.load("campaigns", "campaign,brand,name,destination,utm_source\nspring,acme,Spring,https://shop.acme.example/boots,{platform}\n")
	w.load("links", "link,campaign,influencer,domain,slug\nspring-lena,spring,lena,go.acme.example,lena\n")
	return w
}

// edge starts a listener whose table comes from dsn; the source does not poll by itself. Options change the source's
// configuration.
func (w *world) edge(dsn string, options ...func(*redirect.SourceConfig)) (*redirect.Server, *redirect.Source) {
	w.Helper()
	log := slog.New(slog.NewTextHandler(w.Output(), nil))
	c := redirect.Default()
	c.Listen, c.Node = "127.0.0.1:0", 1
	server, err := redirect.NewServer(c, nowhere{}, prometheus.NewRegistry(), log)
	if err != nil {
		w.Fatal(err)
	}
	if err := server.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			w.Error(err)
		}
	})
	sealer, err := redirect.NewSealer(clusterSecret)
	if err != nil {
		w.Fatal(err)
	}
	sc := redirect.DefaultSource()
	sc.ClickHouse = dsn
	for _, change := range options {
		change(&sc)
	}
	w.registry = prometheus.NewRegistry()
	source, err := redirect.NewSource(sc, sealer, server, w.registry, log)
	if err != nil {
		w.Fatal(err)
	}
	return server, source
}

func (w *world) load(kind, csv string) {
	w.Helper()
	result, err := w.writer.ImportCSV(w.Context(), kind, strings.NewReader(csv), control.LocalScope())
	if err != nil || len(result.Rejected) > 0 {
		w.Fatalf("import %s: %v, rejected %+v", kind, err, result.Rejected)
	}
}

func (w *world) refresh() {
	w.Helper()
	if err := w.source.Refresh(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// get asks the edge and returns the status and the Location up to the click id.
func (w *world) get(path string) string {
	w.Helper()
	request, _ := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+w.server.Addr().String()+path, nil)
	request.Host = "go.acme.example"
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	location, _, _ := strings.Cut(response.Header.Get("Location"), "click_id=")
	return strings.TrimSpace(response.Status[:3] + " " + location)
}

func (w *world) want(path, want string) {
	w.Helper()
	if got := w.get(path); got != want {
		w.Errorf("GET %s\n got %s\nwant %s", path, got, want)
	}
}

// code is the path of the first link's signed code.
func (w *world) code(key string) string {
	w.Helper()
	l, err := w.writer.Link(w.Context(), control.LocalScope(), "acme", key)
	if err != nil {
		w.Fatal(err)
	}
	return "/" + l.Code
}

func TestChangesReachTheEdge(t *testing.T) {
	w := newWorld(t)
	w.want("/lena", "503") // nothing loaded yet
	w.refresh()
	w.want("/lena", "302 https://shop.acme.example/boots?utm_source=instagram&")
	w.want(w.code("spring-lena"), "302 https://shop.acme.example/boots?utm_source=instagram&")

	w.load("links", "link,campaign,influencer,domain,slug\nspring-two,spring,lena,go.acme.example,two\n")
	w.want("/two", "404")
	w.refresh()
	w.want("/two", "302 https://shop.acme.example/boots?utm_source=instagram&")

	// A campaign's change reaches the links that were built before, and leaves those with their own destination alone.
	w.load("links", "link,campaign,influencer,domain,slug,destination\nspring-own,spring,lena,go.acme.example,own,https://own.acme.example/\n")
	w.load("campaigns", "campaign,brand,name,destination,utm_source\nspring,acme,Spring,https://shop.acme.example/sandals,ig\n")
	w.refresh()
	w.want("/lena", "302 https://shop.acme.example/sandals?utm_source=ig&")
	w.want("/own", "302 https://own.acme.example/?utm_source=ig&")

	// So does a creator's.
	w.load("campaigns", "campaign,brand,name,destination,utm_source\nspring,acme,Spring,https://shop.acme.example/sandals,{platform}\n")
	w.load("influencers", "influencer,name,platform\nlena,Lena,tiktok\n")
	w.refresh()
	w.want("/lena", "302 https://shop.acme.example/sandals?utm_source=tiktok&")

	// And a brand's list of destination hosts.
	w.load("brands", "brand,name,currency,destination_hosts\nacme,Acme,EUR,shop.acme.example\n")
	w.refresh()
	w.want("/lena", "302 https://shop.acme.example/sandals?utm_source=tiktok&")
	w.want("/own", "404")
	w.load("brands", "brand,name,currency,destination_hosts\nacme,Acme,EUR,\n")
	w.refresh()
	w.want("/own", "302 https://own.acme.example/?utm_source=tiktok&")

	w.want("/.well-known/assetlinks.json", "404")
	w.load("domains", "host,brand,assetlinks\ngo.acme.example,acme,\"[{\"\"relation\"\":[\"\"r\"\"],\"\"target\"\":{\"\"namespace\"\":\"\"web\"\"}}]\"\n")
	w.refresh()
	w.want("/.well-known/assetlinks.json", "200")

	for _, target := range []control.Target{
		{Brand: "acme", Link: "spring-two"}, {Brand: "acme", Campaign: "spring"}, {Influencer: "lena"},
	} {
		for _, enabled := range []bool{false, true} {
			if _, err := w.writer.SetEnabled(t.Context(), control.LocalScope(), target, enabled); err != nil {
				t.Fatal(err)
			}
			w.refresh()
			if enabled {
				w.want("/two", "302 https://shop.acme.example/sandals?utm_source=tiktok&")
			} else {
				w.want("/two", "410")
			}
		}
	}
}

// Of changes between two looks the last one counts, and a slug belongs to whom it was given last.
func TestTheLastOfSeveralChangesCounts(t *testing.T) {
	w := newWorld(t)
	w.refresh()
	for v := range 20 {
		w.load("links", fmt.Sprintf("link,campaign,influencer,domain,destination\nspring-lena,spring,lena,go.acme.example,https://shop.acme.example/v%d\n", v))
	}
	w.refresh()
	w.want("/lena", "302 https://shop.acme.example/v19?utm_source=instagram&")

	w.load("links", "link,campaign,influencer,domain,slug\nspring-lena,spring,lena,go.acme.example,\n")
	w.load("links", "link,campaign,influencer,domain,slug,destination\nspring-two,spring,lena,go.acme.example,lena,https://shop.acme.example/two\n")
	w.refresh()
	w.want("/lena", "302 https://shop.acme.example/two?utm_source=instagram&")
}

func TestRetiredKeyIsUnknownAtTheEdge(t *testing.T) {
	w := newWorld(t)
	old := w.code("spring-lena")
	if _, _, err := w.writer.RotateKey(t.Context(), control.LocalScope(), "acme", redirect.KeyCode); err != nil {
		t.Fatal(err)
	}
	w.load("links", "link,campaign,influencer,domain\nspring-new,spring,lena,go.acme.example\n")
	w.refresh()
	w.want(old, "302 https://shop.acme.example/boots?utm_source=instagram&")
	w.want(w.code("spring-new"), "302 https://shop.acme.example/boots?utm_source=instagram&")
	if _, err := w.writer.RetireKey(t.Context(), control.LocalScope(), "acme", redirect.KeyCode, "0"); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	w.want(old, "404")
	w.want(w.code("spring-new"), "302 https://shop.acme.example/boots?utm_source=instagram&")
}

// While ClickHouse does not answer, the edge answers from the table it has.
func TestTableOutlivesClickHouse(t *testing.T) {
	w := newWorld(t)
	w.refresh()
	age := w.server.Age()
	broken, source := w.edge("clickhouse://u:p@127.0.0.1:1/carom")
	broken.SetTable(w.server.Table())
	if err := source.Refresh(t.Context()); err == nil {
		t.Error("no error from a ClickHouse that is not there")
	}
	w.server = broken
	w.want("/lena", "302 https://shop.acme.example/boots?utm_source=instagram&")
	if age > time.Minute {
		t.Errorf("the table is %v old right after a refresh", age)
	}
}

// A wrong cluster secret is an error that names the key and says nothing of its content; the edge stays unready.
func TestWrongClusterSecret(t *testing.T) {
	w := newWorld(t)
	sealer, err := redirect.NewSealer([]byte(strings.Repeat("another secret..", 2)))
	if err != nil {
		t.Fatal(err)
	}
	config := redirect.DefaultSource()
	config.ClickHouse = w.db.DSN(engine.Edge)
	source, err := redirect.NewSource(config, sealer, w.server, prometheus.NewRegistry(), slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "does not open under this cluster secret") {
		t.Errorf("Refresh = %v", err)
	}
	if w.server.Table().Ready() {
		t.Error("the edge is ready without keys")
	}
}

// keeping makes a source keep a snapshot in a file.
func keeping(path string) func(*redirect.SourceConfig) {
	return func(c *redirect.SourceConfig) { c.Snapshot, c.Poll = path, 10*time.Millisecond }
}

// snapshot runs a source until it has written its snapshot.
func (w *world) snapshot(source *redirect.Source) {
	w.Helper()
	source.Start()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, kept := source.SnapshotAge(); kept {
			break
		}
		if time.Now().After(deadline) {
			w.Fatal("no snapshot was written")
		}
	}
	if err := source.Stop(); err != nil {
		w.Fatal(err)
	}
}

// A node that starts while ClickHouse is away answers from its snapshot, and shows how old that is.
func TestStartWithoutClickHouse(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "table.snapshot")
	_, source := w.edge(w.db.DSN(engine.Edge), keeping(path))
	w.snapshot(source)

	w.server, source = w.edge("clickhouse://u:p@127.0.0.1:1/carom", keeping(path))
	w.want("/lena", "503")
	time.Sleep(time.Second) // what the age must show
	source.Restore()
	w.want("/lena", "302 https://shop.acme.example/boots?utm_source=instagram&")
	w.want(w.code("spring-lena"), "302 https://shop.acme.example/boots?utm_source=instagram&")
	if age, kept := source.SnapshotAge(); !kept || age < time.Second || w.server.Age() < time.Second {
		t.Errorf("the snapshot is %v old (%v), the table %v", age, kept, w.server.Age())
	}
	if err := source.Refresh(t.Context()); err == nil {
		t.Error("no error from a ClickHouse that is not there")
	}
	w.want("/lena", "302 https://shop.acme.example/boots?utm_source=instagram&")
}

// A start from a snapshot goes on from its versions: it reads what has changed since, and nothing else.
func TestSnapshotIsContinued(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "table.snapshot")
	_, source := w.edge(w.db.DSN(engine.Edge), keeping(path))
	w.snapshot(source)

	w.load("links", "link,campaign,influencer,domain,slug\nspring-two,spring,lena,go.acme.example,two\n")
	w.load("campaigns", "campaign,brand,name,destination,utm_source\nspring,acme,Spring,https://shop.acme.example/sandals,{link}\n")
	w.server, w.source = w.edge(w.db.DSN(engine.Edge), keeping(path))
	w.source.Restore()
	w.want("/lena", "302 https://shop.acme.example/boots?utm_source=instagram&")
	w.want("/two", "404")
	if w.server.Table().Links() != 1 {
		t.Errorf("%d links in the snapshot", w.server.Table().Links())
	}
	w.refresh()
	w.want("/lena", "302 https://shop.acme.example/sandals?utm_source=spring-lena&") // the template asks for the key now
	w.want("/two", "302 https://shop.acme.example/sandals?utm_source=spring-two&")
	if w.server.Age() > time.Minute {
		t.Errorf("the table is %v old right after a refresh", w.server.Age())
	}
}

// A ClickHouse that holds less than the snapshot was made of does not empty the table.
func TestClickHouseThatWasSetBack(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "table.snapshot")
	_, source := w.edge(w.db.DSN(engine.Edge), keeping(path))
	w.snapshot(source)
	if err := w.db.Conn.Exec(t.Context(), "TRUNCATE TABLE links"); err != nil {
		t.Fatal(err)
	}
	w.server, w.source = w.edge(w.db.DSN(engine.Edge), keeping(path))
	w.source.Restore()
	if err := w.source.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "set back") || !strings.Contains(err.Error(), path) {
		t.Errorf("Refresh = %v", err)
	}
	w.want("/lena", "302 https://shop.acme.example/boots?utm_source=instagram&")
}
