package control_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carom/control"
	"carom/control/client"
	"carom/control/once"
	"carom/control/sheet"
	"carom/redirect"
)

// serve starts the API of w and returns its address.
func (w *world) serve() string {
	w.t.Helper()
	mux := http.NewServeMux()
	w.API(mux)
	server := httptest.NewServer(mux)
	w.t.Cleanup(server.Close)
	return server.URL
}

// token makes a token and returns it in clear.
func (w *world) token(role control.Role, brands ...string) string {
	w.t.Helper()
	_, secret, err := w.NewToken(w.t.Context(), control.LocalScope(), "test", role, brands)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// connect returns a client of the API at server.
func connect(t testing.TB, server, token string) *client.Client {
	t.Helper()
	c, err := client.New(server, token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An answer is what an HTTP request came to.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with a token and a JSON body; either may be empty. headers are names and values in turn.
func ask(t testing.TB, method, address, token, body string, headers ...string) answer {
	t.Helper()
	got, err := try(t, method, address, token, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// try is ask where there may be no answer.
func try(t testing.TB, method, address, token, body string, headers ...string) (answer, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// twoBrands imports two brands with the same campaign and link keys, and one creator.
func (w *world) twoBrands() {
	w.t.Helper()
	w.load("brands", "brand,name,currency", "acme,Acme,EUR", "other,Other,USD")
	w.load("domains", "host,brand,vanity", "go.acme.example,acme,open", "go.other.example,other,signed")
	w.load("influencers", "influencer,name", "lena,Lena")
	w.load("campaigns", "campaign,brand,name,destination",
		"boots,acme,Boots,https://acme-goods.example/", "boots,other,Boots,https://other-goods.example/", "hats,other,Hats,https://other-goods.example/")
	w.load("links", "link,domain,campaign,influencer,slug,expires",
		"l1,go.acme.example,boots,lena,,2030-01-01", "l2,go.acme.example,boots,lena,lena-2,",
		"l1,go.other.example,boots,lena,lena-1,", "o2,go.other.example,hats,lena,,")
}

func TestLinksAreShownWithTheirShortURLs(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := connect(t, w.serve(), w.token(control.Analyst))
	page, err := c.Links(t.Context(), control.LinkFilter{Brand: "acme"}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Links) != 2 || page.Next != "" {
		t.Fatalf("%+v", page)
	}
	first, second := page.Links[0], page.Links[1]
	code, ok := redirect.ParseCode([]byte(first.Code))
	if !ok || code.Link() != 1 || code.KeyID() != 0 {
		t.Errorf("code %q is of link %d and key %d", first.Code, code.Link(), code.KeyID())
	}
	if want := "https://go.acme.example/" + first.Code; first.ShortURL != want {
		t.Errorf("short URL %s, want %s", first.ShortURL, want)
	}
	if first.Expires == nil || first.Expires.Format("2006-01-02") != "2030-01-01" || second.Expires != nil {
		t.Errorf("expires %v and %v", first.Expires, second.Expires)
	}
	if second.ShortURL != "https://go.acme.example/lena-2" {
		t.Errorf("short URL %s of an open slug", second.ShortURL)
	}
	signed, err := c.Link(t.Context(), "other", "l1")
	if err != nil {
		t.Fatal(err)
	}
	path, _ := strings.CutPrefix(signed.ShortURL, "https://go.other.example/")
	if slug, signature, _ := strings.Cut(path, "~"); slug != "lena-1" || len(signature) != redirect.SlugSignatureLen {
		t.Errorf("short URL %s of a signed slug", signed.ShortURL)
	}
	page, err = c.Links(t.Context(), control.LinkFilter{Domain: "go.other.example", Campaign: "boots"}, "", 10)
	if err != nil || len(page.Links) != 1 || page.Links[0].Brand != "other" {
		t.Errorf("links of a domain and a campaign that two brands have: %+v, %v", page, err)
	}
}

func TestLinksArePaged(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := connect(t, w.serve(), w.token(control.Analyst))
	var seen []string
	cursor := ""
	for range 10 {
		page, err := c.Links(t.Context(), control.LinkFilter{Influencer: "lena"}, cursor, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Links {
			seen = append(seen, l.Brand+"/"+l.Link)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"acme/l1", "acme/l2", "other/l1", "other/o2"}, seen); diff != "" {
		t.Errorf("(-want +seen):\n%s", diff)
	}
}

func TestAPIRefusals(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	server := w.serve() + "/api/v1"
	admin, editor, analyst := w.token(control.Admin), w.token(control.Editor), w.token(control.Analyst)
	acmeAdmin, acmeEditor := w.token(control.Admin, "acme"), w.token(control.Editor, "acme")
	revoked, secret, err := w.NewToken(t.Context(), control.LocalScope(), "old", control.Admin, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RevokeToken(t.Context(), control.LocalScope(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why, method, path, token, body string
		status                         int
		says                           string
	}{
		{"no token", "GET", "/links", "", "", 401, "bearer token"},
		{"a wrong token", "GET", "/links", admin[:len(admin)-1] + "!", "", 401, "bearer token"},
		{"a revoked token", "GET", "/links", secret, "", 401, "bearer token"},
		{"analysts do not see keys", "GET", "/keys", analyst, "", 403, "needs the role editor"},
		{"editors do not make keys", "POST", "/keys", editor, `{"brand":"acme","kind":"postback"}`, 403, "needs the role admin"},
		{"analysts do not import", "POST", "/import/brands", analyst, "", 403, "needs the role editor"},
		{"analysts do not disable", "POST", "/disable", analyst, `{"link":"l2"}`, 403, "needs the role editor"},
		{"an unknown kind of file", "POST", "/import/clicks", admin, "x", 422, "path.kind"},
		{"a limit out of range", "GET", "/links?limit=0", admin, "", 422, "query.limit"},
		{"a cursor of nobody", "GET", "/links?cursor=%25", admin, "", 422, "query.cursor"},
		{"SQL for a filter", "GET", "/links?brand=acme%27%20OR%201=1", admin, "", 404, "not found"},
		{"a misspelt filter", "GET", "/links?brnad=acme", admin, "", 422, "query.brnad"},
		{"a filter that cannot be read", "GET", "/links?brand=acme%zz", admin, "", 400, "invalid URL escape"},
		{"a semicolon, which hides a filter", "GET", "/links?brand=acme;--", admin, "", 400, "semicolon"},
		{"a filter given twice", "GET", "/links?brand=acme&brand=other", admin, "", 400, `\"brand\" stands there 2 times`},
		{"an unknown link", "GET", "/links/nothing", admin, "", 404, `link \"nothing\": not found`},
		{"a key of two brands", "GET", "/links/l1", admin, "", 409, "name the brand"},
		{"another brand's link", "GET", "/links/o2", acmeAdmin, "", 404, "not found"},
		{"another brand's links", "GET", "/links?brand=other", acmeAdmin, "", 404, "not found"},
		{"another brand's export", "GET", "/links/export?brand=other", acmeAdmin, "", 404, "not found"},
		{"another brand's campaign", "GET", "/links?campaign=hats", acmeAdmin, "", 404, "not found"},
		{"another brand's keys", "GET", "/keys?brand=other", acmeAdmin, "", 404, "not found"},
		{"another brand's key", "POST", "/keys", acmeAdmin, `{"brand":"other","kind":"postback"}`, 404, "not found"},
		{"no brand at all", "POST", "/keys", acmeAdmin, `{"brand":"absent","kind":"postback"}`, 404, "not found"},
		{"another brand's link to stop", "POST", "/disable", acmeEditor, `{"link":"o2"}`, 404, "not found"},
		{"another brand's campaign to stop", "POST", "/disable", acmeEditor, `{"campaign":"hats"}`, 404, "not found"},
		{"a creator, whom others share", "POST", "/disable", acmeEditor, `{"influencer":"lena"}`, 403, "shared by all brands"},
		{"nothing to stop", "POST", "/disable", admin, `{}`, 422, "name one of link"},
		{"two things to stop", "POST", "/disable", admin, `{"link":"l2","campaign":"hats"}`, 422, "name one of link"},
		{"an unknown field", "POST", "/disable", admin, `{"lnk":"l2"}`, 422, "body.lnk"},
		{"a token for all by one brand's admin", "POST", "/tokens", acmeAdmin, `{"name":"x","role":"admin"}`, 403, "all brands"},
		{"a token for another brand", "POST", "/tokens", acmeAdmin, `{"name":"x","role":"admin","brands":["other"]}`, 404, "not found"},
		{"an unknown role", "POST", "/tokens", admin, `{"name":"x","role":"root"}`, 422, "body.role"},
		{"a name with a control character", "POST", "/tokens", admin, `{"name":"x\u001b","role":"admin"}`, 422, "body.name"},
		{"someone else's token", "DELETE", "/tokens/" + revoked.ID, acmeAdmin, "", 404, "not found"},
		{"the cluster's key by one brand's admin", "POST", "/keys/rotate", acmeAdmin, `{"kind":"click_id"}`, 403, "the cluster's"},
		{"a visitor key", "POST", "/keys/rotate", admin, `{"kind":"visitor"}`, 422, "body.kind"},
		{"a signing key of nobody", "POST", "/keys", admin, `{"kind":"code"}`, 422, "body.brand"},
		{"the cluster's key for a brand", "POST", "/keys", admin, `{"brand":"acme","kind":"click_id"}`, 422, "body.brand"},
		{"a new key with an id of one's own", "POST", "/keys", admin, `{"brand":"acme","kind":"code","key_id":"2"}`, 422, "body.key_id"},
		{"no key in particular", "POST", "/keys/retire", admin, `{"brand":"acme","kind":"code"}`, 422, "key_id"},
		{"a key that is not there takes over", "POST", "/keys/rotate", admin, `{"brand":"acme","kind":"code","key_id":"3"}`, 404, "not found"},
		{"the active signing key", "POST", "/keys/retire", admin, `{"brand":"acme","kind":"code","key_id":"0"}`, 409, "rotate first"},
		{"an unknown path", "GET", "/link", admin, "", 404, "openapi.json"},
		{"an unknown path without a token", "POST", "/brands/acme/links", "", "{}", 404, "openapi.json"},
		{"no path at all", "GET", "", admin, "", 404, "openapi.json"},
		{"a method of other paths", "PUT", "/links", admin, "{}", 405, "this takes GET, HEAD, POST"},
		{"a method of other objects", "PUT", "/brands/acme", admin, "{}", 405, "this takes GET, HEAD, PATCH, DELETE"},
		{"a key that is not there", "POST", "/keys/retire", admin, `{"brand":"acme","kind":"code","key_id":"3"}`, 404, "not found"},
	} {
		got := ask(t, c.method, server+c.path, c.token, c.body)
		if got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %d %s, want %d …%s…", c.why, got.status, got.body, c.status, c.says)
		}
		if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s: content type %s", c.why, kind)
		}
		if allow := got.header.Get("Allow"); (c.status == http.StatusMethodNotAllowed) != (allow != "") {
			t.Errorf("%s: %d with Allow %q", c.why, got.status, allow)
		}
		for _, token := range []string{admin, editor, analyst, acmeAdmin, secret} {
			if strings.Contains(got.body, token) {
				t.Errorf("%s: the answer shows a token", c.why)
			}
		}
	}
}

func TestScopedTokenSeesItsBrandOnly(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := connect(t, w.serve(), w.token(control.Admin, "acme"))
	page, err := c.Links(t.Context(), control.LinkFilter{}, "", 100)
	if err != nil || len(page.Links) != 2 {
		t.Errorf("%d links, %v; want the 2 of acme", len(page.Links), err)
	}
	var export bytes.Buffer
	if err := c.Export(t.Context(), control.LinkFilter{}, "csv", &export); err != nil || strings.Contains(export.String(), "other") {
		t.Errorf("export %q, %v", export.String(), err)
	}
	keys, err := c.Keys(t.Context(), "", "")
	if err != nil || len(keys) != 1 || keys[0].Brand != "acme" {
		t.Errorf("keys %+v, %v; want acme's one", keys, err)
	}
	tokens, err := c.Tokens(t.Context())
	if err != nil || len(tokens) != 1 {
		t.Errorf("tokens %+v, %v; want its own", tokens, err)
	}
	if link, err := c.Link(t.Context(), "", "l1"); err != nil || link.Brand != "acme" {
		t.Errorf("link %+v, %v; a key of two brands is not ambiguous to a token that sees one", link, err)
	}
}

func TestGuessingTokensIsSlowedDown(t *testing.T) {
	w := newWorld(t)
	server := w.serve() + "/api/v1"
	limited := 0
	for range 20 {
		if ask(t, "GET", server+"/links", "carom_00000000_guess", "").status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 10 {
		t.Errorf("%d of 20 guesses told to wait, want 10", limited)
	}
	got := ask(t, "GET", server+"/links", "carom_00000000_guess", "")
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "60" {
		t.Errorf("one more guess: %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if got := ask(t, "GET", server+"/links", w.token(control.Analyst), ""); got.status != http.StatusOK {
		t.Errorf("a right token from the same address: %d %s", got.status, got.body)
	}
}

func TestImportPartKeepsLineNumbersOfTheFile(t *testing.T) {
	w := newWorld(t)
	c := connect(t, w.serve(), w.token(control.Admin))
	got, err := c.Import(t.Context(), "brands", 501, []byte("brand,name,currency\nacme,Acme,EUR\n\n-,Bad,EUR\n\"bro\nken\",\"B\"x,EUR\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []int{503, 504}
	var lines []int
	for _, r := range got.Rejected {
		lines = append(lines, r.Line)
	}
	if got.Created != 1 || !cmp.Equal(want, lines) {
		t.Errorf("%+v, want rejects of lines %v", got, want)
	}
}

func TestImportFileRefusesTheHeaderBeforeSending(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	_, err := connect(t, server.URL, "token").ImportFile(t.Context(), "links", strings.NewReader("link,domain\n"), nil)
	if err == nil || !strings.Contains(err.Error(), `needs the column "campaign"`) || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
}

// TestClientTellsWhatAnAnswerSays, also where it is none of the API's, and what to do when there is none.
func TestClientTellsWhatAnAnswerSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "call it localhost"+strings.Repeat(".", 1000), http.StatusMisdirectedRequest)
	}))
	_, err := connect(t, server.URL, "token").Tokens(t.Context())
	if err == nil || !strings.Contains(err.Error(), "421 Misdirected Request: call it localhost") || len(err.Error()) > 500 {
		t.Errorf("an answer that is not the API's: %v", err)
	}
	server.Close()
	_, err = connect(t, server.URL, "token").Tokens(t.Context())
	if err == nil || !strings.Contains(err.Error(), "see that carom up or carom control runs") {
		t.Errorf("no answer: %v", err)
	}
}

func TestImportFileSendsPartsAndFindsRepeatsAcrossThem(t *testing.T) {
	w := newWorld(t)
	c := connect(t, w.serve(), w.token(control.Editor))
	var file strings.Builder
	file.WriteString("influencer,name\n")
	line := func(text string) { file.WriteString(text + "\n") }
	for i := range control.ChunkRows {
		line(fmt.Sprintf("creator-%d,Name", i))
	}
	line("fresh,\"Two\nlines\"") // a control character: rejected by the server, with the right line
	line("creator-0,Other")      // repeats the first line of the first part
	line("mended,")              // rejected: it holds no key
	for i := range control.ChunkRows {
		line(fmt.Sprintf("more-%d,Name", i))
	}
	line("mended,Mended")
	line("last,Last")
	var steps []client.Progress
	got, err := c.ImportFile(t.Context(), "influencers", strings.NewReader(file.String()), func(p client.Progress) error {
		steps = append(steps, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []sheet.Reject{
		{Line: control.ChunkRows + 2, Column: "name", Reason: "contains a control character", Value: "Two\nlines"},
		{Line: control.ChunkRows + 4, Column: "influencer", Reason: "repeats the key of line 2", Value: "creator-0"},
		{Line: control.ChunkRows + 5, Column: "name", Reason: "is required"},
	}
	if created := 2*control.ChunkRows + 2; got.Created != created {
		t.Errorf("created %d, want %d", got.Created, created)
	}
	if diff := cmp.Diff(want, got.Rejected); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var told []sheet.Reject
	for _, step := range steps {
		told = append(told, step.Rejected...)
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("progress tells other rejects (-want +got):\n%s", diff)
	}
	if last := steps[len(steps)-1]; len(steps) != 3 || last.Lines != 2*control.ChunkRows+5 || last.Bytes != int64(file.Len()) {
		t.Errorf("progress %+v of a file of %d bytes", steps, file.Len())
	}
}

// TestRejectsAreBounded: a file full of mistakes is told of line by line, and nobody holds all of it.
func TestRejectsAreBounded(t *testing.T) {
	w := newWorld(t)
	c := connect(t, w.serve(), w.token(control.Editor))
	const bad = 25_000
	file := "influencer,name\ngood,Good\n" + strings.Repeat("bad,\n", bad/2) + strings.Repeat("good,Good\n", bad/2)

	whole, err := c.Import(t.Context(), "influencers", 2, []byte(file))
	if err != nil || whole.Created != 1 || len(whole.Rejected) != control.ChunkRows || whole.Rejects() != bad || whole.Lines() != bad+1 {
		t.Errorf("in one request: %d listed, %d in all, %v", len(whole.Rejected), whole.Rejects(), err)
	}
	line := 2
	parts, err := c.ImportFile(t.Context(), "influencers", strings.NewReader(file), func(p client.Progress) error {
		for _, r := range p.Rejected {
			if line++; r.Line != line {
				t.Fatalf("told of line %d, want %d", r.Line, line)
			}
		}
		return nil
	})
	if err != nil || line != bad+2 || parts.Unchanged != 1 || len(parts.Rejected) != control.ChunkRows || parts.Rejects() != bad {
		t.Errorf("in parts: told up to line %d, %d listed, %d in all, %v", line, len(parts.Rejected), parts.Rejects(), err)
	}
	stop := errors.New("disk full")
	if _, err := c.ImportFile(t.Context(), "influencers", strings.NewReader(file), func(client.Progress) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("progress failed: %v", err)
	}
}

// TestHugeCell is one line's mistake; a quote left open is the file's.
func TestHugeCell(t *testing.T) {
	w := newWorld(t)
	c := connect(t, w.serve(), w.token(control.Editor))
	huge := strings.Repeat("x", 1<<20)
	send := func(file string) (control.Result, error) {
		return c.ImportFile(t.Context(), "influencers", strings.NewReader(file), func(client.Progress) error { return nil })
	}
	got, err := send("\ufeffinfluencer,name\r\nfirst,First\r\nsecond,\"" + huge + "\"\r\n" + huge + ",Third\r\nfourth,Fourth\r\n")
	if err != nil || got.Created != 2 || len(got.Rejected) != 2 {
		t.Fatalf("%d created, %d rejected, %v", got.Created, len(got.Rejected), err)
	}
	for i, column := range []string{"name", "influencer"} {
		if r := got.Rejected[i]; r.Line != i+3 || r.Column != column || !strings.Contains(r.Reason, "1048576 bytes") || len(r.Value) > 210 {
			t.Errorf("line %d, column %s: %s: %q", r.Line, r.Column, r.Reason, r.Value)
		}
	}
	got, err = send("influencer,name\nfifth,Fifth\nsixth,\"Sixth\n" + strings.Repeat("more,More\n", 500_000))
	if err == nil || !strings.Contains(err.Error(), "line 3: ") || !strings.Contains(err.Error(), "quote left open") {
		t.Errorf("a quote left open: %+v, %v", got, err)
	}
	got, err = send("influencer,name\nseventh,Seventh\neighth,\"Eighth\nninth,Ninth\n")
	if err != nil || got.Created != 1 || len(got.Rejected) != 1 || got.Rejected[0].Line != 3 {
		t.Errorf("a quote left open in a short file: %+v, %v", got, err)
	}
}

func TestDisableAndEnable(t *testing.T) {
	w := newWorld(t)
	w.twoBrands()
	c := connect(t, w.serve(), w.token(control.Editor))
	for _, step := range []struct {
		target       control.Target
		table, where string
		links        int
	}{
		{control.Target{Brand: "acme", Link: "l1"}, "links", "link = 'l1' AND brand_id = 1", 1},
		{control.Target{Brand: "other", Campaign: "boots"}, "campaigns", "campaign = 'boots' AND brand_id = 2", 1},
		{control.Target{Influencer: "lena"}, "influencers", "influencer = 'lena'", 4},
	} {
		for _, enabled := range []bool{false, false, true} {
			before := one[uint64](w, "SELECT max(version) FROM "+step.table+" FINAL WHERE "+step.where)
			changes := one[bool](w, "SELECT enabled FROM "+step.table+" FINAL WHERE "+step.where) != enabled
			if links, err := c.SetEnabled(t.Context(), step.target, enabled); err != nil || links != step.links {
				t.Fatalf("%+v: %d links, want %d, %v", step.target, links, step.links, err)
			}
			if got := one[bool](w, "SELECT enabled FROM "+step.table+" FINAL WHERE "+step.where); got != enabled {
				t.Errorf("%+v: enabled is %v, want %v", step.target, got, enabled)
			}
			after := one[uint64](w, "SELECT max(version) FROM "+step.table+" FINAL WHERE "+step.where)
			if (after > before) != changes {
				t.Errorf("%+v to %v: version %d became %d", step.target, enabled, before, after)
			}
		}
		if others := one[uint64](w, "SELECT countIf(NOT enabled) FROM "+step.table+" FINAL"); others != 0 {
			t.Errorf("%+v: %d rows of %s are left disabled", step.target, others, step.table)
		}
	}
}

func TestOpenAPIDescribesEveryOperation(t *testing.T) {
	w := newWorld(t)
	got := ask(t, "GET", w.serve()+"/api/v1/openapi.json", "", "")
	var description struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(got.body), &description); err != nil || got.status != http.StatusOK {
		t.Fatalf("%d, %v", got.status, err)
	}
	var paths []string
	for path, operations := range description.Paths {
		paths = append(paths, path)
		for method, operation := range operations {
			headers := 0
			for _, p := range operation.Parameters {
				if p.In == "header" && p.Name == once.Header {
					headers++
				}
			}
			if changes := method != "get"; changes != (headers == 1) {
				t.Errorf("%s %s is described with %d headers %s", method, path, headers, once.Header)
			}
		}
	}
	slices.Sort(paths)
	want := []string{
		"/audit", "/backup", "/brands", "/brands/{brand}", "/campaigns", "/campaigns/{campaign}", "/campaigns/{campaign}/qr.zip", "/destinations",
		"/disable", "/domains", "/domains/{domain}", "/enable", "/import/{kind}", "/influencers", "/influencers/{influencer}", "/keys", "/keys/retire", "/keys/rotate",
		"/links", "/links/bulk", "/links/export", "/links/find", "/links/token", "/links/{link}", "/links/{link}/qr",
		"/tokens", "/tokens/{token}",
	}
	if diff := cmp.Diff(want, paths); diff != "" || !strings.HasPrefix(description.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s (-want +described):\n%s", description.OpenAPI, diff)
	}
	// A path where a link's object would stand is no link's key: that link could not be asked for.
	w.loadBasics()
	for _, path := range paths {
		key, beside := strings.CutPrefix(path, "/links/")
		if !beside || strings.ContainsAny(key, "/{") {
			continue
		}
		rejected := w.run(control.LocalScope(), "links", csv(aLink, key+",go.acme.example,boots,lena")).Rejected
		if len(rejected) != 1 || rejected[0].Column != "link" || !strings.Contains(rejected[0].Reason, "is reserved") {
			t.Errorf("a link with the key %q: rejected %+v", key, rejected)
		}
	}
}

func TestLocalTokenIsKeptWhileItIsValid(t *testing.T) {
	w := newWorld(t)
	first, err := w.LocalToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	w.restart()
	again, err := w.LocalToken(t.Context(), first)
	if err != nil || again != first {
		t.Errorf("a valid token was replaced: %v", err)
	}
	other, err := w.LocalToken(t.Context(), "damaged")
	if err != nil || other == first {
		t.Fatalf("no new token in place of a damaged one: %v", err)
	}
	valid := 0
	for _, token := range w.Tokens(control.LocalScope()) {
		if !token.Revoked {
			valid++
		}
	}
	if valid != 1 {
		t.Errorf("%d valid local tokens, want the newest only", valid)
	}
	if n := one[uint64](w, "SELECT countIf(hash LIKE 'carom%' OR position(hash, ?) > 0) FROM tokens", other); n != 0 {
		t.Error("the tokens table holds a token in clear")
	}
}
