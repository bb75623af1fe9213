package redirect

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// ErrAmount is wrapped by every refusal of ParseAmount.
var ErrAmount = errors.New("amount refused")

// maxAmountDigits bounds the digits before the point. The columns are Decimal(18, 4), which holds 14; no single payment needs
// them all, not even in rupiah.
const maxAmountDigits = 12

// currencies lists the ISO 4217 codes that circulate as money, by how many digits their minor unit has
// (SIX Interpay list one, funds, metals and test codes left out).
const (
	currencies0 = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF "
	currencies2 = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP " +
		"CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR " +
		"IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN " +
		"NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP " +
		"STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG "
	currencies3 = "BHD IQD JOD KWD LYD OMR TND "
)

// MinorUnits is the number of digits after the point that amounts in currency have; false when it is not an
// ISO 4217 code in upper case.
func MinorUnits(currency string) (digits int, ok bool) {
	if len(currency) != 3 || strings.Contains(currency, " ") {
		return 0, false
	}
	switch code := currency + " "; {
	case strings.Contains(currencies2, code):
		return 2, true
	case strings.Contains(currencies0, code):
		return 0, true
	case strings.Contains(currencies3, code):
		return 3, true
	}
	return 0, false
}

// ParseAmount reads an exact amount of money: digits, and after a point no more of them than the currency's minor unit
// has (further zeros do no harm). A sign, an exponent, "NaN", "Inf" and digit groups are refused.
func ParseAmount(text, currency string) (decimal.Decimal, error) {
	digits, ok := MinorUnits(currency)
	if !ok {
		return decimal.Decimal{}, fmt.Errorf("%w: %q is not an ISO 4217 currency", ErrAmount, currency)
	}
	whole, fraction, point := strings.Cut(text, ".")
	fraction = strings.TrimRight(fraction, "0")
	switch {
	case !decimalDigits(whole) || whole == "" || !decimalDigits(fraction) || point && strings.HasSuffix(text, "."):
		return decimal.Decimal{}, fmt.Errorf("%w: %q is not a plain decimal number such as 12.50", ErrAmount, text)
	case len(strings.TrimLeft(whole, "0")) > maxAmountDigits:
		return decimal.Decimal{}, fmt.Errorf("%w: %s has more than %d digits before the point", ErrAmount, text, maxAmountDigits)
	case len(fraction) > digits:
		return decimal.Decimal{}, fmt.Errorf("%w: %s has %d decimals, %s has %d", ErrAmount, text, len(fraction), currency, digits)
	}
	return decimal.NewFromString(whole + "." + fraction) // without zeros that nobody bounds
}

func decimalDigits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
