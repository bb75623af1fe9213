package redirect

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"

	"carom/ingest"
)

const form = "application/x-www-form-urlencoded"

// signedBody is the header of a JSON message that is sent now.
func signedBody(secret, body string) string {
	sent := strconv.FormatInt(shopNow.Unix(), 10)
	return "t=" + sent + ",v1=" + macOf(secret, sent+"."+body)
}

// Every way to send the same conversion: each is answered alike and stored alike.
func TestPostbackIsAccepted(t *testing.T) {
	w := newShop(t)
	id := shopClick(1, time.Hour)
	query := sale().signed("new secret").query()
	first, rest, _ := strings.Cut(query, "&")
	body := `{"click_id":"` + id + `","txid":1001,"amount":49.90,"currency":"EUR","ts":"1780000000","coupon":null,"items":[{"n":1}]}`
	post := func(target, body, contentType string) func() answer {
		return func() answer {
			return w.send(t, "POST", "acme.test", target, body, []string{"Content-Type", contentType})
		}
	}
	for _, c := range []struct {
		name string
		send func() answer
	}{
		{"GET", func() answer { return w.get(t, "acme.test", "/_/postback?"+query) }},
		{"GET, an older key", func() answer { return w.get(t, "acme.test", "/_/postback?"+sale().signed("old secret").query()) }},
		{"GET, the host in another spelling", func() answer { return w.get(t, "ACME.test.:443", "/_/postback?"+query) }},
		{"POST, form", post("/_/postback", query, form)},
		{"POST, form with a charset", post("/_/postback", query, form+"; charset=UTF-8")},
		{"POST, query", post("/_/postback?"+query, "", "")},
		{"POST, query and form", post("/_/postback?"+first, rest, form)},
		{"POST, JSON", func() answer {
			return w.send(t, "POST", "acme.test", "/_/postback", body,
				[]string{"Content-Type", "application/json; charset=utf-8", "Carom-Signature", signedBody("new secret", body)})
		}},
	} {
		got := c.send()
		want := `{"status":"accepted","click_id":"` + id + `","txid":"1001","event":"sale"}` + "\n"
		if got.status != 200 || got.body != want || got.header.Get("Content-Type") != "application/json" ||
			got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v\n got %swant %s", c.name, got.status, got.header, got.body, want)
		}
		stored := ingest.Conversion{
			Received: shopNow.UnixMilli(), Millis: 1780000000000, ClickTime: shopNow.Add(-time.Hour).UnixMilli(), Amount: 499000,
			Brand: 1, Campaign: 11, Influencer: 5, Link: 1, Status: ingest.Approved, Source: ingest.FromPostback, Signed: true,
			ClickID: id, Event: "sale", TxID: "1001", Currency: "EUR",
		}
		if diff := cmp.Diff([]ingest.Conversion{stored}, w.drain()); diff != "" {
			t.Errorf("%s: stored -want +got\n%s", c.name, diff)
		}
	}
	if diff := cmp.Diff(map[string]int{"accepted": 8}, w.outcomes(t)); diff != "" {
		t.Error(diff)
	}
}

// Every refusal: its status, the field it names, the outcome it counts, and nothing stored.
func TestPostbackIsRefused(t *testing.T) {
	good := sale().signed("new secret")
	body := `{"click_id":"` + shopClick(1, time.Hour) + `","txid":"1001","amount":"49.90","currency":"EUR"}`
	type post struct{ contentType, signature, body string }
	inJSON := func(body, signature string) *post { return &post{"application/json", signature, body} }
	signedJSON := func(body string) *post { return inJSON(body, signedBody("new secret", body)) }
	type request struct {
		name  string
		query string
		post  *post  // nil: GET
		want  string // outcome
		field string
	}
	requests := []request{
		{"no signature", sale().query(), nil, "bad_signature", "sig"},
		{"an empty signature", good.without("sig").query() + "&sig=", nil, "bad_signature", "sig"},
		{"a signature of nonsense", good.without("sig").query() + "&sig=nonsense", nil, "bad_signature", "sig"},
		{"a retired key", sale().signed("gone secret").query(), nil, "bad_signature", "sig"},
		{"another brand's key", sale().signed("bolt secret").query(), nil, "bad_signature", "sig"},
		{"a parameter more than signed", good.query() + "&status=pending", nil, "bad_signature", "sig"},
		{"no time", sale().without("ts").signed("new secret").query(), nil, "bad_signature", "ts"},
		{"a stale time", sale("ts", "1779999699").signed("new secret").query(), nil, "bad_signature", "ts"},
		{"a time ahead", sale("ts", "1780000301").signed("new secret").query(), nil, "bad_signature", "ts"},
		{"nothing at all", "", nil, "bad_signature", "sig"},
		{"a name twice", good.query() + "&amount=1.00", nil, "bad_field", "amount"},
		{"a name twice, the signature", good.query() + "&sig=" + good["sig"], nil, "bad_field", "sig"},
		{"a broken escape", good.query() + "&x=%zz", nil, "bad_field", ""},
		{"a semicolon", good.query() + ";x=y", nil, "bad_field", ""},

		{"JSON without a signature", "", inJSON(body, ""), "bad_signature", "Carom-Signature"},
		{"JSON signed by another brand", "", inJSON(body, signedBody("bolt secret", body)), "bad_signature", "Carom-Signature"},
		{"JSON other than signed", "", inJSON(body+" ", signedBody("new secret", body)), "bad_signature", "Carom-Signature"},
		{"JSON with parameters beside it", "status=rejected", signedJSON(body), "bad_field", ""},
		{"JSON that ends early", "", signedJSON(body[:len(body)-1]), "bad_field", ""},
		{"two JSON objects", "", signedJSON(body + body), "bad_field", ""},
		{"a JSON list", "", signedJSON("[" + body + "]"), "bad_field", ""},
		{"JSON with a trailing comma", "", signedJSON(`{"amount":1,}`), "bad_field", ""},
		{"JSON that is not UTF-8", "", signedJSON(`{"txid":"` + "\xff" + `"}`), "bad_field", ""},
		{"a JSON name twice", "", signedJSON(`{"amount":1,"amount":1}`), "bad_field", "amount"},
		{"a JSON name twice, once escaped", "", signedJSON(`{"amount":1,"\u0061mount":2}`), "bad_field", "amount"},
		{"a truth as amount", "", signedJSON(`{"amount":true}`), "bad_field", "amount"},
		{"an object as txid", "", signedJSON(`{"txid":{"id":1}}`), "bad_field", "txid"},
		{"a stale time in JSON", "", signedJSON(strings.Replace(body, "{", `{"ts":1,`, 1)), "bad_field", "ts"},
		{"a body of another type", "", &post{"text/xml", "", "<amount/>"}, "bad_field", "Content-Type"},
		{"a body of no type", "", &post{"", "", "amount=1"}, "bad_field", "Content-Type"},
	}
	for _, c := range refusedConversions {
		requests = append(requests, request{c.name, c.fields.signed("new secret").query(), nil, c.outcome.String(), c.field})
	}

	w := newShop(t)
	counted := map[string]int{}
	for _, c := range requests {
		method, body, header := http.MethodGet, "", []string(nil)
		if c.post != nil {
			method, body = http.MethodPost, c.post.body
			header = []string{"Content-Type", c.post.contentType, "Carom-Signature", c.post.signature}
		}
		got := w.send(t, method, "acme.test", "/_/postback?"+c.query, body, header)
		status := http.StatusBadRequest
		if c.want == "bad_signature" {
			status = http.StatusUnauthorized
		}
		field, text := refusalIn(t, got.body)
		if got.status != status || field != c.field || text == "" {
			t.Errorf("%s: %d %s, want %d for %q", c.name, got.status, got.body, status, c.field)
		}
		counted[c.want]++
		if diff := cmp.Diff(counted, w.outcomes(t)); diff != "" {
			t.Fatalf("%s: outcomes -want +got\n%s", c.name, diff)
		}
	}
	if taken := w.drain(); taken != nil {
		t.Errorf("stored: %+v", taken)
	}
}

// refusalIn reads the answer to a refused postback.
func refusalIn(t *testing.T, body string) (field, text string) {
	t.Helper()
	var said struct{ Field, Error string }
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Fatalf("answer %q: %v", body, err)
	}
	return said.Field, said.Error
}

func TestPostbackWithoutRoomIsToBeSentAgain(t *testing.T) {
	w := newShop(t)
	w.full = true
	target := "/_/postback?" + sale().signed("new secret").query()
	if got := w.get(t, "acme.test", target); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	w.full = false
	for range 2 { // and once more, for the answer may be lost
		if got := w.get(t, "acme.test", target); got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if diff := cmp.Diff(map[string]int{"dropped": 1, "accepted": 2}, w.outcomes(t)); diff != "" {
		t.Error(diff)
	}
}

// A node that knows only its snapshot does not turn a sale away for good because of a key, a click or a coupon that it may not have
// heard of; as soon as it has heard from ClickHouse it does.
func TestPostbackToASnapshotIsToBeSentAgain(t *testing.T) {
	w := newShop(t)
	for _, c := range []struct {
		name, query       string
		before, confirmed int
	}{
		{"a known key", sale().signed("new secret").query(), 200, 200},
		{"a key it does not know", sale().signed("newest secret").query(), 503, 401},
		{"a coupon it does not know", sale("coupon", "NEW10").without("click_id").signed("new secret").query(), 503, 400},
		{"an amount that is missing", sale().without("amount").signed("new secret").query(), 400, 400},
	} {
		w.server.restoreTable(w.builder.Table(), time.Now().Add(-time.Hour))
		if got := w.get(t, "acme.test", "/_/postback?"+c.query); got.status != c.before || (got.status == 503) != (got.header.Get("Retry-After") != "") {
			t.Errorf("%s: %d %v %s, want %d", c.name, got.status, got.header, got.body, c.before)
		}
		w.server.Fresh()
		if got := w.get(t, "acme.test", "/_/postback?"+c.query); got.status != c.confirmed {
			t.Errorf("%s, after ClickHouse was heard: %d %s, want %d", c.name, got.status, got.body, c.confirmed)
		}
	}
}

func TestPathsOfConversions(t *testing.T) {
	w := newShop(t)
	query := "?" + sale().signed("new secret").query()
	for _, c := range []struct {
		method, host, target string
		status               int
	}{
		{"HEAD", "acme.test", "/_/postback" + query, 405},
		{"PUT", "acme.test", "/_/postback" + query, 405},
		{"OPTIONS", "acme.test", "/_/postback", 204},
		{"POST", "acme.test", "/_/pixel.gif" + query, 405},
		{"HEAD", "acme.test", "/_/pixel.gif" + query, 200},
		{"GET", "acme.test", "/_/", 404},
		{"GET", "acme.test", "/_/postback/" + query, 404},
		{"GET", "acme.test", "/_/Postback" + query, 404},
		{"GET", "acme.test", "/_/%70ostback" + query, 404},
		{"GET", "acme.test", "/_/../_/postback" + query, 404},
		{"GET", "nobody.test", "/_/postback" + query, 404},
	} {
		if got := w.send(t, c.method, c.host, c.target, "", nil); got.status != c.status {
			t.Errorf("%s %s%s: %d, want %d", c.method, c.host, c.target, got.status, c.status)
		}
	}
	if taken, counts := w.drain(), w.outcomes(t); taken != nil || len(counts) != 0 {
		t.Errorf("stored %+v, counted %v", taken, counts)
	}
}

// What a sender writes comes back as JSON text and nothing else.
func TestRefusalEscapesWhatWasSent(t *testing.T) {
	w := newShop(t)
	got := w.get(t, "acme.test", "/_/postback?%3Cscript%3E%22%0d%0a=1&%3Cscript%3E%22%0d%0a=2")
	if strings.ContainsAny(strings.TrimSpace(got.body), "<>\r\n") || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s", got.body)
	}
	if field, _ := refusalIn(t, got.body); field != "<script>\"\r\n" {
		t.Errorf("field %q", field)
	}
}

// FuzzPostback reads what anybody may send. Nobody without the key gets past the signature; what is behind it is either
// refused or fit for the database.
func FuzzPostback(f *testing.F) {
	id := shopClick(1, time.Hour)
	f.Add("", sale().signed("new secret").query(), form, "")
	f.Add(sale("event", "refund", "ref_txid", "1", "txid", "2").query(), "", "", "")
	f.Add("click_id="+id+"&amount=+1&amount=%zz;", "a&b=&=c", form, "")
	f.Add("", `{"click_id":"`+id+`","txid":7,"amount":1.50,"currency":"EUR","coupon":null,"x":[[{}]]}`, "application/json",
		"t=1780000000,v1=00")
	f.Add("", `{"amount":1e3,"amount":-0,"\ud800":"\u0000"} {`, "application/json", "v1=,t=,=,,")
	f.Add("coupon=sara10&txid=%C3%A9&status=pending&event=LEAD&ts=1780000000", "", "", "")
	table := shopBuilder(f).Table()
	d := table.Domain([]byte("acme.test"))
	locked := *d
	locked.postback = []KeyRow{{Secret: []byte("a key that signs none of the seeds")}}
	f.Fuzz(func(t *testing.T, query, body, contentType, signature string) {
		var r fasthttp.Request
		r.Header.SetMethod("POST")
		r.Header.SetContentType(contentType)
		r.Header.Set("Carom-Signature", signature)
		r.SetBodyString(body)
		if m, why := readPostback(&r, []byte(query), &locked, shopNow); why == nil {
			t.Fatalf("without a key this was accepted: %q", m.fields)
		}

		parsed, why := parseForm(query + "&" + body)
		if why == nil {
			again, why := parseForm(parsed.signed("new secret").query())
			if why != nil || again.canonical() != parsed.canonical() || d.verifyParameters(again.without("ts"), shopNow) == nil {
				t.Fatalf("%q reads as %q, %+v", parsed, again, why)
			}
		}
		fromJSON, why2 := parseJSON([]byte(body))
		if why2 == nil && !json.Valid([]byte(body)) {
			t.Fatalf("taken as JSON: %q", body)
		}
		for _, fields := range []fields{parsed, fromJSON} {
			for _, signed := range []bool{true, false} {
				m := message{fields: fields, source: ingest.FromPostback, signed: signed, received: shopNow}
				if c, why := table.conversion(d, m); why == nil {
					checkStorable(t, &c)
				} else if why.outcome == conversionAccepted || why.text == "" {
					t.Fatalf("refused without a reason: %+v", why)
				}
			}
		}
	})
}

// checkStorable fails on a conversion that no sender may bring into the database.
func checkStorable(t *testing.T, c *ingest.Conversion) {
	t.Helper()
	for _, text := range []string{c.ClickID, c.Event, c.TxID, c.RefTxID, c.Customer, c.Coupon} {
		if len(text) > 2*maxField || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			t.Fatalf("text %q", text)
		}
	}
	if c.Brand != 1 || c.Campaign != 11 || c.Currency != "EUR" || c.Amount < 0 || c.Amount%100 != 0 || c.TxID == "" || c.Event == "" ||
		c.Status < ingest.Pending || c.Status > ingest.Rejected || c.Millis < c.ClickTime ||
		c.Received-c.Millis > signatureGrace.Milliseconds()+1000 {
		t.Fatalf("%+v", c)
	}
}
