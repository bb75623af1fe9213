package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var (
	alertMetric  = regexp.MustCompile(`(carom_[a-z_]+)(?:\{([^}]*)\})?`)
	alertMatcher = regexp.MustCompile(`([a-z_]+)(=~|!=|=)"([^"]*)"`)
)

// checkAlerts fails unless every metric that an alert rule asks for is among the samples, with every label value it names, and each
// rule tells what to do.
func checkAlerts(t *testing.T, samples map[string]float64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      struct{ Severity string }
				Annotations struct{ Summary, Runbook string }
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	exported := func(name, label string) bool {
		for sample := range samples {
			metric, labels, _ := strings.Cut(sample, "{")
			if metric == name && strings.Contains(labels, label) {
				return true
			}
		}
		return false
	}
	seen := 0
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			if r.Annotations.Summary == "" || r.Annotations.Runbook == "" || r.Labels.Severity != "page" && r.Labels.Severity != "ticket" {
				t.Errorf("%s lacks a summary, a runbook or a severity", r.Alert)
			}
			for _, m := range alertMetric.FindAllStringSubmatch(r.Expr, -1) {
				seen++
				if !exported(m[1], "") {
					t.Errorf("%s asks for %s, which nothing exports", r.Alert, m[1])
				}
				for _, matcher := range alertMatcher.FindAllStringSubmatch(m[2], -1) {
					for _, value := range strings.Split(matcher[3], "|") {
						if label := matcher[1] + `="` + value + `"`; !exported(m[1], label) {
							t.Errorf("%s asks for %s{%s}, which nothing exports", r.Alert, m[1], label)
						}
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Error("the rules ask for no metric")
	}
}
