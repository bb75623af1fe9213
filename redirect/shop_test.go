package redirect

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"carom/ingest"
	"carom/ingest/metric/metrictest"
)

// A shop is a server with two brands, and what a test needs to send conversions to it.
//
//	brand 1  acme.test    EUR, 30 days, keys "old" (verifies), "new" (active) and "gone" (retired); links 1, 3 and 4
//	brand 2  bolt.test    USD, 7 days, takes unsigned pixels, key "bolt"; link 2
//
// Link 3 is deleted. Links 1 and 4 have the coupon SARA10, link 2 has BOLT5.
type shop struct {
	*conversionSink
	server   *Server
	registry *prometheus.Registry
	builder  *Builder
	base     string // http://127.0.0.1:port
}

var shopNow = time.UnixMilli(1780000000_123)

func newShop(t testing.TB) *shop {
	t.Helper()
	w := &shop{conversionSink: &conversionSink{}, registry: prometheus.NewRegistry(), builder: shopBuilder(t)}
	c := Default()
	c.Listen = "127.0.0.1:0"
	var err error
	if w.server, err = NewServer(c, w.conversionSink, w.registry, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	w.server.now = func() time.Time { return shopNow }
	w.server.SetTable(w.builder.Table())
	if err := w.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.server.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	w.base = "http://" + w.server.Addr().String()
	return w
}

func shopBuilder(t testing.TB) *Builder {
	t.Helper()
	b := NewBuilder()
	b.SetBrand(Brand{ID: 1, Key: "acme", Name: "Acme", Currency: "EUR", AttributionDays: 30})
	b.SetBrand(Brand{ID: 2, Key: "bolt", Name: "Bolt", Currency: "USD", AttributionDays: 7, UnsignedPixel: true})
	b.SetDomain(DomainRow{ID: 1, Host: "acme.test", Brand: 1})
	b.SetDomain(DomainRow{ID: 2, Host: "bolt.test", Brand: 2})
	b.SetKey(KeyRow{Brand: 1, Kind: KeyPostback, ID: "old", Secret: []byte("old secret")})
	b.SetKey(KeyRow{Brand: 1, Kind: KeyPostback, ID: "new", Secret: []byte("new secret"), Active: true})
	b.SetKey(KeyRow{Brand: 1, Kind: KeyPostback, ID: "gone", Secret: []byte("gone secret"), Retired: true})
	b.SetKey(KeyRow{Brand: 2, Kind: KeyPostback, ID: "bolt", Secret: []byte("bolt secret"), Active: true})
	b.SetKey(KeyRow{Kind: KeyClickID, ID: "1", Secret: shopClickKey, Active: true})
	b.SetKey(KeyRow{Kind: KeyVisitor, ID: "2026-05-28", Secret: make([]byte, VisitorKeyLen), Active: true})
	b.SetInfluencer(Influencer{ID: 5, Key: "sara", Enabled: true})
	b.SetInfluencer(Influencer{ID: 6, Key: "tom", Enabled: true})
	b.SetCampaign(Campaign{ID: 11, Key: "spring", Brand: 1, Destination: "https://acme.example/", ClickIDParam: "click_id", Enabled: true})
	b.SetCampaign(Campaign{ID: 12, Key: "summer", Brand: 2, Destination: "https://bolt.example/", ClickIDParam: "click_id", Enabled: true})
	for _, l := range []LinkRow{
		{ID: 1, Brand: 1, Campaign: 11, Influencer: 5, Domain: 1, Coupon: "SARA10", Enabled: true},
		{ID: 2, Brand: 2, Campaign: 12, Influencer: 5, Domain: 2, Coupon: "BOLT5", Enabled: true},
		{ID: 3, Brand: 1, Campaign: 11, Influencer: 6, Domain: 1, Coupon: "TOM10", Deleted: true},
		{ID: 4, Brand: 1, Campaign: 11, Influencer: 6, Domain: 1, Coupon: "SARA10"},
	} {
		if err := b.SetLink(l); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

var shopClickKey = []byte("sixteen bytes ok")

// shopClick is the id of a click on a link some time before shopNow.
func shopClick(link uint32, ago time.Duration) string {
	return shopClickUnder(shopClickKey, link, ago)
}

func shopClickUnder(secret []byte, link uint32, ago time.Duration) string {
	key, err := NewClickIDKey(secret)
	if err != nil {
		panic(err)
	}
	var block [16]byte
	key.Seal(&block, Click{Link: link, Millis: shopNow.Add(-ago).UnixMilli(), Node: 7, Sequence: 9})
	return string(AppendClickID(nil, &block))
}

// sale is a message that is in order: the tests change one thing at a time.
func sale(changes ...string) fields {
	f := fields{
		"click_id": shopClick(1, time.Hour), "txid": "1001", "amount": "49.90", "currency": "EUR",
		"ts": strconv.FormatInt(shopNow.Unix(), 10),
	}
	for i := 0; i < len(changes); i += 2 {
		f[changes[i]] = changes[i+1]
	}
	return f
}

func (f fields) without(names ...string) fields {
	f = maps.Clone(f)
	for _, name := range names {
		delete(f, name)
	}
	return f
}

// signed adds the signature under secret.
func (f fields) signed(secret string) fields {
	f = maps.Clone(f)
	f["sig"] = macOf(secret, f.canonical())
	return f
}

// query spells the fields as a form.
func (f fields) query() string {
	values := url.Values{}
	for name, value := range f {
		values.Set(name, value)
	}
	return values.Encode()
}

func macOf(secret, text string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

// An answer is what the server said.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *shop) get(t testing.TB, host, pathAndQuery string) answer {
	t.Helper()
	return w.send(t, http.MethodGet, host, pathAndQuery, "", nil)
}

// send makes a request; header lines come in pairs of name and value.
func (w *shop) send(t testing.TB, method, host, pathAndQuery, body string, header []string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.base+pathAndQuery, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(content)}
}

// outcomes reads carom_conversions_total, by outcome where that has come.
func (w *shop) outcomes(t testing.TB) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for name, n := range metrictest.All(t, w.registry) {
		if label, ok := strings.CutPrefix(name, "carom_conversions_total{outcome="); ok && n > 0 {
			counts[strings.Trim(label, `"}`)] = int(n)
		}
	}
	return counts
}

// conversionSink keeps what it is given.
type conversionSink struct {
	mu    sync.Mutex
	taken []ingest.Conversion
	full  bool
}

func (s *conversionSink) PutClick(uint64, *ingest.Click) bool { return true }

func (s *conversionSink) PutConversion(c *ingest.Conversion) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return false
	}
	s.taken = append(s.taken, *c)
	return true
}

// drain returns what was taken since the last call.
func (s *conversionSink) drain() []ingest.Conversion {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.taken
	s.taken = nil
	return taken
}
