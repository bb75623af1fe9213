package redirect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carom/control"
	"carom/ingest/metric/metrictest"
	"carom/redirect"
)

// prove compares the table with ClickHouse, and reports what metrics say of it then: complete, and pieces that differed so far.
func (w *world) prove() (complete, differences float64) {
	w.Helper()
	if err := w.source.Prove(w.Context()); err != nil {
		w.Fatal(err)
	}
	told := metrictest.All(w, w.registry)
	return told["carom_link_table_complete"], told["carom_link_table_differences_total"]
}

func (w *world) wantProof(when string, complete, differences float64) {
	w.Helper()
	if c, d := w.prove(); c != complete || d != differences {
		w.Errorf("%s: complete is %v, %v differences, want %v and %v", when, c, d, complete, differences)
	}
}

// version is the highest one that a table holds.
func (w *world) version(table string) (v uint64) {
	w.Helper()
	if err := w.db.Conn.QueryRow(w.Context(), "SELECT max(version) FROM "+table).Scan(&v); err != nil {
		w.Fatal(err)
	}
	return v
}

// rewrite stores the newest row of an object once more, changed, under a version of our own.
func (w *world) rewrite(table, change, where string, version uint64) {
	w.Helper()
	err := w.db.Conn.Exec(w.Context(), fmt.Sprintf(
		"INSERT INTO %s SELECT * REPLACE (%s, %d AS version) FROM %s FINAL WHERE %s", table, change, version, table, where))
	if err != nil {
		w.Fatal(err)
	}
}

// oddLinks have something of everything that a link can have.
const oddLinks = `link,campaign,influencer,domain,slug,coupon,destination,utm_source,utm_term,content_format,starts,expires,fallback_url,enabled
plain,spring,lena,go.acme.example,,,,,,,,,,
slugged,spring,lena,go.acme.example,odd-1,LENA10,,,,reel,2026-01-01,2031-01-01,,
own,spring,lena,go.acme.example,,,https://own.acme.example/item?id=1,,,story,,,,false
bare,spring,lena,go.acme.example,,,https://own.acme.example/,,,,,,,
same,spring,lena,go.acme.example,,,https://shop.acme.example/boots,,,,,,,
fragment,spring,lena,go.acme.example,,,https://own.acme.example/?a=1#ö,,,,,,,
utm,spring,lena,go.acme.example,,,,größe {link},{influencer},,,,https://own.acme.example/over,
dropped,spring,lena,go.acme.example,,,https://own.acme.example/?utm_source=x&b=2,,,live,,,,
`

// A table is proven against ClickHouse: when it is new, after every sort of change, after a start from a snapshot, with links that
// no edge answers.
func TestTableIsProven(t *testing.T) {
	w := newWorld(t)
	w.refresh()
	w.wantProof("the first table", 1, 0)
	w.load("links", oddLinks)
	w.refresh()
	w.wantProof("odd links", 1, 0)
	empty := w.source.Proof().Checksum

	for _, target := range []control.Target{{Link: "own"}, {Link: "slugged"}, {Campaign: "spring"}, {Influencer: "lena"}} {
		if _, err := w.writer.SetEnabled(t.Context(), control.LocalScope(), target, target.Link == "own"); err != nil {
			t.Fatal(err)
		}
	}
	w.load("brands", "brand,name,currency,destination_hosts\nacme,Acme,EUR,shop.acme.example\n") // refuses destinations
	w.refresh()
	w.wantProof("links that are refused", 1, 0)
	if w.source.Proof().Checksum == empty {
		t.Error("the checksum is the same after a change")
	}
	w.rewrite("links", "true AS deleted", "link IN ('plain', 'utm')", w.version("links")+1)
	w.rewrite("campaigns", "true AS deleted", "true", w.version("campaigns")+1)
	w.refresh()
	w.wantProof("deleted objects", 1, 0)

	path := t.TempDir() + "/table.snapshot"
	_, source := w.edge(w.db.DSN("carom_edge"), keeping(path))
	w.snapshot(source)
	w.load("campaigns", "campaign,brand,name,destination\nautumn,acme,Autumn,https://shop.acme.example/coats\n")
	sum := w.source.Proof().Checksum
	w.server, w.source = w.edge(w.db.DSN("carom_edge"), keeping(path))
	w.source.Restore()
	w.refresh()
	w.wantProof("a start from a snapshot", 1, 0)
	if again := w.source.Proof(); again.Checksum != sum || again.Since.IsZero() {
		t.Errorf("the checksum after a start is %x, before %x", again.Checksum, sum)
	}
}

// A change whose version shows after a higher one is not followed. The proof finds it, whatever table it is in, and reads it.
func TestMissedChangesAreFound(t *testing.T) {
	for _, c := range []struct {
		table, change, where string
		path, before, after  string
	}{
		{
			"links", "'https://late.acme.example/' AS destination", "link = 'spring-lena'", "/lena",
			"302 https://shop.acme.example/boots?utm_source=instagram&", "302 https://late.acme.example/?utm_source=instagram&",
		},
		{"links", "true AS deleted", "link = 'spring-lena'", "/lena", "302 https://shop.acme.example/boots?utm_source=instagram&", "404"},
		{
			"links", "'late' AS slug, link_id + 100000 AS link_id", "link = 'spring-lena'", "/late",
			"404", "302 https://shop.acme.example/boots?utm_source=instagram&",
		},
		{
			"campaigns", "'https://late.acme.example/' AS destination", "campaign = 'spring'", "/lena",
			"302 https://shop.acme.example/boots?utm_source=instagram&", "302 https://late.acme.example/?utm_source=instagram&",
		},
		{"influencers", "false AS enabled", "influencer = 'lena'", "/lena", "302 https://shop.acme.example/boots?utm_source=instagram&", "410"},
		{
			"brands", "['late.acme.example'] AS destination_hosts", "brand = 'acme'", "/lena",
			"302 https://shop.acme.example/boots?utm_source=instagram&", "404",
		},
		{"domains", "'signed' AS vanity", "true", "/lena", "302 https://shop.acme.example/boots?utm_source=instagram&", "404"},
		{"keys", "'retired' AS state", "kind = 'code'", "CODE", "302 https://shop.acme.example/boots?utm_source=instagram&", "404"},
	} {
		t.Run(c.table+" "+c.change, func(t *testing.T) {
			w := newWorld(t)
			path := strings.ReplaceAll(c.path, "CODE", w.code("spring-lena"))
			late := w.version("links") + 1
			other := map[string]string{
				"links":       "link,campaign,influencer,domain\nspring-two,spring,lena,go.acme.example\n",
				"campaigns":   "campaign,brand,name,destination\nautumn,acme,Autumn,https://shop.acme.example/coats\n",
				"influencers": "influencer,name\nmia,Mia\n",
				"brands":      "brand,name,currency\nbolt,Bolt,EUR\n", "keys": "brand,name,currency\nbolt,Bolt,EUR\n",
				"domains": "host,brand\nto.acme.example,acme\n",
			}[c.table]
			kind := c.table
			if kind == "keys" {
				kind = "brands" // a new brand has a new key
			}
			w.load("influencers", "influencer,name\nnobody,Nobody\n") // takes the version that is late
			w.load(kind, other)
			w.refresh()
			w.wantProof("before", 1, 0)
			w.want(path, c.before)

			w.rewrite(c.table, c.change, c.where, late)
			w.refresh()
			w.want(path, c.before) // missed
			w.wantProof("after", 1, 1)
			w.want(path, c.after)
			w.wantProof("once more", 1, 1)
		})
	}
}

// What ClickHouse has lost goes on being served and shows as such, from a snapshot too. It is read again once, not at every look;
// when it is back, nothing is told any more.
func TestLostRowsShow(t *testing.T) {
	w := newWorld(t)
	w.load("links", "link,campaign,influencer,domain\nspring-two,spring,lena,go.acme.example\n")
	path := t.TempDir() + "/table.snapshot"
	w.server, w.source = w.edge(w.db.DSN("carom_edge"), keeping(path))
	w.refresh()
	w.wantProof("before", 1, 0)
	w.wantOrphans(0)
	exec := func(statement string) {
		t.Helper()
		if err := w.db.Conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const served = "302 https://shop.acme.example/boots?utm_source=instagram&"
	exec("CREATE TABLE kept AS links")
	exec("INSERT INTO kept SELECT * FROM links WHERE link = 'spring-lena'")
	exec("DELETE FROM links WHERE link = 'spring-lena'")
	w.wantProof("a row is gone", 0, 1)
	w.wantProof("at the next look", 0, 1)
	w.wantOrphans(1)
	w.want("/lena", served)

	w.snapshot(w.source)
	w.server, w.source = w.edge(w.db.DSN("carom_edge"), keeping(path))
	w.source.Restore()
	w.refresh()
	w.wantProof("after a start from the snapshot", 0, 1)
	w.wantOrphans(1)
	w.want("/lena", served)

	w.server, w.source = w.edge(w.db.DSN("carom_edge"), func(*redirect.SourceConfig) {})
	w.refresh()
	w.wantProof("after a start without it", 1, 0)
	w.wantOrphans(0)
	w.want("/lena", "404")

	exec("INSERT INTO links SELECT * FROM kept")
	w.wantProof("the row is back", 1, 1)
	w.wantOrphans(0)
	w.want("/lena", served)
}

func (w *world) wantOrphans(rows uint64) {
	w.Helper()
	if got := w.source.Proof().Orphans; got != rows {
		w.Errorf("%d rows that ClickHouse has lost, want %d", got, rows)
	}
}

// A table that is behind differs from nothing: what is on its way is not compared.
func TestProofWaitsForChanges(t *testing.T) {
	w := newWorld(t)
	w.refresh()
	w.wantProof("before", 1, 0)
	w.load("links", oddLinks)
	w.load("campaigns", "campaign,brand,name,destination\nspring,acme,Spring,https://shop.acme.example/sandals\n")
	w.wantProof("with changes to come", 1, 0)
	w.want("/lena", "302 https://shop.acme.example/boots?utm_source=instagram&")
}

// A polling node proves its table by itself.
func TestProofIsKeptUp(t *testing.T) {
	w := newWorld(t)
	_, source := w.edge(w.db.DSN("carom_edge"), func(c *redirect.SourceConfig) { c.Poll, c.Prove = 10*time.Millisecond, time.Millisecond })
	source.Start()
	defer func() {
		if err := source.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(time.Minute); !source.Proof().Complete; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the table is not proven")
		}
	}
}
