package redirect

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSealer(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	sealer, err := NewSealer(secret)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("a brand's signing key")
	sealed := sealer.Seal(KeyCode, 7, "1", key)
	if got, err := sealer.Open(KeyCode, 7, "1", sealed); err != nil || !bytes.Equal(got, key) {
		t.Fatalf("opens as %q, %v", got, err)
	}
	if again := sealer.Seal(KeyCode, 7, "1", key); bytes.Equal(again, sealed) {
		t.Error("sealed twice, the same bytes: the nonce repeats")
	}
	if bytes.Contains(sealed, key) {
		t.Error("the key shows in what is sealed")
	}
	other, err := NewSealer([]byte("another cluster's secret, as long"))
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another cluster": func() ([]byte, error) { return other.Open(KeyCode, 7, "1", sealed) },
		"another kind":    func() ([]byte, error) { return sealer.Open(KeyPostback, 7, "1", sealed) },
		"another brand":   func() ([]byte, error) { return sealer.Open(KeyCode, 8, "1", sealed) },
		"another id":      func() ([]byte, error) { return sealer.Open(KeyCode, 7, "11", sealed) },
		"shifted place":   func() ([]byte, error) { return sealer.Open(KeyCode, 71, "", sealed) },
		"truncated":       func() ([]byte, error) { return sealer.Open(KeyCode, 7, "1", sealed[:len(sealed)-1]) },
		"empty":           func() ([]byte, error) { return sealer.Open(KeyCode, 7, "1", nil) },
	} {
		got, err := open()
		if !errors.Is(err, ErrSealed) || got != nil {
			t.Errorf("%s: opens as %q, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), string(secret)) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if _, err := sealer.Open(KeyCode, 7, "1", altered); !errors.Is(err, ErrSealed) {
			t.Fatalf("opens with byte %d altered: %v", i, err)
		}
	}
}

func TestSealerWantsALongSecret(t *testing.T) {
	if _, err := NewSealer(make([]byte, MinClusterSecret-1)); err == nil {
		t.Error("a short cluster secret is taken")
	}
	if _, err := NewSealer(make([]byte, MinClusterSecret)); err != nil {
		t.Error(err)
	}
}

func TestKeyRotation(t *testing.T) {
	e := newEdge(t)
	old, current := codeOn("go.glow.test", glowSecrets[0], 0, linkOldKey), glowCode(linkLive)
	check := func(when, code string, want int) {
		t.Helper()
		if got := e.get(t, "go.glow.test", "/"+code); got.status != want {
			t.Errorf("%s: status %d, want %d", when, got.status, want)
		}
	}
	check("rotated key keeps its codes", old, 302)
	check("active key", current, 302)
	e.builder.SetKey(KeyRow{Brand: 1, Kind: KeyCode, ID: "0", Retired: true})
	e.server.SetTable(e.builder.Table())
	check("retired key breaks its codes", old, 404)
	check("and no others", current, 302)
	e.builder.SetKey(KeyRow{Brand: 1, Kind: KeyCode, ID: "0", Secret: []byte("glow, slot 0 again"), Active: true})
	e.server.SetTable(e.builder.Table())
	check("a slot used again does not bring them back", old, 404)
	check("its new codes work", codeOn("go.glow.test", []byte("glow, slot 0 again"), 0, linkLive), 302)
}

// Of several click-id keys the newest active one makes ids; all open what they made.
func TestClickIDKeysInOrder(t *testing.T) {
	b := NewBuilder()
	secret := func(id string) []byte { return fmt.Appendf(nil, "click-id key %3s", id) }
	for _, k := range []KeyRow{{ID: "1"}, {ID: "9", Active: true}, {ID: "10", Active: true}, {ID: "11"}, {ID: "12", Retired: true}} {
		k.Kind, k.Secret = KeyClickID, secret(k.ID)
		b.SetKey(k)
	}
	keys := b.Table().clickIDs
	if len(keys) != 4 {
		t.Fatalf("%d keys, want 4", len(keys))
	}
	for i, id := range []string{"10", "9", "11", "1"} {
		want := Click{Link: 7, Millis: clickEpoch}
		var block [16]byte
		mustClickIDKey(t, secret(id)).Seal(&block, want)
		if got, ok := keys[i].Open(block); !ok || got != want {
			t.Errorf("key %d is not %s", i, id)
		}
		if _, err := keys.open(string(AppendClickID(nil, &block))); err != nil {
			t.Errorf("an id under key %s: %v", id, err)
		}
	}
}

func TestUnusableKeysAreAsGoodAsNone(t *testing.T) {
	b := edgeBuilder(t)
	b.SetKey(KeyRow{Kind: KeyVisitor, ID: edgeNow.Format(time.DateOnly), Retired: true})
	b.SetKey(KeyRow{Kind: KeyVisitor, ID: "2026-05-27", Secret: []byte("short"), Active: true})
	b.SetKey(KeyRow{Kind: KeyVisitor, ID: "someday", Secret: make([]byte, VisitorKeyLen), Active: true})
	if b.Table().Ready() {
		t.Error("a visitor key of five bytes or of no day is taken")
	}
	b = edgeBuilder(t)
	b.SetKey(KeyRow{Kind: KeyClickID, ID: "1", Retired: true})
	b.SetKey(KeyRow{Kind: KeyClickID, ID: "2", Secret: []byte("short"), Active: true})
	if b.Table().Ready() {
		t.Error("a click-id key of five bytes is taken")
	}
}
