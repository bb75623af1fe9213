package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// adminFlags are the flags of every command with an admin listener.
type adminFlags struct {
	Admin      string   `default:"127.0.0.1:9090" env:"CAROM_ADMIN" help:"Address of health and metrics, and of API and reports where control runs. Whoever reaches it may ask for health; the API asks for its tokens, and on any but a loopback address the rest asks for --ops-token."`
	AdminHosts []string `placeholder:"NAME,…" env:"CAROM_ADMIN_HOSTS" help:"Names by which a loopback admin address may be called besides localhost and its numbers, as by a proxy; others are refused, since a web page can make a browser call them (DNS rebinding)."`
	OpsToken   string   `placeholder:"FILE" env:"CAROM_OPS_TOKEN" help:"File with the token, 32 bytes or more (openssl rand -hex 32), that /metrics and /debug/pprof/ ask for as Authorization: Bearer TOKEN; without one they answer on loopback only."`
	Pprof      bool     `env:"CAROM_PPROF" help:"Serve /debug/pprof/ on the admin address."`
}

// minOpsToken is the length in bytes of a token that nobody guesses: 128 bits in hexadecimal.
const minOpsToken = 32

// readOpsToken returns the operators' token, nil where none is configured.
func (f adminFlags) readOpsToken() ([]byte, error) {
	if f.OpsToken == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.OpsToken)
	if err != nil {
		return nil, fmt.Errorf("read the operators' token: %w", err)
	}
	token := bytes.TrimSpace(text)
	if len(token) < minOpsToken {
		return nil, fmt.Errorf("%w: --ops-token: the token in %s has %d bytes, at least %d are needed: openssl rand -hex 32",
			errUsage, f.OpsToken, len(token), minOpsToken)
	}
	return token, nil
}

// A guard decides who gets what from the admin listener.
type guard struct {
	token    []byte   // the operators'; nil = none
	hosts    []string // further names of a loopback listener, lower case
	loopback bool     // only this machine can connect; set by listen, before the first request
}

// byName refuses requests to a loopback listener by a name that is not its own: they come from a web page whose name was
// made to mean this machine. Health has nothing to hide and may be asked for by any name.
func (g *guard) byName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		health := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
		if g.loopback && !health && !g.isCalled(r.Host) {
			http.Error(w, fmt.Sprintf("%q is not a name of this address: call it localhost, or start with --admin-hosts", r.Host),
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *guard) isCalled(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	address, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && address.Unmap().IsLoopback() || slices.Contains(g.hosts, name)
}

// operators asks for their token, unless there is none and only this machine can ask.
func (g *guard) operators(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.token == nil && g.loopback || g.isOperator(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="carom operators"`)
		reason := "this needs the operators' token: Authorization: Bearer TOKEN"
		if g.token == nil {
			reason = "this address is not loopback and there is no operators' token: start with --ops-token FILE"
		}
		http.Error(w, reason, http.StatusUnauthorized)
	})
}

// isOperator takes the same time however much of a token is right.
func (g *guard) isOperator(r *http.Request) bool {
	sent, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	want, got := sha256.Sum256(g.token), sha256.Sum256([]byte(sent))
	return g.token != nil && bearer && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
