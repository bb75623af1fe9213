package redirect

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// target is where a request wants to go, in raw bytes: nothing is decoded, so nothing encoded can turn into another path.
type target struct {
	host  []byte // canonical: lower case, no port, no trailing dot
	path  []byte // begins with "/"
	query []byte // without "?"
}

// parseTarget reads the request line's target and the Host header. host is memory for the canonical host. status is 0, or
// the 4xx that the request deserves.
func parseTarget(uri, hostHeader []byte, host *[maxHost]byte) (t target, status int) {
	h, ok := canonicalHost(host, hostHeader)
	if !ok {
		return t, 400
	}
	t.host = h
	if len(uri) == 0 || uri[0] != '/' {
		var authority []byte
		authority, uri = splitAbsolute(uri)
		var other [maxHost]byte
		if h, ok := canonicalHost(&other, authority); !ok {
			return t, 400
		} else if !bytes.Equal(h, t.host) {
			return t, 421
		}
	}
	t.path, t.query = cutByte(uri, '?')
	for _, c := range t.path {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return t, 400
		}
	}
	return t, 0
}

// splitAbsolute takes the absolute form, http://host/path, apart.
func splitAbsolute(uri []byte) (authority, rest []byte) {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(uri) > len(scheme) && string(bytes.ToLower(uri[:len(scheme)])) == scheme {
			uri = uri[len(scheme):]
			if i := bytes.IndexAny(uri, "/?"); i < 0 {
				return uri, []byte("/")
			} else if uri[i] == '?' {
				return uri[:i], append([]byte("/"), uri[i:]...)
			} else {
				return uri[:i], uri[i:]
			}
		}
	}
	return nil, nil
}

// maxHost is the longest host name in bytes.
const maxHost = 253

// canonicalHost writes the one spelling of a Host header to dst. It is the byte-wise sibling of CanonicalHost for what
// browsers send, which is always punycode; anything but a name or an IPv4 address with an optional port is refused.
func canonicalHost(dst *[maxHost]byte, raw []byte) ([]byte, bool) {
	if i := bytes.IndexByte(raw, ':'); i >= 0 {
		if !isPort(raw[i+1:]) {
			return nil, false
		}
		raw = raw[:i]
	}
	if n := len(raw); n > 0 && raw[n-1] == '.' {
		raw = raw[:n-1]
	}
	if len(raw) == 0 || len(raw) > maxHost {
		return nil, false
	}
	for i, c := range raw {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		default:
			return nil, false
		}
		dst[i] = c
	}
	return dst[:len(raw)], true
}

func isPort(s []byte) bool {
	if len(s) == 0 || len(s) > 5 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// discardBytes is the longest body of a request that has no use for one. It is read, so that the next request is found behind
// it, and dropped; a longer one is answered 413.
const discardBytes = 1 << 10

// bodyLimit leaves Config.BodyBytes to the methods that have a body.
func bodyLimit(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if h.IsGet() || h.IsHead() || h.IsOptions() {
		return fasthttp.RequestConfig{MaxRequestBodySize: discardBytes}
	}
	return fasthttp.RequestConfig{}
}
