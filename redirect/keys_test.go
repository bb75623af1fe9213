package redirect

import (
	"bytes"
	"errors"
	"strings"
	"testing"
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
