package control_test

import (
	"testing"
	"time"

	"carom/control"
	"carom/redirect"
)

// What a retirement takes away is said before it, by a rehearsal that changes nothing, and by its answer; later nothing more is lost.
func TestRetirementSaysWhatIsLost(t *testing.T) {
	w := newWorld(t)
	w.twoBrands() // each with two links under its key 0
	c := connect(t, w.serve(), w.token(control.Admin))
	links := func(number int) control.Retirement { return control.Retirement{Links: number} }
	until := func(moment time.Time) control.Retirement { return control.Retirement{LastActive: &moment} }
	check := func(brand string, kind redirect.KeyKind, id string, want control.Retirement) {
		t.Helper()
		for _, step := range []struct {
			why    string
			retire func() (control.Retirement, error)
			state  control.KeyState
			want   control.Retirement
		}{
			{"rehearsal", func() (control.Retirement, error) { return c.RehearseRetirement(t.Context(), brand, kind, id) }, control.KeyVerify, want},
			{"retirement", func() (control.Retirement, error) { return c.RetireKey(t.Context(), brand, kind, id) }, control.KeyRetired, want},
			{"again", func() (control.Retirement, error) { return c.RetireKey(t.Context(), brand, kind, id) }, control.KeyRetired, links(0)},
		} {
			got, err := step.retire()
			if err != nil || got.State != step.state || got.Links != step.want.Links || (got.LastActive != nil) != (step.want.LastActive != nil) ||
				got.LastActive != nil && !got.LastActive.Equal(*step.want.LastActive) {
				t.Errorf("%s of %s %s of %q: %+v, %v; want %s and %+v", step.why, kind, id, brand, got, err, step.state, step.want)
			}
		}
	}
	rotate := func(brand string, kind redirect.KeyKind) {
		t.Helper()
		w.now = w.now.Add(time.Hour)
		if _, err := c.RotateKey(t.Context(), brand, kind); err != nil {
			t.Fatal(err)
		}
	}
	prepare := func(brand string, kind redirect.KeyKind) {
		t.Helper()
		if _, err := c.NewKey(t.Context(), brand, kind); err != nil {
			t.Fatal(err)
		}
	}

	rotate("acme", redirect.KeyCode)
	rotate("other", redirect.KeyCode)
	w.load("links", aLink, "l9,go.acme.example,boots,lena") // under key 1
	w.caller(w.serve(), control.Admin).must(204, "DELETE", "/links/l2", "")
	check("acme", redirect.KeyCode, "0", links(1))
	check("other", redirect.KeyCode, "0", links(2))
	prepare("acme", redirect.KeyCode) // the free slot 0 of l1 has codes again
	check("acme", redirect.KeyCode, "0", links(1))
	prepare("acme", redirect.KeyPostback)
	rotate("acme", redirect.KeyPostback)
	check("acme", redirect.KeyPostback, "1", links(0))

	rotate("", redirect.KeyClickID)
	check("", redirect.KeyClickID, "1", until(w.now))
	prepare("", redirect.KeyClickID)
	check("", redirect.KeyClickID, "3", links(0))
}
