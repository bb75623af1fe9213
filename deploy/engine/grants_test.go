package engine_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/schema"
)

const (
	insertClick = "INSERT INTO clicks (ts, click_id, link_id, brand_id, batch_id) " +
		"VALUES ('2026-07-01 12:00:00', 'AAAAAAAAAAAAAAAAAAAAAA', 1, 1, 'b')"
	insertConversion = "INSERT INTO conversions (received, ts, brand_id, event, txid, status, source) " +
		"VALUES ('2026-07-01 12:00:00', '2026-07-01 12:00:00', 1, 'sale', 'x', 'approved', 'postback')"
	insertLedger = "INSERT INTO node_ledger (hour, node, spool, batch) VALUES ('2026-07-01 12:00:00', 1, 's', 1)"
)

func TestGrants(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	if _, err := schema.Apply(t.Context(), schema.Files, e.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		user, statement string
		allowed         bool
	}{
		{engine.Edge, insertClick, true},
		{engine.Edge, insertConversion, true},
		{engine.Edge, insertLedger, true},
		{engine.Edge, "INSERT INTO doubtful_batches (source, batch_id, week) SELECT 'clicks', 'a-1', toDate('2026-07-06')", true},
		{engine.Edge, "INSERT INTO doubtful_batches (source, batch_id, week, checked) SELECT 'clicks', 'a-1', toDate('2026-07-06'), true", false},
		{engine.Edge, "SELECT batch_id, count(), min(ts), any(node), any(click_id) FROM clicks GROUP BY batch_id", true},
		{engine.Edge, "SELECT batch_id, count(), min(ts), any(node), any(click_id) FROM conversions GROUP BY batch_id", true},
		{engine.Edge, "SELECT * FROM node_ledger", true},
		{engine.Edge, "SELECT * FROM brands FINAL", true},
		{engine.Edge, "SELECT * FROM domains FINAL", true},
		{engine.Edge, "SELECT * FROM influencers FINAL", true},
		{engine.Edge, "SELECT * FROM campaigns FINAL", true},
		{engine.Edge, "SELECT * FROM links FINAL", true},
		{engine.Edge, "SELECT * FROM keys FINAL", true},
		{engine.Edge, "SELECT name FROM system.settings", true},
		{engine.Edge, "SELECT count() FROM system.parts", true},
		{engine.Edge, "SELECT visitor, ip_prefix FROM clicks", false},
		{engine.Edge, "SELECT amount FROM conversions", false},
		{engine.Edge, "SELECT * FROM tokens", false},
		{engine.Edge, "INSERT INTO links (link_id) VALUES (1)", false},
		{engine.Edge, "INSERT INTO keys (brand_id) VALUES (1)", false},
		{engine.Edge, "ALTER TABLE clicks DELETE WHERE 1", false},
		{engine.Edge, "TRUNCATE TABLE clicks", false},
		{engine.Edge, "DROP TABLE clicks", false},
		{engine.Edge, "DROP DATABASE carom", false},
		{engine.Edge, "SELECT * FROM file('/etc/passwd', 'LineAsString')", false},
		{engine.Edge, "SYSTEM STOP LISTEN TCP", false},

		{engine.Analyst, "SELECT * FROM clicks", true},
		{engine.Analyst, "SELECT * FROM conversions", true},
		{engine.Analyst, "SELECT * FROM links", true},
		{engine.Analyst, "SELECT * FROM keys", false},
		{engine.Analyst, "SELECT sealed FROM merge('carom', 'keys')", false},
		{engine.Analyst, "SELECT * FROM tokens", false},
		{engine.Analyst, "SELECT * FROM audit", false},
		{engine.Analyst, "SELECT * FROM kept_answers", false},
		{engine.Analyst, insertClick, false},
		{engine.Analyst, "CREATE TABLE t (n UInt8) ENGINE = Memory", false},
		{engine.Analyst, "DROP TABLE clicks", false},
		{engine.Analyst, "SET max_memory_usage = 0", false},
		{engine.Analyst, "SET readonly = 0", false},
		{engine.Analyst, "SELECT * FROM file('/etc/passwd', 'LineAsString')", false},
		{engine.Analyst, "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", false},
		{engine.Analyst, "SELECT * FROM remote('127.0.0.1', 'carom.keys')", false},

		{engine.Admin, "SELECT * FROM keys", true},
		{engine.Admin, "ALTER TABLE brands COMMENT COLUMN name ''", true},
		{engine.Admin, "CREATE TABLE t (n UInt8) ENGINE = Memory", true},
		{engine.Admin, "DROP TABLE t", true},
	}
	for _, test := range tests {
		t.Run(test.user+" "+test.statement, func(t *testing.T) {
			err := chtest.Open(t, e.DSN(test.user)).Exec(t.Context(), test.statement)
			switch {
			case test.allowed && err != nil:
				t.Errorf("refused: %v", err)
			case !test.allowed && err == nil:
				t.Error("allowed")
			}
		})
	}
}

// Clients send a deadline as a setting, which a readonly user may not change unless it is excepted.
func TestAnalystMaySendDeadline(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	if _, err := schema.Apply(t.Context(), schema.Files, e.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	conn := chtest.Open(t, strings.TrimSuffix(e.DSN(engine.Analyst), "carom")+"system")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := conn.Exec(ctx, "SELECT 1"); err != nil {
		t.Error(err)
	}
}

// SQL over HTTP names no database.
func TestAnalystNeedsNoDatabaseName(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	if _, err := schema.Apply(t.Context(), schema.Files, e.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	if got := httpQuery(t, e, "SELECT count() FROM clicks", engine.Analyst, e.Users().Analyst); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
}

// An analyst who comes before the schema finds an empty database, and the engine lives on.
func TestAnalystBeforeSchema(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	for range 3 {
		if err := chtest.Open(t, e.DSN(engine.Analyst)).Exec(t.Context(), "SELECT 1"); err != nil {
			t.Fatal(err)
		}
		if got := httpQuery(t, e, "SELECT 1", engine.Analyst, e.Users().Analyst); got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
	}
}

func TestWhoGetsIn(t *testing.T) {
	e := chtest.Start(t, chtest.Config(t))
	if _, err := schema.Apply(t.Context(), schema.Files, e.DSN(engine.Admin), nil); err != nil {
		t.Fatal(err)
	}
	// What the query page of the engine sends with each query.
	const page = "&add_http_cors_header=1&default_format=JSONCompact&enable_http_compression=1&use_query_cache=1" +
		"&enable_reads_from_query_cache=0&enable_writes_to_query_cache=1&query_cache_ttl=600" +
		"&query_cache_nondeterministic_function_handling=save&query_cache_system_table_handling=ignore"
	tests := []struct {
		name, query, user, password string
		want                        int
	}{
		{"analyst", "SELECT 1", engine.Analyst, e.Users().Analyst, http.StatusOK},
		{"analyst on the query page", "SELECT 1" + page, engine.Analyst, e.Users().Analyst, http.StatusOK},
		{"analyst with the admin's password", "SELECT 1", engine.Analyst, e.Users().Admin, http.StatusForbidden},
		{"admin without password", "SELECT 1", engine.Admin, "", http.StatusForbidden},
		{"unknown user", "SELECT 1", "root", "", http.StatusForbidden},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := httpQuery(t, e, test.query, test.user, test.password); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
		})
	}
	for _, query := range []string{"SELECT 1", "SYSTEM STOP LISTEN TCP", "SELECT * FROM file('/etc/passwd', 'LineAsString')"} {
		t.Run("default: "+query, func(t *testing.T) {
			if got := httpQuery(t, e, query, "default", ""); got < 400 {
				t.Errorf("status %d: the engine's own user got in", got)
			}
		})
	}
}

// httpQuery takes a query and, behind an ampersand, further parameters.
func httpQuery(t *testing.T, e *engine.Engine, query, user, password string) int {
	t.Helper()
	statement, parameters, _ := strings.Cut(query, "&")
	target := e.HTTPURL() + "/?query=" + url.QueryEscape(statement) + "&" + parameters
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, password)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
