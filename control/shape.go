package control

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"carom/control/sheet"
)

// A shape is what the cells of a column are in JSON.
type shape int

const (
	aText     shape = iota // a string
	aMoment                // a string; null is no time
	anAmount               // an exact decimal number, written as string; a number is read, too
	aNumber                // a whole number
	aFlag                  // true or false
	aList                  // a list of words
	anObject               // a JSON document
	aDocument              // a JSON document that is a list
)

// describe is how the API's description tells of a shape.
func (s shape) describe() *huma.Schema {
	text := func(format string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Format: format} }
	switch s {
	case aText:
		return text("")
	case aMoment:
		return text("date-time")
	case anAmount:
		return &huma.Schema{OneOf: []*huma.Schema{text("decimal"), {Type: huma.TypeNumber}}}
	case aNumber:
		return &huma.Schema{Type: huma.TypeInteger}
	case aFlag:
		return &huma.Schema{Type: huma.TypeBoolean}
	case aList:
		return &huma.Schema{Type: huma.TypeArray, Items: text("")}
	case anObject:
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	case aDocument:
		return &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}
	}
	panic("a shape without description")
}

// cell is a JSON value as a cell of an import file; null is an empty one.
func (s shape) cell(value json.RawMessage) (string, error) {
	text := string(value)
	switch begins := text[0]; {
	case !utf8.Valid(value):
		return "", fmt.Errorf("is not valid UTF-8") // which a decoder would hide
	case text == "null" || text == `""`:
		return "", nil
	case begins == '"' && (s == aText || s == aMoment || s == anAmount):
		var unquoted string
		err := json.Unmarshal(value, &unquoted)
		return unquoted, err
	case strings.IndexByte("-0123456789", begins) >= 0 && (s == aNumber || s == anAmount),
		(begins == 't' || begins == 'f') && s == aFlag,
		begins == '{' && s == anObject,
		begins == '[' && s == aDocument:
		return text, nil
	case begins == '[' && s == aList:
		return wordsCell(value)
	}
	return "", fmt.Errorf("must be %s", s)
}

// wordsCell writes a list of words with blanks between them.
func wordsCell(value json.RawMessage) (string, error) {
	var list []string
	if err := json.Unmarshal(value, &list); err != nil {
		return "", fmt.Errorf("must be %s", aList)
	}
	for _, word := range list {
		if word == "" || len(strings.Fields(word)) != 1 {
			return "", fmt.Errorf("must be %s, without blanks; %q is none", aList, sheet.Shorten(word, maxNameQuote))
		}
	}
	return strings.Join(list, " "), nil
}

// String says what a value must be.
func (s shape) String() string {
	return [...]string{
		"a string", "a string such as \"2026-01-31T15:04:05Z\"", "a decimal number such as \"12.50\"", "a whole number", "true or false",
		"a list of words", "a JSON object", "a JSON list",
	}[s]
}
