package redirect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"carom/ingest"
)

// A conversion arrives below "/_/" on any short domain of the brand; the Host header picks the brand.
//
//	/_/postback    from a shop's server, signed: GET with a query; POST with a form, a query or both; POST with a JSON object
//	/_/pixel.gif   from a browser, see pixel.go
//
// The way of one message: its fields are read here, its signature is checked (signature.go), it is attributed and checked
// field by field (conversion.go), and put into the ring. Nothing is remembered here: a repeat is accepted again, and
// ClickHouse counts it once. That makes it always safe to send a message again. A body is at most
// Config.BodyBytes long, as long as a query may be.

// convert answers every path below "/_/" on a known domain.
func (s *Server) convert(ctx *fasthttp.RequestCtx, t *Table, d *Domain, to target) {
	switch string(to.path) {
	case "/_/postback":
		s.postback(ctx, t, d, to.query)
	case "/_/pixel.gif":
		s.pixel(ctx, t, d, to.query)
	case "/_/carom.js":
		s.script(ctx, d)
	default:
		s.unknown(ctx, d)
	}
}

// postback answers a message from a shop's server.
func (s *Server) postback(ctx *fasthttp.RequestCtx, t *Table, d *Domain, query []byte) {
	m, why := readPostback(&ctx.Request, query, d, s.moment(ctx))
	c, why := s.accept(t, d, m, why)
	if why != nil {
		s.refuseConversion(ctx, why)
		return
	}
	s.json(ctx, fasthttp.StatusOK, struct {
		Status  string `json:"status"`
		ClickID string `json:"click_id,omitempty"`
		TxID    string `json:"txid"`
		Event   string `json:"event"`
	}{"accepted", c.ClickID, c.TxID, c.Event})
}

// accept attributes and stores a message, unless reading it has ended in a refusal already, and counts how it ended.
func (s *Server) accept(t *Table, d *Domain, m message, why *refusal) (c ingest.Conversion, _ *refusal) {
	if why == nil {
		c, why = t.conversion(d, m)
	}
	if why == nil && !s.sink.PutConversion(&c) {
		why = &refusal{outcome: conversionDropped, text: "there is no room at the moment: send the same message again"}
	}
	if why != nil {
		s.metrics.countConversion(why.outcome)
		return c, why
	}
	s.metrics.countConversion(conversionAccepted)
	return c, nil
}

// A message is a conversion as its sender has written it.
type message struct {
	fields   fields
	source   ingest.Source
	signed   bool // the signature was checked and is right; otherwise there was none
	received time.Time
}

// fields are the decoded parameters of a message by name.
type fields map[string]string

// first is the value of the first name that has one.
func (f fields) first(names ...string) string {
	for _, name := range names {
		if f[name] != "" {
			return f[name]
		}
	}
	return ""
}

// A refusal says why a conversion is not taken.
type refusal struct {
	outcome conversionOutcome
	field   string // the parameter concerned; empty where it is the whole message
	text    string // to the sender: what is wrong with it
}

func refuseField(field, text string, args ...any) *refusal {
	return &refusal{conversionBadField, field, fmt.Sprintf(text, args...)}
}

// mayBeNews reports whether a newer table might not refuse: it may know another key, link or coupon.
func (r *refusal) mayBeNews() bool {
	return r.outcome == conversionBadSignature || r.outcome == conversionBadClick || r.outcome == conversionBadCoupon
}

// refuseConversion tells the sender of a postback why. A node that has started from its snapshot and not heard from ClickHouse yet
// refuses nothing for good that it may only not have heard of: few senders try again after a 401.
func (s *Server) refuseConversion(ctx *fasthttp.RequestCtx, why *refusal) {
	status := fasthttp.StatusBadRequest
	switch {
	case why.outcome == conversionDropped, why.mayBeNews() && s.restored.Load():
		status = fasthttp.StatusServiceUnavailable
		ctx.Response.Header.Set("Retry-After", "1")
	case why.outcome == conversionBadSignature:
		status = fasthttp.StatusUnauthorized
		ctx.Response.Header.Set("WWW-Authenticate", "Carom-Signature")
	}
	s.json(ctx, status, struct {
		Field string `json:"field,omitempty"`
		Error string `json:"error"`
	}{why.field, why.text})
}

// json answers with an object. Marshalling escapes whatever a sender may have put into it.
func (s *Server) json(ctx *fasthttp.RequestCtx, status int, object any) {
	body, err := json.Marshal(object)
	if err != nil {
		panic(fmt.Sprintf("answer %T does not marshal: %v", object, err))
	}
	s.plain(ctx, status, "")
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBody(append(body, '\n'))
}

// readPostback reads a request and checks its signature.
func readPostback(r *fasthttp.Request, query []byte, d *Domain, now time.Time) (m message, why *refusal) {
	m = message{source: ingest.FromPostback, signed: true, received: now}
	var body []byte
	if r.Header.IsPost() {
		body = r.Body()
	}
	mediaType, _ := cutByte(r.Header.ContentType(), ';')
	mediaType = bytes.TrimSpace(mediaType)
	switch {
	case len(body) == 0, bytes.EqualFold(mediaType, []byte("application/x-www-form-urlencoded")):
		if m.fields, why = parseForm(string(query) + "&" + string(body)); why == nil {
			why = d.verifyParameters(m.fields, now)
		}
	case !bytes.EqualFold(mediaType, []byte("application/json")):
		why = refuseField("Content-Type", "is neither application/json nor application/x-www-form-urlencoded")
	case len(query) > 0:
		why = refuseField("", "a JSON message has no query: its signature would not cover it")
	default:
		var sent string
		if sent, why = d.verifyBody(string(r.Header.Peek("Carom-Signature")), body, now); why == nil {
			m.fields, why = parseJSON(body)
		}
		if why == nil && m.fields["ts"] == "" {
			m.fields["ts"] = sent
		}
	}
	return m, why
}

// parseForm reads name=value pairs joined by "&". A name that comes twice is refused: sender and receiver might each mean
// another one.
func parseForm(text string) (fields, *refusal) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, refuseField("", "the parameters are not percent-encoded name=value pairs joined by &")
	}
	f := make(fields, len(values))
	for name, list := range values {
		if len(list) > 1 {
			return nil, refuseField(name, "is given %d times", len(list))
		}
		f[name] = list[0]
	}
	return f, nil
}

// parseJSON reads one object of strings and numbers; a number keeps its digits as written, null is as good as left out.
// Values of names that Carom does not know may be anything.
func parseJSON(body []byte) (fields, *refusal) {
	malformed := refuseField("", "the body is not one JSON object in UTF-8")
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') || !utf8.Valid(body) {
		return nil, malformed
	}
	f := fields{}
	for d.More() {
		token, err := d.Token()
		name, isName := token.(string)
		var value json.RawMessage
		if err != nil || !isName || d.Decode(&value) != nil {
			return nil, malformed
		}
		if _, repeated := f[name]; repeated {
			return nil, refuseField(name, "is given twice")
		}
		text, ok := jsonText(value)
		if !ok && knownField(name) {
			return nil, refuseField(name, "must be a string or a number")
		}
		f[name] = text
	}
	if _, err := d.Token(); err != nil || d.InputOffset() != int64(len(bytes.TrimRight(body, " \t\r\n"))) {
		return nil, malformed
	}
	return f, nil
}

// jsonText is the text of a string, the digits of a number, or empty for null; false for any other value.
func jsonText(value json.RawMessage) (text string, ok bool) {
	switch c := value[0]; {
	case c == '"':
		return text, json.Unmarshal(value, &text) == nil
	case c == '-' || c >= '0' && c <= '9':
		return string(value), true
	default:
		return "", string(value) == "null"
	}
}
