package redirect

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A message is signed with HMAC-SHA256, in hexadecimal. The key is the printed text of any of the brand's postback keys that is
// not retired; what is signed comes in two forms:
//
//	parameters   sig=HEX over all other parameters, sorted by name, as name=value joined by "&", names and values
//	             percent-encoded (RFC 3986: all but letters, digits and "-._~"; space is %20, hexadecimal digits upper case).
//	             A parameter without "=" counts as one with an empty value. ts is required.
//	JSON body    header Carom-Signature: t=TS,v1=HEX over TS, ".", and the body byte for byte
//
// TS and ts are the Unix seconds at which the message is sent. They bound how long a message that somebody has seen can be
// sent again; a sender that tries again later signs anew, with a new time.

// signatureGrace is how far the time in a message may be from ours, either way.
const signatureGrace = 5 * time.Minute

// canonical is the text that sig signs.
func (f fields) canonical() string {
	values := make(url.Values, len(f))
	for name, value := range f {
		if name != "sig" {
			values.Set(name, value)
		}
	}
	return strings.ReplaceAll(values.Encode(), "+", "%20") // a "+" that was meant is %2B already
}

// verifyParameters checks sig and ts of a message in parameters.
func (d *Domain) verifyParameters(f fields, now time.Time) *refusal {
	if f["sig"] == "" {
		return &refusal{conversionBadSignature, "sig", "is missing"}
	}
	if !d.signed(f["sig"], f.canonical()) {
		return &refusal{conversionBadSignature, "sig", "is not the HMAC-SHA256 of the other parameters under a key of this brand"}
	}
	if _, fresh := freshTime(f["ts"], now); !fresh {
		return &refusal{conversionBadSignature, "ts", "is not the time of sending in Unix seconds, within 5 minutes of now"}
	}
	return nil
}

// verifyBody checks the signature header of a message in JSON and returns its t, the time of sending.
func (d *Domain) verifyBody(header string, body []byte, now time.Time) (sent string, why *refusal) {
	var mac string
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "t":
			sent = value
		case "v1":
			mac = value
		}
	}
	const field = "Carom-Signature"
	if mac == "" {
		return "", &refusal{conversionBadSignature, field, "is missing: t=TS,v1=HEX"}
	}
	if !d.signed(mac, sent+"."+string(body)) {
		return "", &refusal{conversionBadSignature, field, "is not the HMAC-SHA256 of TS.body under a key of this brand"}
	}
	if _, fresh := freshTime(sent, now); !fresh {
		return "", &refusal{conversionBadSignature, field, "its t is not the time of sending in Unix seconds, within 5 minutes of now"}
	}
	return sent, nil
}

// signed reports whether mac is that of text under one of the brand's keys, in time that depends on neither.
func (d *Domain) signed(mac, text string) bool {
	got, err := hex.DecodeString(mac)
	found := 0
	for _, key := range d.postback {
		m := hmac.New(sha256.New, key.Secret)
		m.Write([]byte(text))
		found |= subtle.ConstantTimeCompare(m.Sum(nil), got)
	}
	return err == nil && found == 1
}

// freshTime reads Unix seconds; false where they are no number or further than signatureGrace from now.
func freshTime(text string, now time.Time) (time.Time, bool) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	grace := int64(signatureGrace / time.Second)
	if err != nil || seconds < now.Unix()-grace || seconds > now.Unix()+grace {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}
