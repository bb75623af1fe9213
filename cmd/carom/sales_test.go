package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// How a shop sends a conversion.
type way int

const (
	byGet way = iota
	byForm
	byJSON
	bySignedPixel
	byPixel
	byForgery // a postback under another key
)

// A notice is a message that a shop or a browser sends about a conversion.
type notice struct {
	what    string
	way     way
	click   string // name of the tap that has earned it; none where a coupon has
	fields  string // as in a query
	host    string // brand whose domain it is sent to, where that is not the click's
	later   time.Duration
	refused string // outcome label of carom_conversions_total; empty where it is accepted
	status  int    // of the answer, where it is refused
}

// theNotices are sent one after the other.
var theNotices = []notice{
	{what: "sale", click: "anna", fields: "txid=1001&amount=57.01&currency=EUR&customer_id=c1"},
	{what: "sale again", click: "anna", fields: "txid=1001&amount=57.01&currency=EUR&customer_id=c1"},
	{what: "sale again, other amount", way: byForm, click: "anna", fields: "txid=1001&amount=59.90&currency=EUR"},
	{what: "sale again, other creator's click", click: "tom-anna", fields: "txid=1001&amount=57.01&currency=EUR"},
	{what: "refund of a part", way: byForm, click: "anna", fields: "event=refund&txid=r1&ref_txid=1001&amount=7.10&currency=EUR"},
	{what: "that refund again", click: "anna", fields: "event=refund&txid=r1&ref_txid=1001&amount=7.10&currency=EUR"},
	{what: "refund of another part", way: byJSON, click: "anna", fields: "event=refund&txid=r2&ref_txid=1001&amount=2&currency=EUR"},
	{what: "refund of more than is left, by another creator's click", click: "tom-eva", fields: "event=refund&txid=r3&ref_txid=1001&amount=60&currency=EUR"},
	{what: "refund of a sale that nobody told of", click: "anna", fields: "event=refund&txid=r4&ref_txid=1999&amount=5&currency=EUR"},

	{what: "pending sale", way: byJSON, click: "tom-anna", fields: "txid=1002&amount=120.00&currency=EUR&status=pending&customer_id=c4"},
	{what: "it is approved", way: byJSON, click: "tom-anna", fields: "txid=1002&amount=120.00&currency=EUR&status=approved"},
	{what: "another pending sale", click: "tom-eva", fields: "txid=1003&amount=30&currency=EUR&status=pending"},
	{what: "it is rejected", click: "tom-eva", fields: "txid=1003&amount=30&currency=EUR&status=rejected"},
	{what: "a sale that stays pending", click: "tom-eva", fields: "txid=1007&amount=11.11&currency=EUR&status=pending"},

	{what: "a known customer", click: "cleo", fields: "txid=1004&amount=10.00&currency=EUR&customer_id=c1"},
	{what: "sale by coupon, no click", fields: "coupon=lena10&order_id=1005&amount=20.00&currency=EUR&customer_id=c2", host: "acme"},
	{what: "install without txid and amount", click: "app", fields: "event=install"},
	{what: "install again", click: "app", fields: "event=install"},
	{what: "lead without amount", click: "app", fields: "event=lead&txid=l1"},

	{what: "unsigned pixel", way: byPixel, click: "dai", fields: "txid=p1&amount=15.00&currency=EUR"},
	{what: "unsigned pixel of a known sale", way: byPixel, click: "dai", fields: "txid=1001&amount=999.00&currency=EUR"},
	{what: "signed pixel", way: bySignedPixel, click: "dai", fields: "txid=1006&amount=5.00&currency=EUR"},

	{what: "other brand", click: "winter", fields: "txid=2001&amount=80.00&currency=USD&customer_id=c1"},
	{what: "its clock is ahead", click: "winter-cleo", fields: "txid=2002&amount=40.00&currency=USD", later: 3 * time.Minute},

	{what: "unsigned pixel where not allowed", way: byPixel, click: "winter", fields: "txid=p2&amount=1&currency=USD", refused: "bad_signature", status: 200},
	{what: "bad signature", way: byForgery, click: "anna", fields: "txid=x1&amount=1&currency=EUR", refused: "bad_signature", status: 401},
	{what: "stale", click: "anna", fields: "txid=x2&amount=1&currency=EUR", later: -6 * time.Minute, refused: "bad_signature", status: 401},
	{what: "another brand's click", click: "anna", fields: "txid=x3&amount=1&currency=USD", host: "nordic", refused: "foreign", status: 400},
	{what: "click id of nobody", fields: "click_id=AAAAAAAAAAAAAAAAAAAAAA&txid=x4&amount=1&currency=EUR", host: "acme", refused: "bad_click_id", status: 400},
	{what: "coupon of nobody", fields: "coupon=NOPE&txid=x5&amount=1&currency=EUR", host: "acme", refused: "bad_coupon", status: 400},
	{what: "other currency", click: "anna", fields: "txid=x6&amount=1&currency=USD", refused: "bad_field", status: 400},
	{what: "negative", way: byJSON, click: "anna", fields: "txid=x7&amount=-1&currency=EUR", refused: "bad_field", status: 400},
	{what: "sale without amount", click: "anna", fields: "txid=x8", refused: "bad_field", status: 400},
	{what: "unsigned refund", way: byPixel, click: "dai", fields: "event=refund&txid=x9&ref_txid=1001&amount=1&currency=EUR", refused: "bad_field", status: 200},
}

// theStatement is what the shops report in a file, days and click ids to be filled in.
const theStatement = `coupon,click_id,event,txid,ref_txid,amount,currency,ts,customer_id,status
LENA10,,,f1,,33.30,EUR,{D-1}T12:00:00Z,c3,
LENA10,,,f2,,12.00,EUR,{D-2}T08:30:00Z,c1,
MEI5,,sale,f3,,9.99,USD,{D-2}T00:00:00Z,,pending
,{winter},,f4,,11.00,USD,,,approved
LENA10,,refund,f5,f1,3.30,EUR,{D-1}T13:00:00Z,,
`

// couponLinks are the links that the coupons belong to.
var couponLinks = map[string]string{"LENA10": "acme/boots-lena", "MEI5": "nordic/winter-mei"}

// A message is a notice or a line of the statement that was accepted.
type message struct {
	worldLink
	click                    *click // nil where a coupon has earned it
	event, txid, customer    string
	refunded                 string // txid of the sale
	status                   string
	signed                   bool
	amount                   decimal.Decimal
	happened, happenedLatest time.Time // it happened between these two
}

func newMessage(fields url.Values, clicks map[string]*click, clickName string, from, to time.Time) *message {
	m := &message{
		event: fields.Get("event"), txid: fields.Get("txid") + fields.Get("order_id"), customer: fields.Get("customer_id"),
		refunded: fields.Get("ref_txid"), status: fields.Get("status"), signed: true, happened: from, happenedLatest: to,
	}
	if m.click = clicks[clickName]; m.click != nil {
		m.worldLink = m.click.worldLink
	} else {
		m.worldLink = theLinks[couponLinks[strings.ToUpper(fields.Get("coupon"))]]
	}
	if m.event == "" {
		m.event = "sale"
	}
	if m.status == "" {
		m.status = "approved"
	}
	if m.txid == "" {
		m.txid = m.click.id
	}
	if amount := fields.Get("amount"); amount != "" {
		m.amount = decimal.RequireFromString(amount)
	}
	return m
}

// send delivers the notice and checks the answer; nil means that it was refused, as it had to be.
func (n notice) send(t *testing.T, client *http.Client, secrets map[string]string, clicks map[string]*click) *message {
	t.Helper()
	fields, err := url.ParseQuery(n.fields)
	if err != nil {
		t.Fatal(err)
	}
	brand := n.host
	if earned := clicks[n.click]; earned != nil {
		fields.Set("click_id", earned.id)
		if brand == "" {
			brand = earned.brand
		}
	}
	sent := time.Now()
	told := sent.Add(n.later)
	if n.way != byPixel {
		fields.Set("ts", strconv.FormatInt(told.Unix(), 10))
	}
	secret := secrets[brand]
	if n.way == byForgery {
		secret = secrets["nordic"]
	}
	base := "http://go." + brand + ".localhost/_/"
	var got answer
	switch n.way {
	case byJSON:
		fields.Del("ts") // the signature has it
		body := toJSON(fields)
		ts := strconv.FormatInt(told.Unix(), 10)
		got = ask(t, client, http.MethodPost, base+"postback", body, "Content-Type", "application/json",
			"Carom-Signature", "t="+ts+",v1="+sign(secret, ts+"."+body))
	case byForm:
		got = ask(t, client, http.MethodPost, base+"postback", signed(secret, fields), "Content-Type", "application/x-www-form-urlencoded")
	case byPixel:
		got = ask(t, client, http.MethodGet, base+"pixel.gif?"+fields.Encode(), "")
	case bySignedPixel:
		got = ask(t, client, http.MethodGet, base+"pixel.gif?"+signed(secret, fields), "")
	default:
		got = ask(t, client, http.MethodGet, base+"postback?"+signed(secret, fields), "")
	}
	want := http.StatusOK
	if n.refused != "" {
		want = n.status
	}
	if got.status != want {
		t.Errorf("%s: %d %s, want %d", n.what, got.status, got.body, want)
	}
	if n.refused != "" {
		return nil
	}
	m := newMessage(fields, clicks, n.click, sent, time.Now())
	m.signed = n.way != byPixel
	if n.way != byPixel && n.way != byJSON { // the sender names the second, and nothing converts before its click
		m.happened = told.Truncate(time.Second)
		m.happenedLatest = m.happened
		if m.click != nil && m.click.sent.After(m.happened) {
			m.happened = m.click.sent
		}
		if m.click != nil && m.click.known.After(m.happenedLatest) {
			m.happenedLatest = m.click.known
		}
	}
	return m
}

// canonical is what a signature of parameters covers.
func canonical(fields url.Values) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		pairs = append(pairs, url.PathEscape(name)+"="+strings.ReplaceAll(url.QueryEscape(fields.Get(name)), "+", "%20"))
	}
	return strings.Join(pairs, "&")
}

func signed(secret string, fields url.Values) string {
	return fields.Encode() + "&sig=" + sign(secret, canonical(fields))
}

func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// toJSON writes amounts as numbers and all else as text.
func toJSON(fields url.Values) string {
	var members []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields.Get(name)
		if name != "amount" {
			value = strconv.Quote(value)
		}
		members = append(members, strconv.Quote(name)+": "+value)
	}
	return "{" + strings.Join(members, ", ") + "}"
}
