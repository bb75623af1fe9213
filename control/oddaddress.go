package control

import (
	"fmt"
	"strings"

	"carom/redirect"
)

// oddAddress says what a person should look at in a stored address, empty for nothing.
func oddAddress(stored string) string {
	if name := placeholder(stored); name != "" {
		return fmt.Sprintf("holds %s, which is sent to the shop as it stands: only UTM values have placeholders", name)
	}
	if mixesScripts(stored) {
		return "names a host that mixes scripts, as look-alike names do: make sure that " + stored + " is the one meant"
	}
	return ""
}

// mixesScripts looks at names in punycode only, as all are stored: that spares nearly all addresses a second check.
func mixesScripts(stored string) bool {
	if !strings.Contains(stored, "xn--") {
		return false
	}
	d, err := redirect.CheckDestination(stored, redirect.DestinationPolicy{})
	return err == nil && d.MixedScripts // an app's address has no host
}

// placeholder returns the first word in braces of an address, which may be stored percent-encoded; empty for none.
func placeholder(stored string) string {
	rest := stored
	if strings.Contains(rest, "%7") {
		rest = strings.NewReplacer("%7B", "{", "%7D", "}").Replace(rest)
	}
	for {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return ""
		}
		if word, _, closed := strings.Cut(after, "}"); closed && isWord(word) {
			return "{" + word + "}"
		}
		rest = after
	}
}

// isWord reports whether text is a name as placeholders have.
func isWord(text string) bool {
	return text != "" && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
