package linkcheck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"unicode"

	"code.dny.dev/ssrf"
)

// A Verdict is what a check says of a destination.
type Verdict string

// The verdicts.
const (
	Answers Verdict = "answers" // with success, at the end of its redirects
	Dead    Verdict = "dead"    // a follower finds nothing there
	Unclear Verdict = "unclear" // it cannot be checked: an app's address, a site that turns checks away, a name server that is away
)

// A Finding is what came of asking a destination.
type Finding struct {
	Destination string
	Verdict     Verdict
	Status      int    // of the last answer; 0 for none
	Reason      string // for people, empty for one that answers

	final bool // asking in another way would not tell more
}

// An appError is a redirect to what only an app opens.
type appError struct{ scheme string }

func (e appError) Error() string {
	return fmt.Sprintf("redirects to %s:, which cannot be checked", e.scheme)
}

// answered judges a status (RFC 9110, section 15).
func answered(destination string, response *http.Response) Finding {
	f := Finding{Destination: destination, Status: response.StatusCode, Verdict: Dead}
	switch status := response.StatusCode; {
	case status < http.StatusBadRequest:
		f.Verdict = Answers
		return f
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusMethodNotAllowed,
		status == http.StatusNotAcceptable, status == http.StatusTooManyRequests, status == http.StatusUnavailableForLegalReasons:
		f.Verdict = Unclear // a browser may be let in
	}
	f.Reason = strings.ToLower(http.StatusText(f.Status))
	if response.Request.URL.String() != destination {
		f.Reason = printable(strings.TrimSpace(f.Reason + " at " + response.Request.URL.Redacted()))
	}
	return f
}

// failed judges a request that got no answer.
func failed(destination string, err error) Finding {
	f := Finding{Destination: destination, Verdict: Dead, Reason: reason(err)}
	var app appError
	var name *net.DNSError
	switch {
	case errors.As(err, &app), errors.As(err, &name) && !name.IsNotFound: // no name server answers us, perhaps only us
		f.Verdict, f.final = Unclear, true
	case errors.As(err, &name), errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, context.Canceled):
		f.final = true
	}
	return f
}

// reason says in a few words why a request failed.
func reason(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP):
		return "leads to an address that is not on the public internet: it was not asked"
	case errors.As(err, &name) && name.IsNotFound:
		return "host " + printable(name.Name) + " is unknown"
	case errors.As(err, &certificate):
		return "its certificate is refused: " + printable(certificate.Err.Error())
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses connections"
	case errors.Is(err, os.ErrDeadlineExceeded), timeout(err):
		return "does not answer in time"
	}
	return printable(err.Error())
}

func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// maxReason bounds what servers may make us say, in bytes.
const maxReason = 200

// printable is text for a terminal whoever wrote it.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
