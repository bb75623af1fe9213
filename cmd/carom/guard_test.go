package main

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const opsToken = "0123456789abcdef0123456789abcdef"

// serveAdmin runs an admin listener with a page of the API's on it and returns its address.
func serveAdmin(t *testing.T, flags adminFlags) string {
	t.Helper()
	ops, err := newAdmin(flags, newRegistry(), func() error { return nil }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ops.mux.HandleFunc("GET /api/v1/page", func(http.ResponseWriter, *http.Request) {})
	if err := ops.listen(flags.Admin); err != nil {
		t.Fatal(err)
	}
	ops.serve()
	t.Cleanup(func() { ops.server.Close() })
	_, port, err := net.SplitHostPort(ops.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + port
}

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ops.token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAdminGuard(t *testing.T) {
	const local, public = "127.0.0.1:0", "0.0.0.0:0"
	open, guarded := []string{"/healthz", "/readyz"}, []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine", "/debug/pprof/symbol"}
	api := []string{"/api/v1/page"}
	const right = "Bearer " + opsToken
	tests := []struct {
		name          string
		admin         string
		token         bool // is configured
		host          string
		authorization string
		paths         []string
		status        int
	}{
		{"loopback needs no token", local, false, "127.0.0.1", "", guarded, 200},
		{"a token that is configured is asked for on loopback too", local, true, "127.0.0.1", "", guarded, 401},
		{"and opens", local, true, "127.0.0.1", right, guarded, 200},
		{"public without a token", public, false, "ops.example", "", guarded, 401},
		{"public without a token, whatever is sent", public, false, "ops.example", "Bearer ", guarded, 401},
		{"public, no token sent", public, true, "ops.example", "", guarded, 401},
		{"public, wrong token", public, true, "ops.example", right + "0", guarded, 401},
		{"public, first half of the token", public, true, "ops.example", right[:20], guarded, 401},
		{"public, another scheme", public, true, "ops.example", "Basic " + opsToken, guarded, 401},
		{"public, right token", public, true, "ops.example", right, guarded, 200},
		{"health is anyone's", public, true, "ops.example", "", open, 200},
		{"health is anyone's on loopback, by any name", local, true, "evil.example", "", open, 200},
		{"the API guards itself", public, true, "ops.example", "", api, 200},

		{"rebound name", local, false, "evil.example", "", append(guarded, api...), 421},
		{"rebound name with port", local, false, "evil.example:9090", "", guarded, 421},
		{"rebound name with a token", local, true, "evil.example", right, guarded, 421},
		{"name that begins like an address", local, false, "127.0.0.1.evil.example", "", guarded, 421},
		{"name that ends like localhost", local, false, "evil-localhost", "", guarded, 421},
		{"another address", local, false, "192.0.2.1", "", guarded, 421},
		{"localhost", local, false, "localhost:9090", "", append(guarded, api...), 200},
		{"LOCALHOST.", local, false, "LOCALHOST.", "", guarded, 200},
		{"IPv6", local, false, "[::1]:9090", "", guarded, 200},
		{"IPv6 without port", local, false, "[::1]", "", guarded, 200},
		{"configured name", local, false, "ops.internal:80", "", append(guarded, api...), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flags := adminFlags{Admin: tt.admin, AdminHosts: []string{"Ops.Internal"}, Pprof: true}
			if tt.token {
				flags.OpsToken = tokenFile(t, opsToken+"\n")
			}
			address := serveAdmin(t, flags)
			headers := []string{"Host", tt.host}
			if tt.authorization != "" {
				headers = append(headers, "Authorization", tt.authorization)
			}
			for _, path := range tt.paths {
				got := ask(t, http.DefaultClient, http.MethodGet, address+path, "", headers...)
				if got.status != tt.status {
					t.Errorf("%s: %d, want %d: %s", path, got.status, tt.status, got.body)
				}
				if (got.status == http.StatusUnauthorized) != (got.header.Get("WWW-Authenticate") != "") {
					t.Errorf("%s: status %d, WWW-Authenticate %q", path, got.status, got.header.Get("WWW-Authenticate"))
				}
				if strings.Contains(got.body, opsToken) {
					t.Errorf("%s shows the token", path)
				}
			}
		})
	}
}

func TestOpsTokenFile(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		says string
	}{
		"short": {"secret", "has 6 bytes"},
		"empty": {"\n", "has 0 bytes"},
	} {
		for _, command := range []string{"serve --node 1", "control"} {
			args := append(strings.Fields(command), "--clickhouse", "clickhouse://127.0.0.1:9/carom", "--cluster-secret", tokenFile(t, strings.Repeat("s", 43)),
				"--admin", "127.0.0.1:0", "--ops-token", tokenFile(t, tt.text))
			got := carom(args...)
			if got.code != exitUsage || !strings.Contains(got.errOut, tt.says) || strings.Contains(got.errOut, "secret in") {
				t.Errorf("%s, %s token: exit code %d, %s", command, name, got.code, got.errOut)
			}
		}
	}
}

// TestControlReadiness: a control process without ClickHouse says so, soon and however often it is asked.
func TestControlReadiness(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	conn, err := openClickHouse("clickhouse://user:secret@" + silent.Addr().String() + "/carom")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reach := &reachability{conn: conn}
	began := time.Now()
	for range 100 {
		err = reach.ready()
	}
	if err == nil || !strings.Contains(err.Error(), "see that it runs") || strings.Contains(err.Error(), "secret") {
		t.Errorf("ready without ClickHouse: %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("a hundred answers took %v", took)
	}
}
