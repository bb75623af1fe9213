package ingest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/deploy/engine"
	"carom/ingest/chtest"
	"carom/ingest/faults"
)

func inspected(t *testing.T, dir string) *SpoolReport {
	t.Helper()
	r, err := Inspect(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Of a killed node's spool everything is told: each click once, without its address, and nothing is touched.
func TestInspectKilled(t *testing.T) {
	db := chtest.New(t)
	dir, told := killedSpool(t, db)
	before := faults.Contents(t, dir)
	stored := map[string]bool{}
	var printed bytes.Buffer
	report, err := Inspect(dir, func(line []byte) error {
		printed.Write(line)
		var l struct {
			Kind, Batch string
			Row         struct {
				ClickID string `json:"click_id"`
			}
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if l.Kind != clicksDir || stored[l.Row.ClickID] {
			t.Errorf("%s told twice, or of kind %q", l.Row.ClickID, l.Kind)
		}
		stored[l.Row.ClickID] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if after := faults.Contents(t, dir); !slices.Equal(before, after) {
		t.Errorf("inspection changed the spool:\n%q\n%q", before, after)
	}
	for _, n := range told {
		c := testClick(n, time.Time{})
		if !stored[base64.RawURLEncoding.EncodeToString(c.ID[:])] {
			t.Errorf("click %d is not told", n)
		}
	}
	if bytes.Contains(printed.Bytes(), []byte("203.0.113.77")) || !bytes.Contains(printed.Bytes(), []byte("203.0.113.0")) {
		t.Error("the printed records hold the whole address, or no prefix")
	}
	clicks, conversions := report.Kinds[0], report.Kinds[1]
	if report.Use != SpoolKilled || report.Process == "" || report.Node != 7 || report.Copied || len(report.Problems()) > 0 {
		t.Errorf("%+v, %q", report, report.Problems())
	}
	if report.Waiting() != uint64(len(stored)) || len(clicks.Frozen) == 0 || clicks.Oldest == nil || clicks.HighWater.Before(*clicks.Oldest) {
		t.Errorf("%d told, %+v", len(stored), clicks)
	}
	if a := clicks.Account; a.Accepted != a.Stored+a.Waiting+a.Dropped["buffer_full"] || a.Waiting != report.Waiting() {
		t.Errorf("%+v does not balance", a)
	}
	if conversions.Account != nil || conversions.Waiting != 0 {
		t.Errorf("%+v", conversions)
	}

	if err := report.Ask(t.Context(), db.DSN(engine.Edge)); err != nil {
		t.Fatal(err)
	}
	for _, b := range clicks.Frozen {
		if b.Stored == nil || *b.Stored != b.Rows || report.Ahead != "" {
			t.Errorf("%+v: ClickHouse holds it and only its answer was lost", b)
		}
	}
}

// What a spool of a node that runs, or stopped, says of it.
func TestInspectUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool [1]")
	if _, err := Inspect(dir, nil); !errors.Is(err, ErrSpool) {
		t.Errorf("a directory that is not there: %v", err)
	}
	in := newTestIngest(t, unreachable, spoolIn(dir))
	in.Start()
	put(t, in, 0, 10)
	if !in.PutConversion(&Conversion{Received: 1e12, Millis: 1e12, Event: "sale", TxID: "\x1b[31m\u202e\u009b𝄞\xff"}) {
		t.Fatal("conversion refused")
	}
	if r := inspected(t, dir); r.Use != SpoolInUse || r.Waiting() != 11 || !strings.Contains(r.Process, fmt.Sprint(os.Getpid())) {
		t.Errorf("%+v", r)
	}
	abandonIngest(t, in)
	if r := inspected(t, dir); r.Use != SpoolClosed || r.Waiting() != 11 || r.Process != "" || r.Kinds[0].Waiting != 10 {
		t.Errorf("%+v", r)
	}
	var conversion string
	if _, err := Inspect(dir, func(line []byte) error { conversion = string(line); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, b := range []byte(conversion) {
		if b < ' ' || b > '~' {
			t.Fatalf("byte %#x in %q", b, conversion)
		}
	}
	if !strings.Contains(conversion, `"kind":"conversions"`) || !strings.Contains(conversion, `"event":"sale"`) {
		t.Error(conversion)
	}
	if out, err := exec.Command("cp", "-a", dir, dir+"c").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if r := inspected(t, dir+"c"); !r.Copied || r.Waiting() != 11 {
		t.Errorf("%+v", r)
	}
}

// Damage is told for what it is, and never ends an inspection.
func TestInspectDamaged(t *testing.T) {
	dir := t.TempDir()
	in := newTestIngest(t, unreachable, spoolIn(dir))
	in.Start()
	put(t, in, 0, 100)
	abandonIngest(t, in)
	segments, err := filepath.Glob(filepath.Join(dir, clicksDir, "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	flipByte(t, segments[0], 100)
	r := inspected(t, dir)
	if k := r.Kinds[0]; k.Lost != 1 || k.Waiting != 99 || k.Account.Accepted != 100 || len(r.Problems()) != 2 {
		t.Errorf("%+v, %q", k, r.Problems())
	}
	path := filepath.Join(dir, clicksDir, stateFile)
	if err := (&state{}).save(filepath.Dir(path), nil); err != nil {
		t.Fatal(err)
	}
	flipByte(t, path, 40)
	if r = inspected(t, dir); !strings.Contains(r.Kinds[0].State, "damaged") || len(r.Problems()) != 3 {
		t.Errorf("%+v, %q", r.Kinds[0], r.Problems())
	}
	if in, err := tryIngest(t, unreachable, prometheus.NewRegistry(), spoolIn(dir)); err != nil || in.spool != nil {
		t.Errorf("a node on a damaged state: %v; want one that redirects, with its clicks in memory", err)
	}
	if err := os.WriteFile(filepath.Join(dir, identityFile), []byte(`{"spool":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(dir, nil); err == nil || !strings.Contains(err.Error(), "move the directory aside") {
		t.Errorf("a damaged identity: %v", err)
	}
	if in, err := tryIngest(t, unreachable, prometheus.NewRegistry(), spoolIn(dir)); err != nil || in.spool != nil {
		t.Errorf("a node on a damaged identity: %v; want one that redirects, with its clicks in memory", err)
	}
}

// flipByte damages a file.
func flipByte(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0xff
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever the files of a spool hold, an inspection ends, with an error or without.
func FuzzInspect(f *testing.F) {
	f.Add([]byte(`{"parts":[{"table":"clicks","moment":"ts","rows":2,"columns":[{"name":"ts","type":"DateTime64(3, 'UTC')","bytes":16},
		{"name":"slug","type":"String","bytes":3},{"name":"city","type":"LowCardinality(String)","bytes":30}]}]}`), make([]byte, 49), []byte("{}"), []byte("carom"))
	f.Add([]byte(`{"positions":[{"segment":1,"index":2,"offset":64}]}`), []byte{}, []byte(`{"pieces":[{"of":1}]}`), make([]byte, 200))
	f.Fuzz(func(t *testing.T, text, columns, pieces, segment []byte) {
		dir := t.TempDir()
		kind := filepath.Join(dir, clicksDir)
		if err := os.Mkdir(kind, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, identityFile), []byte(`{"spool":"00000000000000aa"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, pieces := range map[string][][]byte{
			stateFile: stateBytes(nil, text, columns), splitFile: stateBytes(nil, pieces), "0-00000000.seg": {segment}, quarantineFile: {pieces},
		} {
			if err := os.WriteFile(filepath.Join(kind, name), bytes.Join(pieces, nil), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		report, err := Inspect(dir, func(line []byte) error {
			if !json.Valid(line) {
				t.Errorf("not JSON: %s", line)
			}
			return nil
		})
		if err == nil && len(report.Kinds) != 2 {
			t.Errorf("%+v", report)
		}
	})
}
