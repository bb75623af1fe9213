package redirect

import (
	"errors"
	"testing"

	"github.com/shopspring/decimal"
)

func TestParseAmount(t *testing.T) {
	for _, c := range []struct{ text, currency, want string }{
		{"12.50", "EUR", "12.5"},
		{"0", "EUR", "0"},
		{"007", "EUR", "7"},
		{"1500.00", "JPY", "1500"},
		{"1.234", "KWD", "1.234"},
		{"999999999999.99", "USD", "999999999999.99"},
		{"0000999999999999", "USD", "999999999999"},
		{"", "EUR", ""},
		{".5", "EUR", ""},
		{"5.", "EUR", ""},
		{"-1", "EUR", ""},
		{"+1", "EUR", ""},
		{"1e3", "EUR", ""},
		{"NaN", "EUR", ""},
		{"Inf", "EUR", ""},
		{"1,50", "EUR", ""},
		{"1 000", "EUR", ""},
		{"٣", "EUR", ""},
		{"1.2.3", "EUR", ""},
		{"10.005", "EUR", ""},
		{"1500.5", "JPY", ""},
		{"1000000000000", "USD", ""},
		{"1", "", ""},
		{"1", "eur", ""},
		{"1", "XXX", ""},
		{"1", "UR ", ""},
	} {
		got, err := ParseAmount(c.text, c.currency)
		switch {
		case c.want == "" && !errors.Is(err, ErrAmount):
			t.Errorf("ParseAmount(%q, %q) = %v, %v, want ErrAmount", c.text, c.currency, got, err)
		case c.want != "" && (err != nil || !got.Equal(decimal.RequireFromString(c.want))):
			t.Errorf("ParseAmount(%q, %q) = %v, %v, want %s", c.text, c.currency, got, err, c.want)
		}
	}
}

func TestNextVisitorKeyMovesOneWay(t *testing.T) {
	first := make([]byte, VisitorKeyLen)
	second, third := NextVisitorKey(first), NextVisitorKey(NextVisitorKey(first))
	if len(second) != VisitorKeyLen || string(second) == string(first) || string(third) == string(second) {
		t.Fatalf("keys of three days: %x %x %x", first, second, third)
	}
	if string(NextVisitorKey(first)) != string(second) {
		t.Fatal("two nodes derive different keys from the same one")
	}
}
