package faults_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carom/ingest/faults"
)

// A mutant is the product with a line changed. The tests must notice.
type mutant struct {
	name     string
	file     string // below the module
	old, new string
}

var (
	tokenless    = mutant{"another token for each attempt", "ingest/deliver.go", "b, f.token(p))", "b, newSpoolID())"}
	checksumless = mutant{
		"checksums off", "ingest/ring/format.go",
		"binary.LittleEndian.Uint64(buf[off+8:]) == checksum(payload, sequence)", "true",
	}
)

// The fault suite notices when what it relies on is taken away: it fails. The product is built with the changed file in place
// of its own, which stays as it is. That the token is left out is no mutant: ClickHouse then compares contents, and a batch is
// sent again byte by byte.
func TestFaultOracle(t *testing.T) {
	tests := []struct {
		mutant    mutant
		pkg, test string // that must fail
		says      string // in its output
	}{
		{checksumless, "carom/ingest/ring", "TestEveryByteDamaged", "which was not pushed"},
		{tokenless, "carom/ingest", "TestAnswerLost", "not each once"},
	}
	if faults.Long() { // the same end to end; each is a minute of building
		tests = append(tests, []struct {
			mutant    mutant
			pkg, test string
			says      string
		}{
			{checksumless, "carom/cmd/carom", "TestFaultSpoolDamaged", "not each click once or counted"},
			{tokenless, "carom/cmd/carom", "TestFaultAnswerLost", "not each click once"},
		}...)
	}
	for _, test := range tests {
		t.Run(test.mutant.name+"/"+test.test, func(t *testing.T) {
			run := exec.Command("go", "test", "-overlay", test.mutant.overlay(t), "-run", "^"+test.test+"$", test.pkg)
			out, err := run.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: "+test.test) || !strings.Contains(string(out), test.says) {
				t.Errorf("%s did not notice: %v\n%s", test.test, err, out)
			}
		})
	}
}

// overlay writes what "go test -overlay" takes: the file with a changed piece in place of the real one.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	real, err := filepath.Abs(filepath.Join("..", "..", m.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		t.Fatalf("%s holds %q %d times: change the mutant with the product", m.file, m.old, n)
	}
	changed := filepath.Join(t.TempDir(), filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {real: changed}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
