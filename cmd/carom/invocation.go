package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// mainPackage is what go run takes anywhere in the module.
const mainPackage = "carom/cmd/carom"

// invocation is how people start the program again that was started as arg0, for commands that are printed to be pasted.
func invocation(arg0 string) string {
	// go run puts its binaries into a directory for one run, /tmp/go-build123/b001/exe, or into its cache, ~/.cache/go-build/a9/….
	built := func(name string) bool { return strings.HasPrefix(name, "go-build") }
	if slices.ContainsFunc(strings.Split(filepath.Dir(arg0), string(filepath.Separator)), built) {
		return "go run " + mainPackage
	}
	return shellWord(arg0)
}

// shellWord writes text so that a shell takes it for one word.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+=:@%,", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
