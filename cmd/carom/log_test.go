package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMachineLogSpellsDurations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	newLogger(file).Info("slow", "took", 1500*time.Millisecond, "rows", 3)

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var line map[string]any
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatalf("%q is no JSON: %v", text, err)
	}
	if line["took"] != "1.5s" || line["rows"] != 3.0 {
		t.Errorf("took is %v and rows is %v in %s", line["took"], line["rows"], text)
	}
}
