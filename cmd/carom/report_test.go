package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carom/control"
	"carom/deploy/engine"
	"carom/ingest/chtest"
)

// TestReport asks for the same report on each of its roads: ClickHouse, a named control process, that of a local up.
func TestReport(t *testing.T) {
	db := chtest.New(t)
	for _, statement := range []string{
		"INSERT INTO brands (brand_id, brand, currency, version) VALUES (1, 'acme', 'EUR', 1)",
		"INSERT INTO campaigns (campaign_id, campaign, brand_id, version) VALUES (1, 'boots', 1, 2)",
		`INSERT INTO clicks (ts, brand_id, campaign_id, influencer_id, country, visitor, valid, billable) VALUES
			('2026-03-01 00:00:00', 1, 1, 1, 'DE', 7, 1, 1), ('2026-03-31 23:59:59.999', 1, 1, 1, 'DE', 7, 1, 0),
			('2026-03-02 00:00:00', 1, 1, 1, 'FR', 8, 0, 0), ('2026-04-01 00:00:00', 1, 1, 1, 'DE', 9, 1, 1)`,
	} {
		if err := db.Conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	server, token := serveControl(t, db)
	data := t.TempDir()
	left, err := json.Marshal(controlAddress{URL: server, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, controlFile), left, 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		question = "report geo --from 2026-03-01 --to 2026-04-01 --by campaign,country --format csv"
		answer   = "campaign,country,gross,valid,unique,billable,conversions,revenue,currency\n" +
			"boots,DE,2,2,1,1,0,0.0000,EUR\nboots,FR,1,0,0,0,0,0.0000,EUR\n"
	)
	for name, road := range map[string][]string{
		"ClickHouse": {"--clickhouse", db.DSN(engine.Analyst)},
		"server":     {"--server", server, "--token", token},
		"local up":   {"--data", data},
	} {
		t.Run(name, func(t *testing.T) {
			if got := carom(append(strings.Fields(question), road...)...); got.code != exitDone || got.out != answer {
				t.Errorf("exit code %d: %s%s", got.code, got.out, got.errOut)
			}
			top := carom(append(strings.Fields(question+" --top 1"), road...)...)
			if want := strings.Replace(answer, "boots,FR", "(others),", 1); top.code != exitDone || top.out != want {
				t.Errorf("a top of one: exit code %d: %s%s", top.code, top.out, top.errOut)
			}
			if got := carom(append(strings.Fields("report conversions --conflicts --format csv"), road...)...); !strings.HasPrefix(got.out, "kind,brand,") {
				t.Errorf("conflicts: exit code %d: %s%s", got.code, got.out, got.errOut)
			}
			failures := []struct {
				args string
				code int
				says string
			}{
				{"report geo --from 2026-02-30", exitUsage, `--from "2026-02-30"`},
				{"report geo --by colour", exitUsage, `--by "colour"`},
				{"report ledger --brand acme", exitUsage, `--brand "acme"`},
				{"report geo --format xml", exitUsage, "--format"},
				{"report clicks", exitUsage, "influencers"},
				{"report geo --top=-1", exitUsage, `--top "-1"`},
				{"report geo --conflicts", exitUsage, "--conflicts"},
				{"report geo --brand acme,nobody", exitFailed, `brand "nobody": not found`},
			}
			for _, f := range failures {
				got := carom(append(strings.Fields(f.args), road...)...)
				if got.code != f.code || !strings.Contains(got.errOut, f.says) || got.out != "" {
					t.Errorf("%s: exit code %d, %q %q, want %d naming %q", f.args, got.code, got.out, got.errOut, f.code, f.says)
				}
				if strings.Contains(got.errOut, token) {
					t.Errorf("%s: the error shows the token", f.args)
				}
			}
		})
	}
}

// serveControl runs the API of a control process on db and returns its address and a token.
func serveControl(t *testing.T, db *chtest.DB) (url, token string) {
	t.Helper()
	config := control.DefaultConfig()
	config.Conn, config.ClusterSecret = db.Conn, bytes.Repeat([]byte("secret"), 8)
	config.Log = slog.New(slog.DiscardHandler)
	writer, err := control.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Stop)
	mux := http.NewServeMux()
	mountAPI(mux, writer, chtest.Open(t, db.DSN(engine.Analyst)), config.Log)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	if token, err = writer.LocalToken(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return server.URL, token
}
