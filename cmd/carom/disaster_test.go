package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"carom/control"
)

// clickIDs are the values that differ from click to click.
var clickIDs = regexp.MustCompile(`\b(click_id|cid|subid)=[A-Za-z0-9_-]{22}`)

// answers are what visitors of printed URLs get, by what is printed: the status and where it leads.
func (s *system) answers(printed map[string]string) map[string]string {
	s.t.Helper()
	got := map[string]string{}
	for name, address := range printed {
		a := get(s.t, s.http, address)
		got[name] = http.StatusText(a.status) + " " + clickIDs.ReplaceAllString(a.header.Get("Location"), "$1=…")
	}
	return got
}

// number is the one inside the code of a link.
func (s *system) number(link string) uint32 {
	s.t.Helper()
	var detail struct{ Number uint32 }
	if err := json.Unmarshal([]byte(s.carom("links", "show", link)), &detail); err != nil {
		s.t.Fatal(err)
	}
	return detail.Number
}

// restored is an empty data directory with the cluster secret of s.
func (s *system) restored() string {
	s.t.Helper()
	dir := s.t.TempDir()
	secret, err := os.ReadFile(filepath.Join(s.dir, secretFile))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, secretFile), secret, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// mint imports one link of acme's and returns its URL with a code.
func (s *system) mint(key string) string {
	s.t.Helper()
	s.load("links", "link,campaign,influencer,domain\n"+key+",boots,lena,go.acme.localhost\n")
	return s.shortURLs()["acme/"+key]
}

// printWorld makes a world with keys that are retired and no longer active, and returns the addresses that are printed, and the answers
// to them.
func (s *system) printWorld() (printed, want map[string]string) {
	s.t.Helper()
	loadWorld(s, time.Now().UTC().Truncate(24*time.Hour))
	printed = s.shortURLs()
	s.carom("keys", "rotate", "--brand", "acme", "--kind", "code")
	s.carom("keys", "retire", "--brand", "acme", "--kind", "code", "--key-id", "0", "--yes") // what is printed with it leads nowhere any more
	s.carom("keys", "rotate", "--brand", "nordic", "--kind", "code")                         // what is printed with it goes on
	s.carom("keys", "rotate", "--kind", "click_id")
	printed["acme/after"] = s.mint("after")
	s.carom("links", "disable", "app-chiara")
	s.eventually("the edge knows all of it", func() bool {
		got := s.answers(printed)
		return strings.HasPrefix(got["acme/after"], "Found") && strings.HasSuffix(got["acme/app-chiara"], "acme.example/sale") &&
			strings.HasSuffix(got["acme/boots-tom code"], "acme.example/not-found")
	})
	return printed, s.answers(printed) // once more: it may have learned of it between two of them
}

// isAsBefore checks a system on which a world was put back: every printed address answers as it did, and a link can be minted.
func (s *system) isAsBefore(printed, want map[string]string) {
	s.t.Helper()
	got := s.answers(printed)
	for name := range want {
		if got[name] != want[name] {
			s.t.Errorf("%s answers %q, before %q", name, got[name], want[name])
		}
	}
	if got := carom("keys", "retire", "--data", s.dir, "--kind", "click_id", "--key-id", "1"); got.code != exitFailed ||
		!strings.Contains(got.errOut, "conversions still to come of clicks until 20") {
		s.t.Errorf("the click-id key of before is retired without a word: %+v", got)
	}
	fresh := s.mint("fresh")
	s.eventually("a new link answers", func() bool { return get(s.t, s.http, fresh).status == http.StatusFound })
	for _, report := range []string{"influencers", "campaigns", "utm", "geo", "conversions", "ledger"} {
		s.report(report)
	}
}

// A world is printed on paper; then its machine burns down. On another one, from the backup and the secret, every printed
// address answers as before.
func TestDisasterBackup(t *testing.T) {
	old := startUp(t, filepath.Join(t.TempDir(), "old"), "--empty")
	printed, want := old.printWorld()
	token := strings.TrimSpace(old.carom("tokens", "new", "--name", "shop", "--role", "analyst", "--brand", "nordic"))
	file := filepath.Join(t.TempDir(), "carom.zip")
	old.carom("backup", file)
	lost := old.mint("lost") // minted and printed after the backup
	lastNumber := old.number("lost")
	old.interrupt()

	dir := old.restored()
	t.Log(old.in(t).restore(file, dir))
	s := startUp(t, dir)
	s.isAsBefore(printed, want)
	if rows := carom("links", "list", "--server", s.admin, "--token", token); rows.code != exitDone ||
		!strings.Contains(rows.out, "winter-mei") || strings.Contains(rows.out, "boots") {
		t.Errorf("the token of nordic lists %q, %q", rows.out, rows.errOut)
	}
	if n := s.number("fresh"); n <= lastNumber {
		t.Errorf("the first new link is number %d, which was given out: %d were", n, lastNumber)
	}
	if a := get(t, s.http, lost); a.header.Get("Location") != "https://www.acme.example/not-found" {
		t.Errorf("a link that is lost answers %d %s", a.status, a.header.Get("Location"))
	}
}

// ClickHouse and every backup are lost, a node's snapshot is left: what is printed works again, and minting goes on.
func TestDisasterSnapshot(t *testing.T) {
	old := startUp(t, filepath.Join(t.TempDir(), "old"), "--empty")
	printed, want := old.printWorld()
	old.interrupt()
	snapshot := filepath.Join(old.dir, snapshotFile)
	if err := os.Remove(snapshot); err != nil { // a changed one is written after a minute, a missing one at once
		t.Fatal(err)
	}
	old = startUp(t, old.dir)
	old.eventually("there is a snapshot", func() bool { _, err := os.Stat(snapshot); return err == nil })
	old.interrupt()

	dir := old.restored()
	said := old.restore("--snapshot", snapshot, dir)
	for _, lost := range control.SalvageLosses() {
		if !strings.Contains(said, lost) {
			t.Errorf("%q is lost and not said", lost)
		}
	}
	s := startUp(t, dir)
	s.isAsBefore(printed, want)
	s.carom("links", "list")
}

// restore puts a file back into a data directory whose carom up does not run.
func (s *system) restore(args ...string) string {
	s.t.Helper()
	dir := args[len(args)-1]
	got := carom(append([]string{"restore", "--data", dir}, args[:len(args)-1]...)...)
	if got.code != exitDone {
		s.t.Fatalf("carom restore %s: %s", strings.Join(args, " "), got.errOut)
	}
	return got.out
}

func TestRestoreRefuses(t *testing.T) {
	s := startUp(t, filepath.Join(t.TempDir(), "world"))
	file := filepath.Join(t.TempDir(), "carom.zip")
	s.carom("backup", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v; it must be its owner's alone", info.Mode(), err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(s.dir, secretFile))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(whole, bytes.TrimSpace(secret)) {
		t.Error("the backup holds the cluster secret")
	}
	altered := bytes.Clone(whole)
	altered[len(altered)/3] ^= 1
	other := filepath.Join(t.TempDir(), "other.secret")
	for name, content := range map[string][]byte{
		"cut.zip": whole[:len(whole)-30], "altered.zip": altered, "empty.zip": nil, "text.zip": []byte("no backup"),
		"other.secret": bytes.Repeat([]byte("another secret, "), 4),
		"old.secret":   []byte("a cluster secret for tests, long enough"), // of the backup of an early carom
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(other), name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(filepath.Dir(other), name) }
	old := filepath.Join("..", "..", "control", "testdata", "unsigned.zip") + " --check --cluster-secret " + in("old.secret")
	for _, test := range []struct {
		why, args, want string
	}{
		{"cut off", in("cut.zip"), "damaged or cut off"},
		{"one bit altered", in("altered.zip"), "damaged or cut off"},
		{"empty", in("empty.zip"), "damaged or cut off"},
		{"something else", in("text.zip"), "damaged or cut off"},
		{"another cluster's secret", file + " --cluster-secret " + other, "the cluster secret is not the one"},
		{"no secret", file + " --data " + t.TempDir(), "put the one there that was kept beside the backup"},
		{"a backup from before there were signatures", old, "say --unsigned"},
		{"a carom up that runs", file, "stop the carom up"},
	} {
		got := carom(append([]string{"restore", "--data", s.dir}, strings.Fields(test.args)...)...)
		if got.code != exitFailed || !strings.Contains(got.errOut, test.want) {
			t.Errorf("%s: exit code %d, %q, want %q", test.why, got.code, got.errOut, test.want)
		}
	}
	if got := carom(append([]string{"restore", "--unsigned"}, strings.Fields(old)...)...); got.code != exitDone || !strings.Contains(got.out, "links") {
		t.Errorf("--unsigned: exit code %d, %q, %q", got.code, got.out, got.errOut)
	}
	s.interrupt()
	if got := carom("restore", file, "--data", s.dir); got.code != exitFailed || !strings.Contains(got.errOut, "is not empty") {
		t.Errorf("into a world: exit code %d, %q", got.code, got.errOut)
	}
	if got := carom("restore", file, "--data", s.dir, "--check"); got.code != exitDone || !strings.Contains(got.out, "links") ||
		!strings.Contains(got.errOut, "the cluster of this secret has written it") {
		t.Errorf("--check: exit code %d, %q, %q", got.code, got.out, got.errOut)
	}
}
