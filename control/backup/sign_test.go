package backup

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"carom/redirect"
)

// parts are the files of a backup, by name.
type parts map[string]string

// world is a backup of two tables before it is summed up and signed. Its keys are sealed under secret.
func world(t *testing.T, secret string) parts {
	t.Helper()
	sealer, err := redirect.NewSealer([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	keys := ""
	for _, id := range []string{"0", "1"} {
		line, err := json.Marshal(sealedKey{1, redirect.KeyCode, id, sealer.Seal(redirect.KeyCode, 1, id, []byte("a key"))})
		if err != nil {
			t.Fatal(err)
		}
		keys += string(line) + "\n"
	}
	return parts{"keys.jsonl": keys, "brands.jsonl": brandsLine}
}

// sumUp writes a manifest whose checksums are right, as anybody can.
func (p parts) sumUp() {
	manifest := Manifest{Format: format, Lowest: 3, Highest: 3}
	for _, name := range []string{"keys", "brands"} {
		content := p[name+".jsonl"]
		manifest.Tables = append(manifest.Tables, Table{
			Name: name, Rows: uint64(strings.Count(content, "\n")), Bytes: uint64(len(content)),
			SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(content))),
		})
	}
	text, _ := json.Marshal(manifest) // of plain fields: it cannot fail
	p[manifestName] = string(text)
}

// sign signs the manifest as the cluster of a secret does.
func (p parts) sign(t *testing.T, secret string) {
	t.Helper()
	signer, err := NewSigner([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	p[signatureName] = string(signer.sign([]byte(p[manifestName])))
}

func (p parts) zip(t *testing.T) []byte {
	t.Helper()
	var files []string
	for name, content := range p {
		files = append(files, name, content)
	}
	return archive(t, files...)
}

func TestTrust(t *testing.T) {
	const other = "another secret, another secret, another"
	for _, test := range []struct {
		why   string
		alter func(p parts) // after the cluster has signed
		with  string        // secret it is read with
		want  error
	}{
		{"as it was written", func(parts) {}, testSecret, nil},
		{"read with another secret", func(parts) {}, other, ErrSecret},
		{"a row was altered", func(p parts) { p["brands.jsonl"] = strings.Replace(brandsLine, "acme", "evil", 1) }, testSecret, ErrDamaged},
		{"and the checksums recomputed", func(p parts) {
			p["brands.jsonl"] = strings.Replace(brandsLine, "acme", "evil", 1)
			p.sumUp()
		}, testSecret, ErrAltered},
		{"and signed under another secret", func(p parts) {
			p["brands.jsonl"] = strings.Replace(brandsLine, "acme", "evil", 1)
			p.sumUp()
			p.sign(t, other)
		}, testSecret, ErrAltered},
		{"and the signature removed", func(p parts) {
			p["brands.jsonl"] = strings.Replace(brandsLine, "acme", "evil", 1)
			p.sumUp()
			delete(p, signatureName)
		}, testSecret, ErrUnsigned},
		{"only the manifest was altered", func(p parts) { p[manifestName] += " " }, testSecret, ErrAltered},
		{"the signature is cut off", func(p parts) { p[signatureName] = p[signatureName][:8] }, testSecret, ErrAltered},
		{"the signature is empty", func(p parts) { p[signatureName] = "" }, testSecret, ErrAltered},
		{"one key of several is another cluster's", func(p parts) {
			_, line, _ := strings.Cut(world(t, other)["keys.jsonl"], "\n")
			first, _, _ := strings.Cut(p["keys.jsonl"], "\n")
			p["keys.jsonl"] = first + "\n" + line
			p.sumUp()
			delete(p, signatureName)
		}, testSecret, ErrAltered},
	} {
		p := world(t, testSecret)
		p.sumUp()
		p.sign(t, testSecret)
		test.alter(p)
		if err := check(t, p.zip(t), test.with); !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", test.why, err, test.want)
		}
	}
}

// Backups that were written are signed so: a program that signs otherwise would trust none of them.
func TestSignatureIsKept(t *testing.T) {
	signer, err := NewSigner([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(signer.sign([]byte(`{"format":1}`))), "4e9f2ada2aa397d2930584a75018596bb43a1bf3442fb47aa3d3d1596d8022ff"; got != want {
		t.Errorf("the signature is %s, was %s", got, want)
	}
	if _, err := NewSigner([]byte("short")); err == nil {
		t.Error("a secret that is too short is taken")
	}
}
