package control_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carom/control"
)

func TestBulkAnswersRowByRow(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := w.caller(w.serve(), control.Editor, "acme")
	const link = `"domain":"go.acme.example","campaign":"boots","influencer":"lena"`
	const body = `[
		{"link":"l2",` + link + `,"coupon":"new"},
		{"link":"n1",` + link + `,"slug":"lena-3","destination":"https://shop.acme-goods.example/"},
		{"link":"n1",` + link + `},
		{"link":"n2",` + link + `,"slug":"lena-2"},
		{"link":"n3",` + link + `,"slugg":""},
		["n4"],
		{"link":"n5","domain":"go.other.example","campaign":"hats","influencer":"lena"},
		{"link":"l1",` + link + `},
		{"link":"n6",` + link + `,"destination":"https://xn--pypal-4ve.example/"}
	]`
	type row struct {
		Result           string
		Object           struct{ Link, Slug, Coupon string }
		Errors, Warnings []struct{ Location, Message string }
	}
	var got struct {
		Created, Updated, Unchanged, Rejected int
		Rows                                  []row
	}
	if err := json.Unmarshal([]byte(c.must(http.StatusOK, "POST", "/links/bulk", body).body), &got); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range got.Rows {
		text := r.Result + " " + r.Object.Link
		for _, e := range append(r.Errors, r.Warnings...) {
			text += e.Location + " " + e.Message[:min(len(e.Message), 30)]
		}
		told = append(told, text)
	}
	want := []string{
		"updated l2",
		"created n1",
		"rejected body[2].link repeats the key of body[1]",
		"rejected body[3].slug is taken on this host by link ",
		"rejected body[4].slugg is no field of links: did you ",
		"rejected body[5] must be a JSON object",
		"rejected body[6].domain is unknown: import it with dom",
		"unchanged l1",
		"created n6body[8].destination names a host that mixes script",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +told):\n%s", diff)
	}
	if sum := [4]int{got.Created, got.Updated, got.Unchanged, got.Rejected}; sum != [4]int{2, 1, 1, 5} {
		t.Errorf("created, updated, unchanged, rejected: %v", sum)
	}
	c.must(http.StatusOK, "GET", "/links/l2", "").has(t, `{"coupon":"NEW","slug":"lena-2"}`)
	c.must(http.StatusOK, "GET", "/links/n1", "").has(t, `{"short_url":"https://go.acme.example/lena-3"}`)
}

// A full request is answered in its order, and the same again changes nothing.
func TestBulkOfAllItTakes(t *testing.T) {
	w := newWorld(t)
	w.loadBasics()
	c := w.caller(w.serve(), control.Editor)
	list := make([]map[string]any, control.ChunkRows)
	for i := range list {
		list[i] = map[string]any{
			"link": fmt.Sprintf("l-%d", len(list)-i), "domain": "go.acme.example", "campaign": "boots", "influencer": "lena", "fee": "1.50",
		}
	}
	body := string(must(json.Marshal(list)))
	for _, result := range []string{"created", "unchanged"} {
		var got struct {
			Created, Unchanged int
			Rows               []struct {
				Result string
				Object struct {
					Link   string
					Number int
				}
			}
		}
		if err := json.Unmarshal([]byte(c.must(http.StatusOK, "POST", "/links/bulk", body).body), &got); err != nil {
			t.Fatal(err)
		}
		if counted := map[string]int{"created": got.Created, "unchanged": got.Unchanged}; counted[result] != len(list) || len(got.Rows) != len(list) {
			t.Fatalf("%v, %d rows, want %d %s", counted, len(got.Rows), len(list), result)
		}
		for i, row := range got.Rows {
			if row.Result != result || row.Object.Link != list[i]["link"] || row.Object.Number != i+1 {
				t.Fatalf("row %d: %+v, want %s %s", i, row, list[i]["link"], result)
			}
		}
	}
}
