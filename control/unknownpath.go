package control

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"carom/control/refusal"
)

// errNoPath refuses a path below APIPrefix at which there is nothing.
var errNoPath = errors.New("there is nothing here: " + APIPrefix + "/openapi.json describes the API")

// refuseUnknown answers what no operation of the API takes in the API's way: mux would in plain text.
func refuseUnknown(refuser refusal.Writer, mux *http.ServeMux) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		ctx := humago.NewContext(&huma.Operation{}, r, w)
		methods := strings.Join(methodsAt(mux, r), ", ")
		if methods == "" {
			refuser.Refuse(ctx, http.StatusNotFound, errNoPath)
			return
		}
		ctx.SetHeader("Allow", methods)
		refuser.Refuse(ctx, http.StatusMethodNotAllowed, fmt.Errorf("this takes %s", methods))
	}
	mux.HandleFunc(APIPrefix, answer)
	mux.HandleFunc(APIPrefix+"/", answer)
}

// methodsAt lists the methods for which mux has an operation at the path of a request. The patterns of operations name theirs.
func methodsAt(mux *http.ServeMux, r *http.Request) (methods []string) {
	ask := r.WithContext(r.Context())
	for _, ask.Method = range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if _, pattern := mux.Handler(ask); strings.Contains(pattern, " ") {
			methods = append(methods, ask.Method)
		}
	}
	return methods
}
