package redirect

import (
	"bytes"
	"image/gif"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/ingest"
)

// The pixel always answers with its image; what it stores and counts depends on the signature and the brand.
func TestPixel(t *testing.T) {
	acme, bolt := shopClick(1, time.Hour), shopClick(2, time.Hour)
	dollars := sale("currency", "USD", "click_id", bolt)
	for _, c := range []struct {
		name, host string
		query      string
		outcome    string
		signed     bool
	}{
		{"signed", "acme.test", sale().signed("new secret").query(), "accepted", true},
		{"signed, where unsigned ones are taken", "bolt.test", dollars.signed("bolt secret").query(), "accepted", true},
		{"unsigned", "bolt.test", dollars.query(), "accepted", false},
		{"unsigned and timeless, as browsers send it", "bolt.test", dollars.without("ts").query(), "accepted", false},
		{"unsigned, where none are taken", "acme.test", sale().query(), "bad_signature", false},
		{"a wrong signature is not as good as none", "bolt.test", dollars.signed("new secret").query(), "bad_signature", false},
		{"an empty one neither", "bolt.test", dollars.query() + "&sig=", "bad_signature", false},
		{"a stale one neither", "bolt.test", sale("ts", "1779990000").signed("bolt secret").query(), "bad_signature", false},
		{"unsigned, another brand's click", "bolt.test", sale("currency", "USD", "click_id", acme).query(), "foreign", false},
		{"unsigned, too old", "bolt.test", sale("currency", "USD", "click_id", shopClick(2, 8*day)).query(), "too_old", false},
		{"unsigned, forged", "bolt.test", sale("currency", "USD", "click_id", strings.Repeat("A", 22)).query(), "bad_click_id", false},
		{"unsigned, unknown coupon", "bolt.test", "txid=1&amount=1&currency=USD&coupon=X", "bad_coupon", false},
		{"unsigned refund", "bolt.test", sale("currency", "USD", "click_id", bolt, "event", "refund", "ref_txid", "1").query(), "bad_field", false},
		{"nothing", "bolt.test", "", "bad_field", false},
		{"nonsense", "bolt.test", "%", "bad_field", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newShop(t)
			got := w.get(t, c.host, "/_/pixel.gif?"+c.query)
			if got.status != 200 || got.header.Get("Content-Type") != "image/gif" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v", got.status, got.header)
			}
			if len(got.body) != 43 {
				t.Errorf("image of %d bytes", len(got.body))
			}
			if diff := cmp.Diff(map[string]int{c.outcome: 1}, w.outcomes(t)); diff != "" {
				t.Error(diff)
			}
			taken := w.drain()
			if c.outcome != "accepted" {
				if taken != nil {
					t.Errorf("stored: %+v", taken)
				}
				return
			}
			if len(taken) != 1 || taken[0].Source != ingest.FromPixel || taken[0].Signed != c.signed || taken[0].Amount != 499000 {
				t.Errorf("stored: %+v", taken)
			}
		})
	}
}

func TestPixelWithoutRoom(t *testing.T) {
	w := newShop(t)
	w.full = true
	if got := w.get(t, "acme.test", "/_/pixel.gif?"+sale().signed("new secret").query()); got.status != 200 {
		t.Errorf("%d", got.status)
	}
	if diff := cmp.Diff(map[string]int{"dropped": 1}, w.outcomes(t)); diff != "" {
		t.Error(diff)
	}
}

func TestPixelIsOneTransparentDot(t *testing.T) {
	dot, err := gif.Decode(bytes.NewReader([]byte(transparentPixel)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, alpha := dot.At(0, 0).RGBA(); alpha != 0 || dot.Bounds().Dx() != 1 || dot.Bounds().Dy() != 1 {
		t.Errorf("%v, alpha %d", dot.Bounds(), alpha)
	}
}

func TestScriptIsServed(t *testing.T) {
	w := newShop(t)
	got := w.get(t, "bolt.test", "/_/carom.js")
	if got.status != 200 || got.header.Get("Content-Type") != "text/javascript; charset=utf-8" ||
		got.header.Get("Cache-Control") != "public, max-age=3600" || got.header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if !strings.HasSuffix(got.body, "})(7);\n") {
		t.Errorf("the script is not called with the brand's 7 days: …%s", got.body[max(0, len(got.body)-40):])
	}
	if head := w.send(t, http.MethodHead, "bolt.test", "/_/carom.js", "", nil); head.status != 200 || head.body != "" {
		t.Errorf("HEAD: %d %q", head.status, head.body)
	}
}
