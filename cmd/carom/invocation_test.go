package main

import (
	"os/exec"
	"testing"
)

func TestInvocation(t *testing.T) {
	for arg0, want := range map[string]string{
		"carom":                             "carom",
		"./carom":                           "./carom",
		"/usr/local/bin/carom":              "/usr/local/bin/carom",
		"/home/lena/my tools/carom":         "'/home/lena/my tools/carom'",
		"/tmp/go-build79125/b001/exe/carom": "go run carom/cmd/carom",
		"/home/lena/.cache/go-build/a9/a9386-d/carom": "go run carom/cmd/carom",
		"/home/lena/go-builds.txt":                    "/home/lena/go-builds.txt",
	} {
		if got := invocation(arg0); got != want {
			t.Errorf("started as %s: %s, want %s", arg0, got, want)
		}
	}
}

// A shell reads back what was to be one word.
func TestShellWord(t *testing.T) {
	for _, text := range []string{"", "plain/path-1.2", "two words", "$HOME", "it's", `a"b\c`, "*", "~", "grün"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellWord(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q is read as %q, %v", text, out, err)
		}
	}
}
