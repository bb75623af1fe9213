package ingest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/cespare/xxhash/v2"
)

//go:embed agentdata/referrers.json
var referrersJSON []byte

// referrerCache is how many referring hosts are remembered.
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
	host      [maxReferrerHost]byte // scratch
}

type referrer struct{ host, platform string }

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
// names no valid host; the platform of a host that is on no list is "other". A host that was seen lately costs no
// allocation.
func (r *Referrers) Parse(header []byte) (host, platform string) {
	name := r.hostOf(header)
	if len(name) == 0 {
		return "", ""
	}
	hash := xxhash.Sum64(name)
	if known := r.known.get(hash); known != nil && known.host == string(name) {
		return known.host, known.platform
	}
	host = string(name)
	platform = r.platform(host)
	r.known.put(hash, &referrer{host, platform})
	return host, platform
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

// hostOf is the valid host of a URL, normalised into r.host, or nothing.
func (r *Referrers) hostOf(header []byte) []byte {
	var authority []byte
	for _, scheme := range referrerSchemes {
		if len(header) > len(scheme) && strings.EqualFold(string(header[:len(scheme)]), scheme) {
			authority = header[len(scheme):]
			break
		}
	}
	if end := bytes.IndexAny(authority, `/?#\`); end >= 0 {
		authority = authority[:end]
	}
	host := authority[bytes.LastIndexByte(authority, '@')+1:]
	if port := bytes.IndexByte(host, ':'); port >= 0 {
		host = host[:port]
	}
	host = bytes.TrimSuffix(host, []byte("."))
	if len(host) > len(r.host) {
		return nil
	}
	label := 0 // bytes of it so far
	for i, c := range host {
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
			label++
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return nil
		}
		if label > maxLabel {
			return nil
		}
		r.host[i] = c
	}
	if label == 0 {
		return nil
	}
	return r.host[:len(host)]
}
