package redirect

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"carom/ingest"
)

// An Explanation says what an edge answers to a request, and why.
type Explanation struct {
	URL      string    `json:"url"`
	At       time.Time `json:"at"`       // when it is asked
	Taken    time.Time `json:"snapshot"` // when the snapshot was known to be complete
	Status   int       `json:"status"`
	Location string    `json:"location,omitempty"` // with {click_id} in place of the click id
	Outcome  string    `json:"outcome"`            // label of carom_redirects_total
	Recorded bool      `json:"recorded"`           // there is a click row
	Reasons  string    `json:"reasons"`            // of the click row
	Assumed  bool      `json:"assumed"`            // signatures were not checked
	Steps    []Step    `json:"steps"`
}

// A Step is one check on the way to an answer.
type Step struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Failed bool   `json:"failed"` // what makes the answer another one than the redirect
}

// clickIDPlaceholder stands for the click id in an explained Location.
const clickIDPlaceholder = "{click_id}"

// ErrURL is wrapped by the refusal of what no browser could ask an edge.
var ErrURL = errors.New("not a short URL such as https://go.brand.example/code")

// An Explainer answers requests as an edge would that has the table of a snapshot: it has a Server without a listener handle them.
type Explainer struct {
	table   *Table
	taken   time.Time
	names   *Builder // what numbers are called
	assumed bool     // keys are made up
}

// NewExplainer reads a snapshot, or the one before it where it is damaged. Without a sealer, nil, the keys in it stay closed:
// signatures are taken to be right.
func NewExplainer(snapshot string, sealer *Sealer) (*Explainer, error) {
	var keys keyOpener = madeUpKeys{}
	if sealer != nil {
		keys = sealer
	}
	kept, err := loadSnapshot(snapshot, keys)
	if err != nil {
		return nil, err
	}
	return &Explainer{kept.builder.Table(), kept.taken, kept.builder, sealer == nil}, nil
}

// madeUpKeys are keys of the right sizes.
type madeUpKeys struct{}

// Open returns a random secret.
func (madeUpKeys) Open(kind KeyKind, _ uint32, _ string, _ []byte) ([]byte, error) {
	secret := make([]byte, VisitorKeyLen)
	if kind == KeyClickID {
		secret = make([]byte, 16)
	}
	_, err := rand.Read(secret)
	return secret, err
}

// Explain says what an edge answers to a browser that asks for a URL, with or without its scheme, at a moment.
func (e *Explainer) Explain(url string, at time.Time) (Explanation, error) {
	host, target, err := splitURL(url)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{URL: url, At: at.UTC(), Taken: e.taken.UTC()}
	w := &walk{Explainer: e, now: at.Unix()}
	target = w.follow(host, target)
	x.Steps, x.Assumed = w.steps, w.assuming

	var last lastClick
	server, err := NewServer(Default(), &last, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		return x, err
	}
	server.now = func() time.Time { return at }
	server.setTable(e.table, e.taken)
	var ctx fasthttp.RequestCtx
	var request fasthttp.Request
	request.Header.SetHost(host)
	request.Header.SetRequestURI(target)
	ctx.Init(&request, nil, nil)
	server.handle(&ctx)

	x.Status = ctx.Response.StatusCode()
	x.Location = string(ctx.Response.Header.Peek("Location"))
	for o := range outcomes {
		if server.metrics.redirects[o].n.Load() > 0 {
			x.Outcome = o.String()
		}
	}
	if x.Recorded = last.id != ""; x.Recorded {
		x.Location = strings.Replace(x.Location, last.id, clickIDPlaceholder, 1)
		x.Reasons = last.reasons.String()
	}
	return x, nil
}

// splitURL takes a URL apart as a browser does before it asks: the fragment stays behind.
func splitURL(url string) (host, target string, err error) {
	rest := url
	if scheme, after, ok := strings.Cut(url, "://"); ok {
		if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
			return "", "", fmt.Errorf("%q: %w", url, ErrURL)
		}
		rest = after
	}
	rest, _, _ = strings.Cut(rest, "#")
	at := strings.IndexAny(rest, "/?")
	if at < 0 {
		at = len(rest)
	}
	if host, err = CanonicalHost(rest[:at]); err != nil {
		return "", "", fmt.Errorf("%q: %w: %w", url, ErrURL, err)
	}
	target = rest[at:]
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return host, target, nil
}

// lastClick remembers the click that a server has recorded.
type lastClick struct {
	id      string
	reasons ingest.Reasons
}

// PutClick implements Sink.
func (s *lastClick) PutClick(_ uint64, c *ingest.Click) bool {
	s.id, s.reasons = string(AppendClickID(nil, &c.ID)), c.Reasons
	return true
}

// PutConversion implements Sink; an explained request is none.
func (s *lastClick) PutConversion(*ingest.Conversion) bool { return true }
