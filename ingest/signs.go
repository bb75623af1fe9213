package ingest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
)

//go:embed agentdata/crawlers.json
var crawlersJSON []byte

// ownSigns are pieces of agents of programs that the embedded list of crawlers lacks.
var ownSigns = []struct {
	token  string
	reason Reasons
}{
	{"Cardyb", Preview},                        // Bluesky
	{"Intel Mac OS X 11.6; rv:92.0", Preview},  // Discord as Firefox, which itself says 10.15 since version 87
	{"Intel Mac OS X 10.10; rv:38.0", Preview}, // Discord, the one before
	{"preview", Preview},
	{"Preview", Preview},
	{"unfurl", Preview},
	{"Unfurl", Preview},
	{"://", Bot}, // programs say where to complain
	{"bot/", Bot},
	{"Bot/", Bot},
	{"bot;", Bot},
	{"crawler", Bot},
	{"Crawler", Bot},
	{"spider", Bot},
	{"Spider", Bot},
	{"headless", Bot},
	{"Headless", Bot},
	{"phantomjs", Bot},
	{"PhantomJS", Bot},
}

// appPatterns are the patterns of the embedded list that are names of apps: alone the app's servers or its fetcher of
// previews, but in a web view a person who reads in the app.
var appPatterns = []string{
	"WhatsApp", "Viber", `Tumblr\/`, `Bluesky\/`, "Mastodon", `Notion\/`, "Goodreads", "MetaIAB Facebook",
}

// previewTag is how the embedded list marks what fetches a link to show what is behind it.
const previewTag = "social-preview"

// signs finds in agents what tells a platform's app or a program.
type signs struct {
	literals *literals
	means    []sign // by id of the literal
}

// sign is what a literal means where it occurs.
type sign struct {
	platform int            // index in platforms, or noPlatform
	reason   Reasons        // of a program
	pattern  *regexp.Regexp // if any, it must match as well
	alone    bool           // the reason does not hold in a web view
}

const noPlatform = 1 << 16

func newSigns() (*signs, error) {
	s := &signs{}
	var texts []string
	add := func(text string, means sign) {
		texts = append(texts, text)
		s.means = append(s.means, means)
	}
	for i, platform := range platforms {
		for _, token := range platform.tokens {
			add(token, sign{platform: i})
		}
	}
	for _, own := range ownSigns {
		add(own.token, sign{platform: noPlatform, reason: own.reason})
	}
	var crawlers []struct {
		Pattern string   `json:"pattern"`
		Tags    []string `json:"tags"`
	}
	if err := json.Unmarshal(crawlersJSON, &crawlers); err != nil {
		return nil, fmt.Errorf("embedded crawlers.json: %w", err)
	}
	for _, crawler := range crawlers {
		means := sign{platform: noPlatform, reason: Bot, alone: slices.Contains(appPatterns, crawler.Pattern)}
		if len(crawler.Tags) == 1 && crawler.Tags[0] == previewTag {
			means.reason = Preview
		}
		triggers, exact, err := triggersOf(crawler.Pattern)
		if err != nil {
			return nil, fmt.Errorf("embedded crawlers.json: pattern %q: %w", crawler.Pattern, err)
		}
		if !exact {
			means.pattern = regexp.MustCompile(crawler.Pattern)
		}
		for _, trigger := range triggers {
			add(trigger, means)
		}
	}
	var err error
	s.literals, err = newLiterals(texts)
	return s, err
}

// triggersOf are literals of which every match of pattern contains at least one. exact says that the pattern is that
// literal and nothing else.
func triggersOf(pattern string) (triggers []string, exact bool, err error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, false, err
	}
	branches := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpAlternate {
		branches = tree.Sub
	}
	for _, branch := range branches {
		triggers = append(triggers, longestLiteral(branch))
	}
	return triggers, tree.Op == syntax.OpLiteral, nil
}

// longestLiteral is the longest literal that every match of tree contains.
func longestLiteral(tree *syntax.Regexp) string {
	switch tree.Op {
	case syntax.OpLiteral:
		return string(tree.Rune)
	case syntax.OpConcat:
		var longest string
		for _, part := range tree.Sub {
			if literal := longestLiteral(part); len(literal) > len(longest) {
				longest = literal
			}
		}
		return longest
	}
	return ""
}

// read finds the platform whose app text names, and for which reason it is not a person's, if any. A fetcher of
// previews that also calls itself a bot is a fetcher of previews.
func (s *signs) read(text string) (platform string, reason Reasons) {
	first, reasons, web := noPlatform, Reasons(0), containsAny(text, "AppleWebKit/")
	s.literals.find(text, func(id int) {
		means := &s.means[id]
		if means.pattern != nil && !means.pattern.MatchString(text) {
			return
		}
		first = min(first, means.platform)
		if !means.alone || !web {
			reasons |= means.reason
		}
	})
	if reasons&Preview != 0 {
		reasons = Preview
	}
	if first != noPlatform {
		platform = platforms[first].name
	}
	return platform, reasons
}
