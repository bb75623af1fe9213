package control

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"carom/control/refusal"
	"carom/control/sheet"
)

// maxNameQuote is how many bytes of an unknown name are quoted: a parameter's or a column's.
const maxNameQuote = 64

// wholeQuery answers 400 to a query that would be understood in part only: a filter that is dropped shows everything.
func wholeQuery(refuser refusal.Writer) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		if err := checkQuery(r.URL.RawQuery); err != nil {
			refuser.Refuse(ctx, http.StatusBadRequest, err)
			return
		}
		next(ctx)
	}
}

// checkQuery returns an error unless all of a raw query can be read and each parameter stands there once.
func checkQuery(raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return fmt.Errorf("read the query: %w; percent-encode the values", err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) > 1 {
			return fmt.Errorf("query parameter %q stands there %d times: give it once", sheet.Shorten(name, maxNameQuote), len(values[name]))
		}
	}
	return nil
}
