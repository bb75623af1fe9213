package redirect

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// MaxDestination is the longest destination in bytes, as written and after normalisation.
const MaxDestination = 2048

// ErrDestination is wrapped by every refusal of CheckDestination.
var ErrDestination = errors.New("destination refused")

// DestinationPolicy is what one brand allows its links to point at. The zero value allows any http or https host.
type DestinationPolicy struct {
	Hosts      []string               // when not empty, the only hosts allowed (canonical, see CanonicalHost)
	AppSchemes []string               // lower-case schemes of the brand's apps, such as "myapp"
	OwnHost    func(host string) bool `json:"-"` // reports Carom's own short domains, which would loop; nil for none
}

// A Destination is an address that CheckDestination has accepted.
type Destination struct {
	URL          string // normalised: lower-case scheme and host, punycode, only printable ASCII
	MixedScripts bool   // a label of the host mixes scripts (Latin with Cyrillic, say): show it to a person
}

// CheckDestination accepts an absolute URL that may be sent to a browser in a Location header, or says why not.
// It is applied when a link is written and again when an edge loads it.
func CheckDestination(raw string, policy DestinationPolicy) (Destination, error) {
	if raw == "" {
		return Destination{}, refused("it is empty")
	}
	if len(raw) > MaxDestination {
		return Destination{}, refused("%d bytes, at most %d are allowed", len(raw), MaxDestination)
	}
	if i := strings.IndexFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == unicode.ReplacementChar }); i >= 0 {
		return Destination{}, refused("control character, blank or invalid UTF-8 at byte %d", i)
	}
	if strings.Contains(raw, `\`) {
		return Destination{}, refused("it contains a backslash, which browsers read as a slash")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return Destination{}, refused("it does not parse as a URL: %v", errors.Unwrap(err))
	}
	var d Destination
	switch {
	case u.Scheme == "":
		return Destination{}, refused("%q has no scheme: write https://…", raw)
	case u.Scheme == "http", u.Scheme == "https":
		if d.MixedScripts, err = checkAuthority(u, policy); err != nil {
			return Destination{}, err
		}
	case forbiddenScheme(u.Scheme) || !slices.Contains(policy.AppSchemes, u.Scheme):
		return Destination{}, refused("scheme %q is not allowed: use http, https or an app scheme on the brand's list", u.Scheme)
	}
	d.URL = asciiURL(u.String())
	if len(d.URL) > MaxDestination {
		return Destination{}, refused("%d bytes once its characters are encoded, at most %d are allowed", len(d.URL), MaxDestination)
	}
	if again, err := url.Parse(d.URL); err != nil || again.String() != d.URL {
		return Destination{}, refused("%q can be read in more than one way", raw)
	}
	return d, nil
}

func refused(why string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDestination, fmt.Sprintf(why, args...))
}

// checkAuthority checks user, host and port of a web address, and writes the host's one spelling into u.
func checkAuthority(u *url.URL, policy DestinationPolicy) (mixed bool, err error) {
	if u.User != nil {
		return false, refused("it carries a user name (user@host), which hides where it goes")
	}
	if u.Opaque != "" || u.Hostname() == "" {
		return false, refused("%q has no host", u)
	}
	host, err := CanonicalHost(u.Host)
	if err != nil {
		return false, refused("%v", err)
	}
	if len(policy.Hosts) > 0 && !slices.Contains(policy.Hosts, host) {
		return false, refused("host %q is not on the brand's list of destination hosts", host)
	}
	if policy.OwnHost != nil && policy.OwnHost(host) {
		return false, refused("host %q is a short domain of Carom: the link would loop", host)
	}
	mixed = mixedScripts(u.Hostname())
	port := u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u.Host = host
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false, refused("port %s: 1 to 65535 are possible", port)
		}
		u.Host += ":" + port
	}
	return mixed, nil
}

// forbiddenScheme names schemes that run or read things in the visitor's browser; no allowlist admits them.
func forbiddenScheme(scheme string) bool {
	switch scheme {
	case "javascript", "data", "vbscript", "file", "blob", "about", "view-source":
		return true
	}
	return false
}

// CheckAppScheme returns an app's URL scheme (RFC 3986, section 3.1) in lower case, if a brand may put it on its list.
func CheckAppScheme(scheme string) (string, error) {
	scheme = strings.ToLower(scheme)
	u, err := url.Parse(scheme + ":")
	if err != nil || u.Scheme != scheme || forbiddenScheme(scheme) || scheme == "http" || scheme == "https" {
		return "", fmt.Errorf("%q is not an app scheme such as myapp", scheme)
	}
	return scheme, nil
}

// asciiURL percent-encodes what url.String leaves outside printable ASCII (in raw queries) and quotes.
func asciiURL(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// hostNames is IDNA lookup processing (UTS 46) with DNS's limits on labels and names. It is only read.
var hostNames = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// CanonicalHost is the one spelling of a host: lower case, punycode, no port, no trailing dot, no brackets. What it returns it
// returns again.
func CanonicalHost(hostport string) (string, error) {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); ip != nil {
		return ip.String(), nil
	}
	ascii, err := hostNames.ToASCII(host)
	ascii = strings.TrimSuffix(ascii, ".")
	if again, err2 := hostNames.ToASCII(ascii); err != nil || err2 != nil || again != ascii || ascii == "" || strings.HasSuffix(ascii, ".") {
		return "", fmt.Errorf("%q is not a host name", host)
	}
	return ascii, nil
}

// mixedScripts reports whether one label of an internationalised host draws letters from more than one script,
// the Japanese and Korean mixtures of Han excepted (UTS 39, highly restrictive level).
func mixedScripts(host string) bool {
	if u, err := idna.Lookup.ToUnicode(host); err == nil {
		host = u
	}
	for label := range strings.SplitSeq(host, ".") {
		var latin, han, kana, hangul, other bool
		scripts := map[string]bool{}
		for _, r := range label {
			switch {
			case !unicode.IsLetter(r), unicode.In(r, unicode.Common, unicode.Inherited):
			case unicode.Is(unicode.Latin, r):
				latin = true
			case unicode.Is(unicode.Han, r):
				han = true
			case unicode.In(r, unicode.Hiragana, unicode.Katakana):
				kana = true
			case unicode.Is(unicode.Hangul, r):
				hangul = true
			default:
				other = true
				for name, table := range unicode.Scripts {
					if unicode.Is(table, r) {
						scripts[name] = true
					}
				}
			}
		}
		east := han || kana || hangul
		if len(scripts) > 1 || other && (latin || east) || kana && hangul {
			return true
		}
	}
	return false
}
