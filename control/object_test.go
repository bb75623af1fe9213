package control

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"carom/control/sheet"
)

func TestParseList(t *testing.T) {
	for body, want := range map[string]int{
		`[]`: 0, ` [ {} , 1 ] `: 2, `[[1,2,3],{"a":[4]}]`: 2, `[1,2,3]`: 3,
		`[1,2,3,4]`: -1, `[1,2,3,`: -1, `[1,]`: -1, `[1] 2`: -1, `{}`: -1, `null`: -1, ``: -1,
	} {
		list, err := parseList([]byte(body), 3)
		if want < 0 && !errors.Is(err, ErrJSON) || want >= 0 && (err != nil || len(list) != want) {
			t.Errorf("%s: %q, %v, want %d objects", body, list, err, want)
		}
	}
}

// A filler is any importer.
type filler interface {
	fill(line int, f fields, told []string) (sheet.Record, *cellError)
}

// FuzzObject: whatever a body holds, it is refused, or is a record whose cells are what its values say.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"link":"a","domain":"go.acme.example","fee":12.50,"enabled":false}`, `{"link":null,"slug":""}`,
		`{"link":"a","link":"b"}`, `{"fee":1e99,"expires":"2026-01-01"}`, `{"destination":"\ud800"}`, "{\"link\":\"\xff\"}", `{"state":"live"}`,
		`{"enabled":"true"}`, `{"":0}`, `{"linc":{}}`, `{"link":"a"} x`,
	} {
		f.Add("links", []byte(seed))
	}
	f.Add("domains", []byte(`{"apple_app_site_association":{"applinks":{}},"assetlinks":[{"relation":[]}]}`))
	f.Add("brands", []byte(`{"app_schemes":["a","b c",""],"hold_days":30}`))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		run, err := newRun(nil, kind, Scope{})
		if err != nil {
			return
		}
		object, err := parseFields(body)
		if err != nil {
			if !errors.Is(err, ErrJSON) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		rec, refused := run.(filler).fill(0, object, []string{"state"})
		if refused != nil {
			if refused.column == "" && object[""] == nil || refused.reason == "" {
				t.Fatalf("%q is refused without a field or reason: %+v", body, refused)
			}
			return
		}
		for name, value := range object {
			if !rec.Has(name) {
				t.Fatalf("%q: the field %q is dropped", body, name)
			}
			var text string
			if err := json.Unmarshal(value, &text); err == nil && rec.Cell(name) != text || !utf8.ValidString(rec.Cell(name)) {
				t.Fatalf("%q: the cell of %q is %q", body, name, rec.Cell(name))
			}
		}
	})
}
