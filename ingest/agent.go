package ingest

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

// An Agent is what a user agent string says about who asks. Its strings come from closed lists, never from the
// request, so there are few different Agents however many strings clients send.
type Agent struct {
	Device   string  // mobile, tablet, desktop, tv, bot or other
	OS       string  // one of osNames, or other
	Browser  string  // one of browserNames, In-app, or other
	Platform string  // name in platforms of the app that shows the page; empty where none does
	Reasons  Reasons // Bot, Preview or none
}

// Agents parses user agents and remembers the answers. It is for one goroutine; the Agents it returns never change
// and may be kept.
type Agents struct {
	signs *signs
	known setCache[knownAgent]
	// interned holds each Agent made so far: a pointer stands for its value. Its size is bounded by the closed lists,
	// to some ten thousand if a client sent every combination.
	interned map[Agent]*Agent
	silent   *Agent // says nothing
}

// knownAgent is an agent string and what it was found to say. The string is compared at each hit: with its hash alone,
// a crawler could pick an agent that meets a popular browser's and have everybody's clicks taken for its own.
type knownAgent struct {
	text  string
	agent *Agent
}

// maxParsed is how many bytes of an agent string are looked at; real ones have up to 400.
const maxParsed = 1024

// NewAgents remembers at least that many agent strings, of about 200 bytes each. It fails when the embedded list of
// crawlers cannot be used; see agentdata/README.md for where it comes from.
func NewAgents(entries int) (*Agents, error) {
	signs, err := newSigns()
	if err != nil {
		return nil, err
	}
	a := &Agents{signs: signs, known: newSetCache[knownAgent](entries), interned: map[Agent]*Agent{}}
	a.silent = a.intern(program(Bot, ""))
	return a, nil
}

// Parse says what the agent string text says. One that was seen lately costs no allocation.
func (a *Agents) Parse(text []byte) *Agent { return a.ParseHashed(xxhash.Sum64(text), text) }

// ParseHashed is Parse for a caller that already has a 64-bit hash of text. Any hash will do, as long as it is always
// the same one; clients may know it.
func (a *Agents) ParseHashed(hash uint64, text []byte) *Agent {
	if len(text) == 0 {
		return a.silent
	}
	if known := a.known.get(hash); known.agent != nil && known.text == string(text) {
		return known.agent
	}
	known := knownAgent{text: string(text)}
	known.agent = a.intern(a.parse(known.text[:min(len(text), maxParsed)]))
	a.known.put(hash, known)
	return known.agent
}

func (a *Agents) parse(text string) Agent {
	platform, reasons := a.signs.read(text)
	if reasons != 0 {
		return program(reasons, platform)
	}
	if !isBrowser(text) {
		// An app that asks without its browser fetches a preview or checks the link; the person who taps comes
		// with the in-app browser.
		if platform != "" {
			return program(Preview, platform)
		}
		return program(Bot, "")
	}
	device, os, browser := describe(text, platform != "")
	return Agent{Device: device, OS: os, Browser: browser, Platform: platform}
}

// program is the Agent of what is not a person. The system and browser that it claims say nothing.
func program(reasons Reasons, platform string) Agent {
	return Agent{Device: "bot", OS: agentOther, Browser: agentOther, Platform: platform, Reasons: reasons}
}

func (a *Agents) intern(agent Agent) *Agent {
	interned, ok := a.interned[agent]
	if !ok {
		interned = &agent
		a.interned[agent] = interned
	}
	return interned
}

// isBrowser reports whether text has the shape of a browser's agent: since 1994 that is "Mozilla/" and an engine, and
// a few phones of before 2010 are excused.
func isBrowser(text string) bool {
	switch {
	case hasAnyPrefix(text, "Opera/", "UCWEB/", "BlackBerry", "Nokia"):
		return true
	case strings.HasPrefix(text, "Mozilla/"):
		return containsAny(text, "AppleWebKit/", "Gecko/", "Trident/", "MSIE ", "KHTML", "Presto/", "Goanna/")
	}
	return false
}

func containsAny(text string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

func hasAnyPrefix(text string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}
