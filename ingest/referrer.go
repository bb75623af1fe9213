package ingest

import (
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/cespare/xxhash/v2"
)

//go:embed agentdata/referrers.json
var referrersJSON []byte

// referrerCache is how many referring sites are remembered.
const referrerCache = 1 << 12

// Longest host, and longest label of one, in bytes (RFC 1035, section 2.3.4).
const (
	maxReferrerHost = 253
	maxLabel        = 63
)

// Referrers tells which site or app a Referer header names. It is for one goroutine.
type Referrers struct {
	platforms map[string]string // by host or app package
	known     setCache[*referrer]
}

// referrer is what an authority says.
type referrer struct{ authority, host, platform string }

// NewReferrers reads the embedded list of sites; see agentdata/README.md for where it comes from.
func NewReferrers() *Referrers {
	var sources map[string]string
	if err := json.Unmarshal(referrersJSON, &sources); err != nil {
		panic("ingest: embedded referrers.json: " + err.Error()) // a broken build
	}
	r := &Referrers{platforms: make(map[string]string, len(sources)), known: newSetCache[*referrer](referrerCache)}
	for host, source := range sources {
		r.platforms[host] = platformOf(source)
	}
	for _, platform := range platforms {
		for _, site := range platform.sites {
			r.platforms[site] = platform.name
		}
	}
	return r
}

// Parse returns the host of a Referer header, lower case and without port or trailing dot, and the platform behind it.
// The package of an app (android-app://com.example) counts as a host. Both are empty where the header is absent or
// names no valid host; the platform of a host that is on no list is "other". A site that was seen lately costs no
// allocation.
func (r *Referrers) Parse(header []byte) (host, platform string) {
	authority := authorityOf(header)
	if len(authority) == 0 {
		return "", ""
	}
	hash := xxhash.Sum64(authority)
	known := r.known.get(hash)
	if known == nil || known.authority != string(authority) {
		known = &referrer{authority: string(authority)}
		if known.host = hostOf(known.authority); known.host != "" {
			known.platform = r.platform(known.host)
		}
		r.known.put(hash, known)
	}
	return known.host, known.platform
}

// platform looks for host, then for the domains above it.
func (r *Referrers) platform(host string) string {
	for domain := host; domain != ""; _, domain, _ = strings.Cut(domain, ".") {
		if platform, ok := r.platforms[domain]; ok {
			return platform
		}
	}
	return platformOther
}

// referrerSchemes are those whose authority is a site or an app.
var referrerSchemes = [...]string{"https://", "http://", "android-app://", "ios-app://"}

// authorityOf is what a URL has between its scheme and its path, or nothing.
func authorityOf(header []byte) []byte {
	for _, scheme := range referrerSchemes {
		if len(header) <= len(scheme) || !strings.EqualFold(view(header[:len(scheme)]), scheme) {
			continue
		}
		authority := header[len(scheme):]
		for i, c := range authority {
			if c == '/' || c == '?' || c == '#' || c == '\\' {
				return authority[:i]
			}
		}
		return authority
	}
	return nil
}

// hostOf is the valid host of an authority, in lower case, or nothing.
func hostOf(authority string) string {
	host, _, _ := strings.Cut(authority[strings.LastIndexByte(authority, '@')+1:], ":")
	host = strings.TrimSuffix(host, ".")
	if len(host) > maxReferrerHost {
		return ""
	}
	for label := range strings.SplitSeq(host, ".") {
		if len(label) == 0 || len(label) > maxLabel || strings.ContainsFunc(label, isForeign) {
			return ""
		}
	}
	return strings.ToLower(host)
}

// isForeign is true for what no label of a host has. Underscores occur, although DNS has no such hosts.
func isForeign(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
