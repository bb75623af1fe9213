package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carom/control"
	"carom/ingest/chtest"
)

// A controlled is a control process over a fresh database, as the commands reach it.
type controlled struct {
	t      *testing.T
	server string
	token  string
	dir    string // for files
}

func newControlled(t *testing.T) *controlled {
	t.Helper()
	config := control.DefaultConfig()
	config.Conn, config.ClusterSecret = chtest.New(t).Conn, []byte("a cluster secret for tests, long enough")
	writer, err := control.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Stop)
	mux := http.NewServeMux()
	writer.API(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	token, err := writer.LocalToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return &controlled{t, server.URL, token, t.TempDir()}
}

// carom runs a command against the control process; its output must never show the token.
func (c *controlled) carom(args ...string) result {
	c.t.Helper()
	got := carom(append(args, "--server", c.server, "--token", c.token)...)
	if strings.Contains(got.out+got.errOut, c.token) {
		c.t.Errorf("carom %s shows the token", strings.Join(args, " "))
	}
	return got
}

// must runs a command that has to succeed and returns what it printed.
func (c *controlled) must(args ...string) string {
	c.t.Helper()
	got := c.carom(args...)
	if got.code != exitDone {
		c.t.Fatalf("carom %s: exit %d: %s", strings.Join(args, " "), got.code, got.errOut)
	}
	return got.out
}

// file writes a file to import.
func (c *controlled) file(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *controlled) importSamples() {
	c.t.Helper()
	for _, kind := range []string{"brands", "domains", "influencers", "campaigns", "links", "commissions"} {
		c.must("import", kind, filepath.Join("sample", kind+".csv"))
	}
}

// importCampaign imports what links need: brand acme, its domain go.acme.example, creator lena and campaign spring.
func (c *controlled) importCampaign(destination string) {
	c.t.Helper()
	c.must("import", "brands", c.file("brands.csv", "brand,name,currency\nacme,Acme,EUR\n"))
	c.must("import", "domains", c.file("domains.csv", "host,brand\ngo.acme.example,acme\n"))
	c.must("import", "influencers", c.file("influencers.csv", "influencer,name\nlena,Lena\n"))
	c.must("import", "campaigns", c.file("campaigns.csv", "campaign,brand,name,destination\nspring,acme,Spring,"+destination+"\n"))
}

func TestImportCommand(t *testing.T) {
	c := newControlled(t)
	good := c.file("brands.csv", "brand,name,currency\nacme,Acme,EUR\n")
	if out := c.must("import", "brands", good); out != "brands: 1 created, 0 updated, 0 unchanged, 0 rejected\n" {
		t.Errorf("first import: %q", out)
	}
	if out := c.must("import", "brands", good); out != "brands: 0 created, 0 updated, 1 unchanged, 0 rejected\n" {
		t.Errorf("second import: %q", out)
	}

	bad := c.file("more.csv", "brand,name,currency\n=cmd|x,Bad,EUR\nb,B,@SUM(A1)\nc,C,EUR\nd,D\n")
	got := c.carom("import", "brands", bad)
	if got.code != exitFailed || !strings.Contains(got.errOut, "3 of 4 lines of") || !strings.Contains(got.out, "1 created, 0 updated, 0 unchanged, 3 rejected") {
		t.Errorf("import with rejects: %+v", got)
	}
	rejects := filepath.Join(c.dir, "more.rejects.csv")
	want := [][]string{
		{"line", "column", "reason", "value"},
		{"2", "brand", "must be 1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first", "'=cmd|x"},
		{"3", "currency", "must be an ISO 4217 code such as EUR", "'@SUM(A1)"},
		{"5", "", "has 2 cells, the header has 3", ""},
	}
	if diff := cmp.Diff(want, readCSV(t, rejects)); diff != "" {
		t.Errorf("rejects (-want +got):\n%s", diff)
	}
	c.file("more.csv", "brand,name,currency\nc,C,EUR\n")
	c.must("import", "brands", bad)
	if _, err := os.Stat(rejects); !os.IsNotExist(err) {
		t.Errorf("rejects of the file before are left: %v", err)
	}

	header := c.file("header.csv", "brand,title,currency\nx,X,EUR\n")
	if got := c.carom("import", "brands", header); got.code != exitFailed || got.out != "" || !strings.Contains(got.errOut, `unknown column "title" in brands; did you mean "name"?`) {
		t.Errorf("a wrong header: %+v", got)
	}
	if got := c.carom("import", "clicks", good); got.code != exitUsage {
		t.Errorf("an unknown kind: %+v", got)
	}
}

// What a person should look at is printed beside the counts, of a long file the first of it.
func TestImportCommandPrintsWarnings(t *testing.T) {
	c := newControlled(t)
	c.must("import", "brands", c.file("brands.csv", "brand,name,currency\nacme,Acme,EUR\n"))
	campaigns := "campaign,brand,name,destination\n"
	for i := range shownWarnings + 3 {
		campaigns += fmt.Sprintf("c%d,acme,C,https://p\u0430ypal%d.example/\n", i, i)
	}
	got := c.carom("import", "campaigns", c.file("campaigns.csv", campaigns))
	if got.code != exitDone || strings.Count(got.errOut, "warning: line ") != shownWarnings ||
		!strings.Contains(got.errOut, "warning: line 2: destination names a host that mixes scripts") || !strings.HasSuffix(got.errOut, "\n3 more warnings\n") {
		t.Errorf("import of look-alike hosts: %+v", got)
	}
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return parseCSV(t, file)
}

func parseCSV(t *testing.T, text io.Reader) [][]string {
	t.Helper()
	records, err := csv.NewReader(text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestLinksCommands(t *testing.T) {
	c := newControlled(t)
	c.importSamples()
	list := c.must("links", "list", "--brand", "nordic", "--limit", "3")
	if lines := strings.Count(list, "\n"); lines != 4 || !strings.Contains(list, "https://go.nordic.localhost/nora") {
		t.Errorf("list:\n%s", list)
	}
	c.must("links", "disable", "winter-nora-reel")
	if list := c.must("links", "list", "--campaign", "cosy-winter"); strings.Count(list, "disabled") != 1 || !strings.Contains(list, "live") {
		t.Errorf("list after disable:\n%s", list)
	}
	c.must("links", "enable", "winter-nora-reel")
	if out := c.must("links", "disable", "--influencer", "lena-walks"); out != "lena-walks disabled: 3 links\n" {
		t.Errorf("disable says %q", out)
	}
	if list := c.must("links", "list", "--influencer", "lena-walks"); strings.Count(list, "disabled (creator)") != 3 {
		t.Errorf("list after a creator was disabled:\n%s", list)
	}
	if got := c.carom("links", "disable"); got.code != exitUsage || !strings.Contains(got.errOut, "name one of link, campaign and influencer") {
		t.Errorf("disable of nothing: %+v", got)
	}

	var link struct {
		Destination, Fee string
		ShortURL         string `json:"short_url"`
	}
	if err := json.Unmarshal([]byte(c.must("links", "show", "boots-tom-video")), &link); err != nil {
		t.Fatal(err)
	}
	if link.Destination != "https://shop.acme.example/boots/alpine?ref=tom" || link.Fee != "350.0000" || link.ShortURL != "https://go.acme.localhost/tom-boots" {
		t.Errorf("show: %+v", link)
	}

	if out := c.must("links", "delete", "boots-tom-video"); out != "boots-tom-video deleted\n" {
		t.Errorf("delete: %s", out)
	}
	for _, command := range []string{"show", "delete", "disable"} {
		if got := c.carom("links", command, "boots-tom-video"); got.code != exitFailed || !strings.Contains(got.errOut, "not found") {
			t.Errorf("%s of a deleted link: %+v", command, got)
		}
	}

	path := filepath.Join(c.dir, "links.csv")
	c.must("links", "export", "--influencer", "wild-kitchen", "-o", path)
	rows := readCSV(t, path)
	header := "link short_url brand campaign influencer domain code slug enabled expires state"
	if len(rows) != 3 || strings.Join(rows[0], " ") != header || rows[1][0] != "tents-kitchen-video" || len(rows[1][6]) != 11 {
		t.Errorf("export: %q", rows)
	}
	if lines := c.must("links", "export", "--format", "jsonl"); strings.Count(lines, "\n") != 21 {
		t.Errorf("JSON lines:\n%s", lines)
	}
	if got := c.carom("links", "export", "--brand", "nobody", "-o", path); got.code != exitFailed || len(readCSV(t, path)) != 3 {
		t.Errorf("a failed export replaced the file: %+v", got)
	}
}

func TestKeysAndTokensCommands(t *testing.T) {
	c := newControlled(t)
	c.importSamples()
	secret := strings.TrimSpace(c.must("keys", "new", "--brand", "acme", "--kind", "postback"))
	if len(secret) != 43 {
		t.Errorf("postback secret of %d characters", len(secret))
	}
	if got := c.carom("keys", "new", "--brand", "acme", "--kind", "click_id"); got.errOut != "carom: brand must be empty: a click_id key is the cluster's\n" {
		t.Errorf("the cluster's key for a brand: %+v", got)
	}
	c.must("keys", "new", "--brand", "acme", "--kind", "code")
	c.must("keys", "rotate", "--brand", "acme", "--kind", "code", "--key-id", "1")
	retire := []string{"keys", "retire", "--brand", "acme", "--kind", "code", "--key-id", "0"}
	lost := fmt.Sprintf("the codes of %d links", strings.Count(c.must("links", "list", "--brand", "acme"), "\n")-1)
	if got := c.carom(retire...); got.code != exitFailed || got.out != "" || !strings.Contains(got.errOut, lost) || !strings.Contains(got.errOut, "say --yes") {
		t.Errorf("a key with links is retired without a word: %+v", got)
	}
	if out := c.must(append(retire, "--yes")...); out != "code key 0 of brand acme: retired\nlost with it: "+lost+"\n" {
		t.Errorf("retirement: %q", out)
	}
	if out := c.must(retire...); out != "code key 0 of brand acme: retired\n" {
		t.Errorf("a second retirement: %q", out)
	}
	list := c.must("keys", "list", "--brand", "acme")
	if strings.Count(list, "\n") != 4 || strings.Count(list, "retired") != 1 || strings.Contains(list, secret) {
		t.Errorf("keys:\n%s", list)
	}

	token := strings.TrimSpace(c.must("tokens", "new", "--name", "shop", "--role", "analyst", "--brand", "acme"))
	scoped := &controlled{t, c.server, token, c.dir}
	if export := scoped.must("links", "export"); strings.Contains(export, "nordic") {
		t.Errorf("a token of acme sees\n%s", export)
	}
	if got := scoped.carom("links", "show", "winter-nora-reel"); got.code != exitFailed || !strings.Contains(got.errOut, "not found") {
		t.Errorf("another brand's link: %+v", got)
	}
	if got := scoped.carom("keys", "list"); got.code != exitFailed || !strings.Contains(got.errOut, "needs the role editor") {
		t.Errorf("keys for an analyst: %+v", got)
	}
	id := strings.Split(token, "_")[1]
	c.must("tokens", "revoke", id)
	if list := c.must("tokens", "list"); !strings.Contains(list, "revoked") || strings.Contains(list, token) {
		t.Errorf("tokens:\n%s", list)
	}
	if got := scoped.carom("links", "list"); got.code != exitFailed || !strings.Contains(got.errOut, "bearer token is required") {
		t.Errorf("a revoked token: %+v", got)
	}

	audit := c.must("audit", "list", "--brand", "acme", "--limit", "3")
	var did []string
	for _, line := range strings.Split(strings.TrimSpace(audit), "\n")[1:] {
		words := strings.Fields(line)
		did = append(did, strings.Join(words[len(words)-5:], " "))
	}
	want := []string{"revoke tokens " + id + " acme 1", "new tokens " + id + " acme 1", "keys code 0 acme 1"}
	if diff := cmp.Diff(want, did); diff != "" || strings.Contains(audit, secret) || strings.Contains(audit, token) {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestControlTarget(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, controlFile), []byte(`{"url":"http://127.0.0.1:9","token":"carom_x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		why    string
		target controlTarget
		want   controlAddress
		says   string // in the error, empty for none
	}{
		{"what a local up has left", controlTarget{Data: dir}, controlAddress{"http://127.0.0.1:9", "carom_x"}, ""},
		{"another token for it", controlTarget{Data: dir, Token: "t"}, controlAddress{"http://127.0.0.1:9", "t"}, ""},
		{"a server wins", controlTarget{Data: dir, Server: "https://c", Token: "t"}, controlAddress{"https://c", "t"}, ""},
		{"a server needs a token", controlTarget{Data: dir, Server: "https://c"}, controlAddress{}, "--server needs --token"},
		{"no up has run", controlTarget{Data: filepath.Join(dir, "none")}, controlAddress{}, "find a local carom up"},
	} {
		got, err := test.target.address()
		if got != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, %v", test.why, got, err)
		}
	}
	if got := carom("links", "list", "--data", dir); got.code != exitFailed ||
		!strings.Contains(got.errOut, "no carom up runs on "+dir+"; start it with carom up --data "+dir) {
		t.Errorf("the up has ended: %+v", got)
	}
	if _, err := (controlTarget{Server: "ftp://c", Token: "hidden"}).client(); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("an address of another scheme: %v", err)
	}
}

func TestProgressBarText(t *testing.T) {
	bar := newProgressBar(nil, 1000, "lines")
	got := bar.text(500, 5000, 2*time.Second)
	if want := "[===============               ]  50 %  5000 lines  2500 lines/s  2s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	bar.show(1, 1, time.Now()) // nobody watches: nothing is written, nothing breaks
}
