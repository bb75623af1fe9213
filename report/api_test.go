package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"carom/ingest/chtest"
)

// newAPI serves reports as control does, below /api/v1. The header Test-Brands stands for a token: the brands it may
// see, * for all; without it nobody is let in.
func newAPI(t testing.TB, reports *Reports) *httptest.Server {
	mux := http.NewServeMux()
	group := huma.NewGroup(humago.New(mux, huma.DefaultConfig("test", "1")), "/api/v1")
	type key struct{}
	Register(group, reports, func(ctx context.Context) (Scope, error) {
		switch brands := ctx.Value(key{}).(string); brands {
		case "":
			return Scope{}, huma.Error401Unauthorized("a token is required")
		case "*":
			return everyone, nil
		default:
			return Scope{Brands: strings.Split(brands, ",")}, nil
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, r.Header.Get("Test-Brands"))))
	}))
	t.Cleanup(server.Close)
	return server
}

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t testing.TB, server *httptest.Server, brands, path string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Test-Brands", brands)
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, body.String()}
}

func apiAnswers(t *testing.T, db *chtest.DB) {
	server := newAPI(t, newReports(t, db))
	const days = "?from=2026-03-01&to=2026-04-01"

	t.Run("JSON unless asked otherwise", func(t *testing.T) {
		got := get(t, server, "*", "/api/v1/reports/campaigns"+days)
		var rows []map[string]any
		if err := json.Unmarshal([]byte(got.body), &rows); err != nil || len(rows) != 3 {
			t.Fatalf("%d rows of 3 campaigns, %v: %s", len(rows), err, got.body)
		}
		if kind := got.header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("Content-Type %q", kind)
		}
		if money, ok := rows[0]["revenue"].(string); !ok || !strings.Contains(money, ".") {
			t.Errorf("revenue %v, want money as a string", rows[0]["revenue"])
		}
		if _, ok := rows[0]["gross"].(float64); !ok {
			t.Errorf("gross %v, want a number", rows[0]["gross"])
		}
	})
	t.Run("CSV as a file", func(t *testing.T) {
		got := get(t, server, "*", "/api/v1/reports/geo"+days+"&format=csv&by=day,country&brand=acme,bolt")
		records, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
		if err != nil || len(records) < 2 || records[0][0] != "day" || records[0][1] != "country" {
			t.Fatalf("%v: %s", err, got.body)
		}
		if file := got.header.Get("Content-Disposition"); file != `attachment; filename="geo-2026-03-01-2026-03-31.csv"` {
			t.Errorf("Content-Disposition %q", file)
		}
	})
	t.Run("table with totals", func(t *testing.T) {
		got := get(t, server, "bolt", "/api/v1/reports/campaigns"+days+"&format=table")
		if !strings.Contains(got.body, "\ntotal ") || strings.Contains(got.body, "acme") {
			t.Errorf("table:\n%s", got.body)
		}
	})
	t.Run("page after page", func(t *testing.T) {
		seen, path := map[string]bool{}, "/api/v1/reports/geo?from=2026-03-01&to=2026-03-20&by=day,country&limit=7"
		for pages := 0; path != ""; pages++ {
			if pages > 20 {
				t.Fatal("the pages do not end")
			}
			got := get(t, server, "*", path)
			var rows []map[string]any
			if err := json.Unmarshal([]byte(got.body), &rows); err != nil || len(rows) > 7 {
				t.Fatalf("%s: %d rows, %v: %s", path, len(rows), err, got.body)
			}
			for _, r := range rows {
				key := fmt.Sprint(r["day"], r["country"], r["currency"])
				if seen[key] {
					t.Errorf("%s comes twice", key)
				}
				seen[key] = true
			}
			query, more := strings.CutSuffix(strings.TrimPrefix(got.header.Get("Link"), "<"), `>; rel="next"`)
			path = ""
			if more {
				path = "/api/v1/reports/geo" + query
			}
		}
		if len(seen) != 9*3*2 {
			t.Errorf("%d rows on all pages, want a row for each of 9 days, 3 countries and 2 currencies", len(seen))
		}
	})
	t.Run("others", func(t *testing.T) {
		got := get(t, server, "acme", "/api/v1/reports/utm"+days+"&by=utm_content,utm_source&top=1")
		var rows []map[string]any
		if err := json.Unmarshal([]byte(got.body), &rows); err != nil || len(rows) != 2 || rows[0]["others"] != nil ||
			rows[1]["others"] != true || rows[1]["utm_content"] != nil || rows[1]["currency"] != "EUR" {
			t.Errorf("%v: %s", err, got.body)
		}
	})
	t.Run("errors", func(t *testing.T) {
		tests := []struct {
			brands, path string
			status       int
			says         string
		}{
			{"", "campaigns" + days, http.StatusUnauthorized, "token"},
			{"*", "nothing" + days, http.StatusNotFound, "influencers, campaigns"},
			{"*", "campaigns?from=tomorrow", http.StatusBadRequest, "query.from"},
			{"*", "campaigns?to=2026-13-01", http.StatusBadRequest, "query.to"},
			{"*", "campaigns?by=" + url.QueryEscape("brand;SELECT"), http.StatusBadRequest, "query.by"},
			{"*", "campaigns?format=xml", http.StatusBadRequest, "query.format"},
			{"*", "campaigns?top=50001", http.StatusBadRequest, "query.top"},
			{"*", "campaigns?top=" + url.QueryEscape("1; DROP TABLE clicks"), http.StatusUnprocessableEntity, "query.top"},
			{"*", "campaigns?limit=-1", http.StatusBadRequest, "query.limit"},
			{"*", "campaigns?offset=5", http.StatusBadRequest, "query.offset"},
			{"*", "campaigns?limit=5&top=5", http.StatusBadRequest, "query.top"},
			{"*", "campaigns?conflicts=true", http.StatusBadRequest, "query.conflicts"},
			{"*", "ledger?brand=acme", http.StatusBadRequest, "query.brand"},
			{"*", "campaigns" + days + "&brand=nobody", http.StatusNotFound, "nobody"},
			{"bolt", "campaigns" + days + "&brand=acme", http.StatusNotFound, "acme"},
			{"bolt", "ledger" + days, http.StatusForbidden, "single brands"},
		}
		for _, tt := range tests {
			got := get(t, server, tt.brands, "/api/v1/reports/"+tt.path)
			if got.status != tt.status || !strings.Contains(got.body, tt.says) {
				t.Errorf("%s for %q: %d %s, want %d naming %q", tt.path, tt.brands, got.status, got.body, tt.status, tt.says)
			}
		}
	})
}

// TestAPIHidesWhatFailed tells the caller that a report failed, and only the log why.
func TestAPIHidesWhatFailed(t *testing.T) {
	var log bytes.Buffer
	reports := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	err := reports.problem(errors.New("syntax error near secret_table"))
	if text := err.Error(); strings.Contains(text, "secret") {
		t.Errorf("the caller is told %q", text)
	}
	if !strings.Contains(log.String(), "secret_table") {
		t.Errorf("the log says %q", log.String())
	}
	log.Reset()
	if err := reports.problem(fmt.Errorf("read the report: %w", context.Canceled)); err == nil || log.Len() > 0 {
		t.Errorf("a client that hung up: %v, the log says %q", err, log.String())
	}
	var status huma.StatusError
	for failure, want := range map[error]int{
		explain(context.DeadlineExceeded):                            http.StatusGatewayTimeout,
		explain(&clickhouse.Exception{Code: codeTimeout}):            http.StatusGatewayTimeout,
		explain(&clickhouse.Exception{Code: codeUnknownTable}):       http.StatusServiceUnavailable,
		explain(&net.OpError{Op: "dial", Err: errors.New("secret")}): http.StatusServiceUnavailable,
	} {
		if err := reports.problem(failure); !errors.As(err, &status) || status.GetStatus() != want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v is answered with %v, want status %d", failure, err, want)
		}
	}
}
