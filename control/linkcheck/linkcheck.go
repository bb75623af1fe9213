// Package linkcheck finds out which destinations of links still answer.
//
// Destinations are what brands write, so a check must not become a way to reach what only the machine it runs on can reach.
// It speaks http and https only, to the ports of the web and the one that the destination names, asks no proxy, and looks at
// every address at the moment it is dialled, after resolving and at each redirect: what is not public (IANA's special-purpose
// registries: private, loopback, link-local, carrier-grade NAT, multicast, mapped and tunnelled addresses) gets no packet.
// Bodies are not read.
package linkcheck

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Config says how destinations are asked.
type Config struct {
	Hosts     int           // asked at a time
	PerHost   int           // destinations of one host asked at a time
	Delay     time.Duration // between the beginnings of two requests to one host, redirects included
	Timeout   time.Duration // of each step: connecting, the TLS handshake, the answer's headers
	Redirects int           // followed for one destination
	UserAgent string        // tells operators of shops who asks

	Resolver *net.Resolver  // nil for the system's
	Allowed  []netip.Prefix // IPv4 networks that are asked though they are not public; for tests
}

// Default is polite to a shop that all links lead to, and bounds what one that does not answer takes.
func Default() Config {
	return Config{
		Hosts: 16, PerHost: 2, Delay: 100 * time.Millisecond, Timeout: 10 * time.Second,
		Redirects: 10, // as browsers, within a factor of two
		UserAgent: "Mozilla/5.0 (compatible; carom-linkcheck/1.0)",
	}
}

// maxHeaderBytes bounds what is read of one answer.
const maxHeaderBytes = 64 << 10

// A Checker asks destinations.
type Checker struct {
	config Config
	pace   *pace
}

// New makes a checker, which does nothing until it is asked to.
func New(c Config) *Checker {
	return &Checker{c, newPace(c.Delay, c.transport())}
}

func (c Config) transport() *http.Transport {
	dialer := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver, Control: publicOnly(c.Allowed)}
	return &http.Transport{
		Proxy:                  nil, // which would dial for us, and anywhere
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    c.Timeout,
		ResponseHeaderTimeout:  c.Timeout,
		IdleConnTimeout:        c.Timeout,
		MaxIdleConnsPerHost:    c.PerHost,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
}

// Check asks each destination once and calls found with what came of it, one call at a time. It returns early, with the error
// of ctx, only when ctx ends.
func (c *Checker) Check(ctx context.Context, destinations []string, found func(Finding)) error {
	defer c.pace.next.CloseIdleConnections()
	var one sync.Mutex
	var hosts errgroup.Group
	hosts.SetLimit(c.config.Hosts)
	for _, ofHost := range byHost(destinations) {
		hosts.Go(func() error {
			var asked errgroup.Group
			asked.SetLimit(c.config.PerHost)
			for _, destination := range ofHost {
				if ctx.Err() != nil {
					break
				}
				asked.Go(func() error {
					finding := c.ask(ctx, destination)
					if ctx.Err() != nil {
						return nil // it tells nothing of the destination
					}
					one.Lock()
					defer one.Unlock()
					found(finding)
					return nil
				})
			}
			return asked.Wait()
		})
	}
	_ = hosts.Wait() // nothing in it fails
	return ctx.Err()
}

// byHost groups destinations that one host answers, in the order in which the hosts come first.
func byHost(destinations []string) [][]string {
	var groups [][]string
	at := map[string]int{}
	for _, destination := range destinations {
		host := ""
		if u, err := url.Parse(destination); err == nil {
			host = u.Hostname()
		}
		i, known := at[host]
		if !known {
			i = len(groups)
			at[host] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], destination)
	}
	return groups
}

// ask asks for the headers of one destination; where that is refused it asks as a browser would, for not all shops know HEAD.
func (c *Checker) ask(ctx context.Context, destination string) Finding {
	finding := c.request(ctx, http.MethodHead, destination)
	if finding.Verdict == Answers || finding.final {
		return finding
	}
	return c.request(ctx, http.MethodGet, destination)
}

func (c *Checker) request(ctx context.Context, method, destination string) Finding {
	request, err := http.NewRequestWithContext(ctx, method, destination, nil)
	if err != nil {
		return Finding{Destination: destination, Verdict: Unclear, Reason: "is not a URL: " + printable(err.Error()), final: true}
	}
	if !web(request.URL) {
		return Finding{Destination: destination, Verdict: Unclear, Reason: "is not a web address", final: true}
	}
	request.Header.Set("User-Agent", c.config.UserAgent)
	jar, _ := cookiejar.New(nil) // never fails; shops that set a cookie and redirect would do so for ever without
	client := http.Client{Transport: c.pace, CheckRedirect: c.redirect, Jar: jar}
	response, err := client.Do(request)
	if err != nil {
		return failed(destination, err)
	}
	response.Body.Close() // there is none: see pace
	return answered(destination, response)
}

// redirect decides whether a redirect is followed.
func (c *Checker) redirect(next *http.Request, via []*http.Request) error {
	switch port := next.URL.Port(); {
	case !web(next.URL):
		return appError{next.URL.Scheme}
	case port != "" && port != "80" && port != "443" && port != via[0].URL.Port():
		return fmt.Errorf("redirects to port %s, which is not one of the web", port)
	case len(via) > c.config.Redirects:
		return fmt.Errorf("redirects more than %d times", c.config.Redirects)
	}
	return nil
}

func web(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" }
