package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// configured writes a configuration file and a cluster secret, and returns the arguments that use them.
func configured(t *testing.T, command, text string) []string {
	t.Helper()
	dir := t.TempDir()
	secret, file := filepath.Join(dir, "cluster.secret"), filepath.Join(dir, command+".yaml")
	for path, content := range map[string]string{secret: strings.Repeat("s", 43) + "\n", file: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{command, "--config", file, "--cluster-secret", secret}
}

// printed runs a command with --print-config and reads what it prints.
func printed(t *testing.T, args []string) map[string]any {
	t.Helper()
	got := carom(append(args, "--print-config")...)
	if got.code != exitDone || got.errOut != "" {
		t.Fatalf("exit code %d, stderr %q", got.code, got.errOut)
	}
	var effective map[string]any
	if err := yaml.Unmarshal([]byte(got.out), &effective); err != nil {
		t.Fatalf("not YAML: %v\n%s", err, got.out)
	}
	return effective
}

// A flag wins over its environment variable, that over the file, and the file over the default.
func TestConfigPrecedence(t *testing.T) {
	const file = `
listen: 127.0.0.1:1001
clickhouse: clickhouse://edge:pass@file:9000/carom
node: 7
batch_rows: 5000
batch-age: 250ms
compress: true
trusted-proxies: [10.0.0.0/8, 192.0.2.1]
proxy_protocol: true
`
	t.Setenv("CAROM_LISTEN", "127.0.0.1:1002")
	t.Setenv("CAROM_BATCH_ROWS", "6000")
	effective := printed(t, append(configured(t, "serve", file), "--listen", "127.0.0.1:1003"))
	for key, want := range map[string]any{
		"listen":          "127.0.0.1:1003", // all three
		"batch-rows":      uint64(6000),     // environment and file
		"node":            uint64(7),        // file
		"batch-age":       "250ms",
		"compress":        true,
		"trusted-proxies": []any{"10.0.0.0/8", "192.0.2.1"},
		"proxy-protocol":  true,
		"admin":           "127.0.0.1:9090", // default
		"drain-timeout":   "30s",
	} {
		if diff := cmp.Diff(want, effective[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
}

func TestPrintedConfigHidesPasswords(t *testing.T) {
	tests := []struct{ command, dsn, want string }{
		{"serve", "clickhouse://edge:hunter2@one:9000,two:9000/carom?secure=true", "clickhouse://edge:***@one:9000,two:9000/carom?secure=true"},
		{"control", "clickhouse://admin:hunter2@one:9000/carom", "clickhouse://admin:***@one:9000/carom"},
		{"serve", "clickhouse://edge:hunter@2%@one:9000/carom", "clickhouse://edge:***@one:9000/carom"}, // not a URL
		{"serve", "clickhouse://edge@one:9000/carom", "clickhouse://edge@one:9000/carom"},               // nothing to hide
		{"serve", "clickhouse://one:9000/carom?username=edge&password=hunter2&secure=true", "clickhouse://one:9000/carom?username=edge&password=***&secure=true"},
		{"serve", "clickhouse://one:9000/carom?password=hunter@2#3", "clickhouse://one:9000/carom?password=***"},
		{"serve", "clickhouse://edge:hunter2@one:9000/carom?Password=hunter2", "clickhouse://edge:***@one:9000/carom?Password=***"},
		{"serve", "edge:hunter2@one:9000/carom", "edge:***@one:9000/carom"},     // no scheme
		{"serve", "edge:hun://ter@2@one:9000/carom", "edge:***@one:9000/carom"}, // nor here
		{"serve", "one:9000/carom?password=hunter2", "one:9000/carom?password=***"},
	}
	for _, test := range tests {
		args := configured(t, test.command, "clickhouse: '"+test.dsn+"'\n")
		if test.command == "serve" {
			args = append(args, "--node=1")
		}
		if got := printed(t, args)["clickhouse"]; got != test.want {
			t.Errorf("%s %s: clickhouse is %v, want %s", test.command, test.dsn, got, test.want)
		}
	}
}

// What is printed can be used as a configuration file again.
func TestPrintedConfigIsAConfig(t *testing.T) {
	first := configured(t, "serve", "clickhouse: clickhouse://one:9000/carom\nnode: 3\ntrusted-proxies: 10.0.0.0/8\n")
	got := carom(append(first, "--print-config")...)
	if diff := cmp.Diff(printed(t, first), printed(t, configured(t, "serve", got.out)), cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == `["cluster-secret"]`
	}, cmp.Ignore())); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
}

func TestConfigErrors(t *testing.T) {
	const dsn = "clickhouse: clickhouse://one:9000/carom\n"
	tests := []struct {
		name, command, file string
		want                []string
	}{
		{"misspelt key", "serve", dsn + "node: 1\nlisen: x\n", []string{`unknown key "lisen"`, `"listen"`}},
		{"key of another command", "control", dsn + "batch-rows: 5\n", []string{`unknown key "batch-rows"`}},
		{"not YAML", "serve", "listen: [", []string{"serve.yaml"}},
		{"not a number", "serve", dsn + "node: many\n", []string{"--node"}},
		{"node that does not exist", "serve", dsn + "node: 1024\n", []string{"1024", "1023"}},
		{"required key missing", "serve", dsn, []string{"--node"}},
		{"proxy that is no network", "serve", dsn + "node: 1\ntrusted-proxies: nowhere\n", []string{"nowhere", "10.0.0.0/8"}},
		{"PROXY headers of nobody", "serve", dsn + "node: 1\nproxy_protocol: true\n", []string{"PROXY", "trusted proxies"}},
		{"DSN that is none", "serve", "clickhouse: \"http://[\"\nnode: 1\n", []string{"ClickHouse DSN"}},
		{"setting that asks something", "serve", dsn + "node: 1\nprint-config: true\n", []string{`unknown key "print-config"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := carom(configured(t, test.command, test.file)...)
			if got.code != exitUsage || got.out != "" {
				t.Errorf("exit code %d, stdout %q", got.code, got.out)
			}
			for _, text := range test.want {
				assertOutput(t, "stderr", got.errOut, text)
			}
			if strings.Count(got.errOut, "\n") != 1 {
				t.Errorf("stderr is not one line: %q", got.errOut)
			}
		})
	}
}
