package once

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/humatest"
	"github.com/google/go-cmp/cmp"
)

// TestHeadersAreKept: set ones replace those before, appended ones join them, and what is kept is what was sent.
func TestHeadersAreKept(t *testing.T) {
	sent := httptest.NewRecorder()
	ctx := humatest.NewContext(&huma.Operation{}, httptest.NewRequest(http.MethodPost, "/", nil), sent)
	answer := &recorder{wrapped: ctx, status: http.StatusCreated}
	answer.AppendHeader("Vary", "Accept")
	answer.AppendHeader("vary", "Origin")
	answer.SetHeader("ETag", "1")
	answer.SetHeader("etag", "2")
	answer.AppendHeader("Link", "</a>; rel=next")
	var kept Answer
	answer.fill(&kept)
	want := map[string]string{"Vary": "Accept, Origin", "Etag": "2", "Link": "</a>; rel=next"}
	if diff := cmp.Diff(want, kept.Headers); diff != "" {
		t.Errorf("(-want +kept):\n%s", diff)
	}
	if err := answer.send(); err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if got := sent.Header().Values(name); !cmp.Equal(got, []string{value}) {
			t.Errorf("%s: %q was sent, want %q", name, got, value)
		}
	}
}
