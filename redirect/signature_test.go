package redirect

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The vectors were made by OpenSSL, the texts by Python's urllib.parse.quote(…, safe="-._~"):
//
//	printf %s TEXT | openssl dgst -sha256 -hmac carom_pb_3vQ8mXw2LrT6yZ1k
const goldenPostbackKey = "carom_pb_3vQ8mXw2LrT6yZ1k"

var goldenPostbackTime = time.Unix(1780000000, 0)

func goldenDomain() *Domain {
	return &Domain{postback: []KeyRow{{Secret: []byte("another key")}, {Secret: []byte(goldenPostbackKey)}}}
}

func TestSignatureOfParameters(t *testing.T) {
	for _, c := range []struct{ query, canonical, sig string }{{
		query:     "click_id=AAAAAAAAAAAAAAAAAAAAAA&amount=49.90&currency=EUR&txid=1001&ts=1780000000",
		canonical: "amount=49.90&click_id=AAAAAAAAAAAAAAAAAAAAAA&currency=EUR&ts=1780000000&txid=1001",
		sig:       "020e3fbedf173ed1f1c5cde1a0572dd8ef5fc0e39afcafd51328b400808ee59e",
	}, {
		query:     "amount=0&txid=A/7+%2B%26%3D*~-._%25é&coupon&ts=1780000000&Zeta=(z)&a%20b='!'",
		canonical: "Zeta=%28z%29&a%20b=%27%21%27&amount=0&coupon=&ts=1780000000&txid=A%2F7%20%2B%26%3D%2A~-._%25%C3%A9",
		sig:       "d973a15e47129d7ea8cc089c184702dbe2397da9e36d066bba6047065adde86a",
	}} {
		f, why := parseForm(c.query + "&sig=" + c.sig)
		if why != nil {
			t.Fatalf("%s: %+v", c.query, why)
		}
		if got := f.canonical(); got != c.canonical {
			t.Errorf("signed text\n got %s\nwant %s", got, c.canonical)
		}
		if why := goldenDomain().verifyParameters(f, goldenPostbackTime); why != nil {
			t.Errorf("%s: %+v", c.query, why)
		}
		f["sig"] = strings.ToUpper(c.sig)
		if why := goldenDomain().verifyParameters(f, goldenPostbackTime); why != nil {
			t.Errorf("upper-case hexadecimal: %+v", why)
		}
	}
}

func TestSignatureOfBody(t *testing.T) {
	const body = `{"click_id": "AAAAAAAAAAAAAAAAAAAAAA", "amount": 49.90, "currency": "EUR", "ts": 1780000000}`
	const mac = "8d05928426d5844edb3405fa306fcfc7176664215937b978a7b61eeece0a4975"
	for _, c := range []struct {
		name, header, body string
		now                time.Time
		ok                 bool
	}{
		{"as it should be", "t=1780000000,v1=" + mac, body, goldenPostbackTime, true},
		{"blanks, another order and a future scheme", "v2=x , v1=" + mac + ", t=1780000000", body, goldenPostbackTime, true},
		{"five minutes later", "t=1780000000,v1=" + mac, body, goldenPostbackTime.Add(5 * time.Minute), true},
		{"later still", "t=1780000000,v1=" + mac, body, goldenPostbackTime.Add(5*time.Minute + time.Second), false},
		{"five minutes too early", "t=1780000000,v1=" + mac, body, goldenPostbackTime.Add(-5*time.Minute - time.Second), false},
		{"another time than the signed one", "t=1780000001,v1=" + mac, body, goldenPostbackTime, false},
		{"a blank more in the body", "t=1780000000,v1=" + mac, body + " ", goldenPostbackTime, false},
		{"half of the signature", "t=1780000000,v1=" + mac[:32], body, goldenPostbackTime, false},
		{"no hexadecimal", "t=1780000000,v1=" + strings.Repeat("z", 64), body, goldenPostbackTime, false},
		{"no signature", "t=1780000000", body, goldenPostbackTime, false},
		{"no time", "v1=" + mac, body, goldenPostbackTime, false},
		{"no header", "", body, goldenPostbackTime, false},
	} {
		_, why := goldenDomain().verifyBody(c.header, []byte(c.body), c.now)
		if (why == nil) != c.ok || why != nil && why.outcome != conversionBadSignature {
			t.Errorf("%s: %+v", c.name, why)
		}
	}
}

// A brand without keys accepts nothing, not even what is signed with an empty key.
func TestSignatureWithoutKeys(t *testing.T) {
	if why := new(Domain).verifyParameters(sale().signed(""), shopNow); why == nil {
		t.Error("a brand without postback keys takes postbacks")
	}
}

func TestFreshTime(t *testing.T) {
	now := time.Unix(1780000000, 999e6)
	for text, fresh := range map[string]bool{
		"1780000000": true, "1779999700": true, "1780000300": true,
		"1779999699": false, "1780000301": false, "1780000000000": false, "0": false, "": false, "-1": false,
		"now": false, "1780000000.5": false, "9223372036854775807": false, "-9223372036854775808": false,
		"99999999999999999999": false,
	} {
		if _, got := freshTime(text, now); got != fresh {
			t.Errorf("freshTime(%q) = %v", text, got)
		}
	}
}

// Whatever is changed in a signed message, its signature is not that of the new one.
func TestAlteredParametersBreakTheSignature(t *testing.T) {
	d := goldenDomain()
	text := rapid.StringN(0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		f := fields(rapid.MapOfN(text.Filter(func(s string) bool { return s != "sig" && s != "ts" }), text, 1, 6).Draw(t, "fields"))
		f["ts"] = "1780000000"
		f = f.signed(goldenPostbackKey)
		if why := d.verifyParameters(f, goldenPostbackTime); why != nil {
			t.Fatalf("signed message refused: %+v", why)
		}
		if again, why := parseForm(f.query()); why != nil || !maps.Equal(again, f) {
			t.Fatalf("message %q reads as %q, %+v", f, again, why)
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(f))).Draw(t, "name")
		altered := maps.Clone(f)
		switch value := text.Draw(t, "text"); rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			altered[name] = value
		case 1:
			delete(altered, name)
		case 2:
			altered[value] = "more"
		case 3:
			delete(altered, name)
			altered[value] = f[name]
		}
		if maps.Equal(altered, f) {
			return
		}
		if why := d.verifyParameters(altered, goldenPostbackTime); why == nil || why.outcome != conversionBadSignature {
			t.Fatalf("%q has become %q: %+v", f, altered, why)
		}
	})
}
