package redirect

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// KeyKind says what a key of the `keys` table is for.
type KeyKind string

// The kinds of keys, as the table spells them.
const (
	KeyCode     KeyKind = "code"     // signs a brand's codes and slugs; 32 bytes; key id is the slot, "0" to "3"
	KeyPostback KeyKind = "postback" // signs a brand's postbacks; the printed text is the HMAC key
	KeyClickID  KeyKind = "click_id" // the cluster's AES-128 key; brand 0
	KeyVisitor  KeyKind = "visitor"  // the cluster's visitor key; brand 0, key id is the day it is for, 2006-01-02
)

// ErrSealed is returned when a sealed key cannot be opened: another cluster secret, or a row moved to another place.
var ErrSealed = errors.New("sealed key does not open under this cluster secret")

// A Sealer seals keys for the `keys` table under the cluster secret (AES-256-GCM, key by DeriveKey). The key's
// kind, brand and id are authenticated with it, so a sealed value works only in its own row.
type Sealer struct{ aead cipher.AEAD }

// MinClusterSecret is the least length of the cluster secret in bytes.
const MinClusterSecret = 32

// DeriveKey makes a key of 32 bytes from the content of the cluster secret file (HKDF-SHA256); each purpose has its own.
func DeriveKey(clusterSecret []byte, purpose string) ([]byte, error) {
	if len(clusterSecret) < MinClusterSecret {
		return nil, fmt.Errorf("cluster secret of %d bytes: it must have at least %d", len(clusterSecret), MinClusterSecret)
	}
	return hkdf.Key(sha256.New, clusterSecret, nil, purpose, sha256.Size)
}

// NewSealer derives the sealing key from the content of the cluster secret file.
func NewSealer(clusterSecret []byte) (*Sealer, error) {
	key, err := DeriveKey(clusterSecret, "carom seal v1")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead}, err
}

func sealedPlace(kind KeyKind, brand uint32, id string) []byte {
	return fmt.Appendf(nil, "%s/%d/%s", kind, brand, id)
}

// Seal returns secret sealed for one row of the `keys` table.
func (s *Sealer) Seal(kind KeyKind, brand uint32, id string, secret []byte) []byte {
	return s.aead.Seal(nil, nil, secret, sealedPlace(kind, brand, id))
}

// Open reverses Seal; its error wraps ErrSealed and names the row, never the secret.
func (s *Sealer) Open(kind KeyKind, brand uint32, id string, sealed []byte) ([]byte, error) {
	secret, err := s.aead.Open(nil, nil, sealed, sealedPlace(kind, brand, id))
	if err != nil {
		return nil, fmt.Errorf("open %s key %q of brand %d: %w", kind, id, brand, ErrSealed)
	}
	return secret, nil
}
